# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of monitoring share: a place that takes messages, runs of the playbooks on an inventory of their own."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from integration import playbook_runs
from integration.monitoring_servers import monitoring_program
from integration.playbook_runs import OPERATOR, Finished, finish, start
from tools.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


class WebHook:
    """A server that takes every POST and remembers it.

    Attributes:
        taken: Path and JSON document of each request.
        status: What it answers; an error can be asked for.
        delay_s: How long it takes to answer.
    """

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.status, self.delay_s = 200, 0.0
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                time.sleep(hook.delay_s)
                hook.taken.append((self.path, json.loads(body or b"{}")))
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> WebHook:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop to listen."""
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, what: str, true: Callable[[str, dict[str, Any]], bool], timeout_s: float = 30) -> dict[str, Any]:
        """Wait for a message; returns it."""
        return wait_until(
            lambda: f"{what}, but there came {json.dumps(self.taken)[:2000]}",
            lambda: next((document for path, document in list(self.taken) if true(path, document)), None),
            timeout_s,
        )


class Inventory:
    """A profile of the test's own and runs of playbooks on it.

    Attributes:
        variables: Its variables; change them before a run.
        folder: Where everything of it lies; `state` in it is the state folder.
    """

    def __init__(self, folder: Path, **variables: Any) -> None:
        self.folder, self.variables = folder, variables
        self.state = folder / "state"
        (folder / "inventory" / "group_vars" / "all").mkdir(parents=True)
        (folder / "inventory" / "hosts.ini").write_text(OPERATOR)

    def run(self, playbook: str, *options: str, timeout_s: float = 120, inventory: Path | None = None, **extra: Any) -> Finished:
        """Run a playbook to its end; `extra` are extra variables, `inventory` one of the repository's."""
        (self.folder / "inventory" / "group_vars" / "all" / "profile.yml").write_text(json.dumps(self.variables, indent=1))
        command = playbook_runs.command(playbook, inventory or self.folder / "inventory", *options, **extra)
        return finish(start(command, playbook_runs.environment(self.state)), timeout_s)


def tool_folder(folder: Path) -> str:
    """A folder with promtool and amtool in it; the test is skipped where they cannot be had."""
    folder.mkdir(exist_ok=True)
    for name in ("promtool", "amtool"):
        link = folder / name
        if not link.exists():
            link.symlink_to(monitoring_program(name))
    return str(folder)
