# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An embedded stack of the tests' own: the real playbooks, on free ports, in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.process_tree import start_of
from integration.playbook_runs import ROOT, Finished, finish, start
from tools.ports import free_ports

PORTS = (
    "local_stack_proxy_port",
    "local_stack_blue_port",
    "local_stack_green_port",
    "local_stack_postgresql_port",
    "local_stack_cache_port",
    "local_stack_object_store_port",
    "local_stack_object_store_master_port",
    "local_stack_object_store_volume_port",
    "local_stack_object_store_filer_port",
)
PROCESSES = ("postgresql", "cache", "object_store", "blue", "green", "proxy")
ENTRY_POINT = """- hosts: operator
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: sre.runbooks.local_stack, tasks_from: %s}
"""


def stack_ports() -> dict[str, int]:
    """Free ports for a stack."""
    return dict(zip(PORTS, free_ports(len(PORTS)), strict=True))


class Stack:
    """A stack: its folder, its ports, and how the playbooks are run on it.

    Attributes:
        folder: Everything of it.
        ports: Its ports, by the name of the setting.
        prefix: What each command line begins with, such as the program that changes the account.
        variables: Further environment variables of the runs.
    """

    def __init__(self, folder: Path, prefix: t.Sequence[str] = (), interpreter: str = sys.executable, **variables: str) -> None:
        self.folder, self.ports, self.prefix, self.variables = folder, stack_ports(), prefix, variables
        self._program = str(Path(interpreter).parent / "ansible-playbook")

    def run(self, playbook: str | Path, *options: str, **settings: object) -> Finished:
        """Run a playbook of the collection, by name, or any other, by path."""
        path = playbook if isinstance(playbook, Path) else ROOT / "playbooks" / f"{playbook}.yml"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SRE_RUNBOOKS_"))}
        own = {
            "PATH": f"{Path(self._program).parent}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "SRE_RUNBOOKS_LOCAL_STACK": str(self.folder),
        }
        command = [*self.prefix, self._program, str(path), "-e", json.dumps({**self.ports, **settings}), *options]
        return finish(start(command, {**kept, **own, **self.variables}), 150)

    def up(self, *options: str, **settings: object) -> Finished:
        """Start it."""
        return self.run("local_stack_up", *options, **settings)

    def down(self, *options: str, **settings: object) -> Finished:
        """Stop it."""
        return self.run("local_stack_down", *options, **settings)

    def enter(self, entry_point: str, *options: str, **settings: object) -> Finished:
        """Run one entry point of the role."""
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as playbook:
            playbook.write(ENTRY_POINT % entry_point)
            playbook.flush()
            return self.run(Path(playbook.name), *options, **settings)

    def port(self, name: str) -> int:
        """The port of `proxy`, `blue`, `postgresql`, ..."""
        return self.ports[f"local_stack_{name}_port"]

    def secret(self, name: str) -> str:
        """One of the stack's passwords and keys."""
        return (self.folder / "secrets" / name).read_text().strip()

    def secrets(self) -> list[str]:
        """All of them."""
        return [self.secret(path.name) for path in (self.folder / "secrets").iterdir()]

    def get(self, path: str, of: str = "proxy") -> tuple[int, t.Any]:
        """Status and body of an answer; the body is parsed where it is JSON. Status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port(of)}{path}", timeout=10) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        except OSError:
            return 0, ""
        with contextlib.suppress(ValueError):
            return status, json.loads(text)
        return status, text

    def pids(self) -> dict[str, int]:
        """The numbers of its processes, as they are noted."""
        return {path.name.split(".")[0]: int(json.loads(path.read_text())["pid"]) for path in self.folder.glob("*/*.pid.json")}

    def kill(self) -> None:
        """kill -9 of every process that works in its folder, the children too; waits until they are gone."""
        deadline = time.monotonic() + 10
        while (left := inhabitants(self.folder)) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        assert not left


def inhabitants(folder: Path) -> list[int]:
    """Processes that work in a folder or name it on their command line, ourselves apart; zombies do not count."""
    found = []
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()):
        with contextlib.suppress(OSError):
            named = str(folder) in Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
            if (named or os.readlink(f"/proc/{pid}/cwd").startswith(str(folder))) and start_of(pid):
                found.append(pid)
    return found


def listeners(ports: t.Iterable[int]) -> set[str]:
    """Addresses on which somebody listens on one of the ports."""
    found = set()
    for table, family in (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError):
            for row in (line.split() for line in Path(table).read_text().splitlines()[1:]):
                address, _, port = row[1].partition(":")
                if row[3] == "0A" and int(port, 16) in ports:
                    words = b"".join(bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))
                    found.add(socket.inet_ntop(family, words))
    return found


class CommandLines(threading.Thread):
    """Collects every command line that can be seen on the machine while the block runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self._over = threading.Event()

    def __enter__(self) -> CommandLines:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Look again and again."""
        while not self._over.wait(0.01):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError):
                    self.seen.add(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
