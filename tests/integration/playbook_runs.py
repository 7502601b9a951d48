# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the real playbooks against a server of the tests, with an inventory, a state folder and a backup folder of their own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

from integration.postgresql_server import PostgresqlServer

ROOT = Path(__file__).resolve().parents[2]
HOSTS = """[operator]
localhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"
[postgresql]
localhost
"""


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
        where = str(self.folder / "inventory")
        return [str(Path(sys.executable).parent / "ansible-playbook"), str(ROOT / "playbooks" / f"{playbook}.yml"), "-i", where, *options]

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a run."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SRE_RUNBOOKS_", "PG"))}
        own = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SRE_RUNBOOKS_STATE": str(self.state),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOG_PATH": str(self.logs),
            "ANSIBLE_NOCOLOR": "1",
            "TMPDIR": str(self.folder / "tmp"),
            "COLUMNS": "400",
        }
        return {**kept, **own, **more}

    def run(self, playbook: str, *options: str, timeout_s: float = 120, **environment: str) -> Finished:
        """Run a playbook to its end."""
        done = subprocess.run(
            self.command(playbook, *options),
            cwd=ROOT,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        return Finished(done.returncode, done.stdout)

    def sets(self) -> list[str]:
        """Names of the finished sets, the oldest first."""
        found = self.backups.glob("[!.]*") if self.backups.exists() else ()
        return sorted(path.name for path in found if path.name != "services")

    def records(self) -> list[dict[str, t.Any]]:
        """The run records, the oldest first."""
        found = [json.loads(path.read_text()) for path in (self.state / "runs").glob("*/record.json")]
        return sorted(found, key=lambda record: str(record["started_at"]))


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
