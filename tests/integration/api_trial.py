# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small collection, an inventory and a state folder, on which the Python API is tried out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import sre_runbooks
from integration.api_playbooks import (
    CATALOGUE,
    DUMP,
    FRAMED,
    HEARTBEAT,
    INVENTORY,
    LOGIN,
    PLAYBOOKS,
    SERVE,
    SWAP,
)
from tools.waiting import wait_until


class Trial:
    """A small collection, an inventory and a state folder."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.collections = top / "collections"
        self.state = top / "state"
        self.inventory = top / "inventory.yml"
        self.folder = top / "work"
        self.folder.mkdir()
        collection = self.collections / "ansible_collections" / "sre" / "runbooks"
        files = {
            "galaxy.yml": "namespace: sre\nname: runbooks\nversion: 0.1.0\nreadme: README.md\nauthors: [a]\n",
            "meta/procedures.yml": CATALOGUE,
            "plugins/modules/heartbeat.py": HEARTBEAT,
            "plugins/modules/login.py": LOGIN,
            "plugins/modules/dump.py": DUMP,
            "plugins/modules/swap.py": SWAP,
            "plugins/modules/serve.py": SERVE,
            **{f"playbooks/{name}.yml": textwrap.dedent(text) for name, text in PLAYBOOKS.items()},
        }
        for name, text in files.items():
            (collection / name).parent.mkdir(parents=True, exist_ok=True)
            (collection / name).write_text(text)
        self.inventory.write_text(INVENTORY)

    @property
    def options(self) -> dict[str, Any]:
        return {
            "inventory": self.inventory,
            "state_dir": self.state,
            "collections_path": self.collections,
            "environment": {"TRIAL_FOLDER": str(self.folder)},
        }

    def run(self, name: str, **options: Any) -> sre_runbooks.Result:
        return sre_runbooks.run(name, **{**self.options, **options})

    def start(self, name: str, **options: Any) -> sre_runbooks.Handle:
        return sre_runbooks.run_async(name, **{**self.options, **options})

    def console(self, *argv: str, ignored: Collection[signal.Signals] = (), **environment: str) -> subprocess.Popen[str]:
        def as_from_a_shell() -> None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

        return subprocess.Popen(
            [sys.executable, "-m", "sre_runbooks.cli", *argv],
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=as_from_a_shell,
        )

    def environment(self, **more: str) -> dict[str, str]:
        source = str(Path(sre_runbooks.__file__).parents[1])
        return {
            **os.environ,
            "PYTHONPATH": source,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "SRE_RUNBOOKS_STATE": str(self.state),
            "TRIAL_FOLDER": str(self.folder),
            **more,
        }

    def wait_for(self, name: str, timeout_s: float = 30.0) -> int:
        """Wait for a heartbeat file and return the process id in it."""
        path = self.folder / name
        wait_until(f"{name} is written", lambda: path.exists() and path.read_text().strip().isdigit(), timeout_s)
        return int(path.read_text())

    def still_beats(self, name: str) -> bool:
        path = self.folder / name
        before = path.stat().st_mtime_ns
        time.sleep(0.4)
        return path.stat().st_mtime_ns != before


class FramedTrial(Trial):
    """The trial collection with the real collection's roles and plugins: a procedure that leaves a record."""

    def __init__(self, top: Path, repository: Path) -> None:
        super().__init__(top)
        collection = self.collections / "ansible_collections" / "sre" / "runbooks"
        shutil.rmtree(collection / "plugins")
        for name in ("plugins", "roles"):
            shutil.copytree(repository / name, collection / name, ignore=shutil.ignore_patterns("__pycache__"))
        (collection / "meta" / "procedures.yml").write_text("procedures:\n  framed: {title: Do framed work, changes: changes}\n")
        (collection / "playbooks" / "framed.yml").write_text(FRAMED)


def files_with(folder: Path, secret: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
