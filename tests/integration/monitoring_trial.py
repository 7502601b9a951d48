# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of monitoring share: a place that takes messages, runs of the playbooks on an inventory of their own."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from integration.monitoring_servers import monitoring_program
from integration.playbook_runs import Finished

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
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for path, document in list(self.taken):
                if true(path, document):
                    return document
            time.sleep(0.05)
        raise AssertionError(f"{what}: not within {timeout_s:g} s; there came {json.dumps(self.taken)[:2000]}")


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
        hosts = 'localhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"'
        (folder / "inventory" / "hosts.ini").write_text(f"[operator]\n{hosts}\n")

    def run(self, playbook: str, *options: str, timeout_s: float = 120, inventory: Path | None = None, **extra: Any) -> Finished:
        """Run a playbook to its end; `extra` are extra variables, `inventory` one of the repository's."""
        (self.folder / "inventory" / "group_vars" / "all" / "profile.yml").write_text(json.dumps(self.variables, indent=1))
        where = str(inventory or self.folder / "inventory")
        program = str(Path(sys.executable).parent / "ansible-playbook")
        command = [program, str(ROOT / "playbooks" / f"{playbook}.yml"), "-i", where, "-e", json.dumps(extra), *options]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SRE_RUNBOOKS_"))}
        own = {"SRE_RUNBOOKS_STATE": str(self.state), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "400"}
        own["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**kept, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Finished(done.returncode, done.stdout)


def tool_folder(folder: Path) -> str:
    """A folder with promtool and amtool in it; the test is skipped where they cannot be had."""
    folder.mkdir(exist_ok=True)
    for name in ("promtool", "amtool"):
        link = folder / name
        if not link.exists():
            link.symlink_to(monitoring_program(name))
    return str(folder)
