# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the real playbooks: how ansible-playbook is called everywhere; and an inventory with one store, for tests of backups."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

import psutil

from integration.postgresql_server import PostgresqlServer

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
OPERATOR = """[operator]
localhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"
"""
HOSTS = f"""{OPERATOR}[postgresql]
localhost
"""
_OTHERS = ("ANSIBLE_", "SRE_RUNBOOKS_", "PG", "KUBE", "K8S_")
"""Beginnings of environment variables that would let a run do something else."""


@dataclass(frozen=True)
class Finished:
    """A run that has ended.

    Attributes:
        status: Exit status of ansible-playbook.
        output: Both of its streams.
    """

    status: int
    output: str

    @property
    def message(self) -> str:
        """What the last failed task says, on one line."""
        found = re.findall(r"^fatal: .*?(?=^(?:TASK|PLAY|RUNNING)|\Z)", self.output, re.MULTILINE | re.DOTALL)
        return " ".join(found[-1].split()) if found else ""


def command(playbook: str | Path, inventory: Path, /, *options: str, **variables: t.Any) -> list[str]:
    """The call of ansible-playbook: a playbook of this collection by name, or any other by path; `variables` as extra variables."""
    path = playbook if isinstance(playbook, Path) else ROOT / "playbooks" / f"{playbook}.yml"
    given = ["-e", json.dumps(variables)] if variables else []
    return [str(PROGRAMS / "ansible-playbook"), str(path), "-i", str(inventory), *given, *options]


def environment(state: Path, **more: str) -> dict[str, str]:
    """The environment of a run with this state folder: that of this process, without settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
    own = {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "SRE_RUNBOOKS_STATE": str(state),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "COLUMNS": "400",
    }
    return {**kept, **own, **more}


def start(command: list[str], environment: dict[str, str], folder: Path = ROOT) -> subprocess.Popen[str]:
    """Begin a run in a session of its own; `finish` waits for it."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(run: subprocess.Popen[str], timeout_s: float = 120) -> Finished:
    """Wait for a run that `start` has begun.

    Raises:
        AssertionError: It took longer than that and was killed with all that it had started; holds what it printed.
    """
    try:
        output, _nothing = run.communicate(timeout=timeout_s)
    except BaseException as error:
        kill(run)
        if isinstance(error, subprocess.TimeoutExpired):
            said = (error.output or b"").decode(errors="replace")
            raise AssertionError(f"not ended within {timeout_s:g} s: {said[-6000:]}") from error
        raise
    return Finished(run.returncode, output)


def kill(run: subprocess.Popen[str]) -> None:
    """Kill a run with everything below it, and wait for its end; Ansible gives each task a session of its own."""
    everything = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
    run.kill()
    for process in everything:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    run.wait()


def records(state: Path) -> list[dict[str, t.Any]]:
    """The run records in a state folder, the oldest first."""
    found = [json.loads(path.read_text()) for path in (state / "runs").glob("*/record.json")]
    return sorted(found, key=lambda record: str(record["started_at"]))


class Profile:
    """An inventory with one store, that of a server, or with none.

    Attributes:
        folder: Everything of it.
        store: The store's entry in backup_stores; change it before a run. Empty for none.
        variables: Further variables of the inventory.
    """

    def __init__(self, folder: Path, server: PostgresqlServer | None = None, database: str = "reference") -> None:
        self.folder = folder
        self.store: dict[str, t.Any] = {}
        if server is not None:
            self.store = {
                "kind": "postgresql",
                "name": "reference",
                "database": database,
                "rto_s": 3600,
                "rpo_s": 3600,
                "login_host": "127.0.0.1",
                "login_port": server.port,
                "login_password": server.password,
                "tool_folder": server.tools,
                "data_folder": str(server.data),
                "server_log_file": str(server.folder / "server.log"),
            }
        self.variables: dict[str, t.Any] = {}
        self.backups, self.state, self.logs = folder / "backups", folder / "state", folder / "ansible.log"
        (folder / "inventory" / "group_vars" / "all").mkdir(parents=True)
        (folder / "inventory" / "hosts.ini").write_text(HOSTS)
        (folder / "tmp").mkdir()

    def command(self, playbook: str, *options: str) -> list[str]:
        """The call of ansible-playbook, with the inventory as it is now written to disk."""
        content = {"backup_folder": str(self.backups), "backup_stores": [self.store] if self.store else [], **self.variables}
        (self.folder / "inventory" / "group_vars" / "all" / "backup.yml").write_text(json.dumps(content, indent=1))
        return command(playbook, self.folder / "inventory", *options)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a run."""
        return environment(self.state, **{"ANSIBLE_LOG_PATH": str(self.logs), "TMPDIR": str(self.folder / "tmp"), **more})

    def run(self, playbook: str, *options: str, timeout_s: float = 120, **environment: str) -> Finished:
        """Run a playbook to its end."""
        return finish(start(self.command(playbook, *options), self.environment(**environment)), timeout_s)

    def sets(self) -> list[str]:
        """Names of the finished sets, the oldest first."""
        found = self.backups.glob("[!.]*") if self.backups.exists() else ()
        return sorted(path.name for path in found if path.name != "services")

    def records(self) -> list[dict[str, t.Any]]:
        """The run records, the oldest first."""
        return records(self.state)


def picture(*tops: Path) -> dict[str, str]:
    """Path -> digest of content, mode and time of every file and folder below `tops`, to see that nothing was changed."""
    found = {}
    for top in tops:
        for path in [top, *sorted(top.rglob("*"))] if top.exists() else []:
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found[str(path)] = f"{status.st_mode:o} {status.st_mtime_ns if path.is_file() else ''} {content}"
    return found


def server_picture(server: PostgresqlServer, *databases: str) -> dict[str, t.Any]:
    """What a server holds that a procedure could change: databases with owner, rights, settings; roles; every row of `databases`."""
    return {
        "databases": server.sql("SELECT oid, datname, datdba, datallowconn, datconnlimit, datacl FROM pg_database ORDER BY oid"),
        "roles": server.sql("SELECT oid, rolname, rolsuper, rolcanlogin, md5(rolpassword) FROM pg_authid ORDER BY oid"),
        "settings": server.sql("SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2"),
        "comments": server.sql("SELECT objoid, classoid, description FROM pg_shdescription ORDER BY 1, 2"),
        "content": {name: server.content(name) for name in databases},
    }
