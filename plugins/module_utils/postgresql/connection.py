# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How to reach a PostgreSQL server with its own client programs, and how to ask it something through psql."""

from __future__ import annotations

import json
import subprocess
import tempfile
import typing as t
import uuid
from dataclasses import dataclass, field

from ..command import Command, Place, end, run
from ..errors import CommandFailed, RunbookError, Unreachable

_UNREACHABLE = (
    "could not connect",
    "connection to server",
    "connection refused",
    "password authentication failed",
    "no password supplied",
    "the database system is",
    "server closed the connection",
)
_OVERRULING = ("PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGOPTIONS")
"""Of a person's environment: they would outweigh the host, the role or the settings that we name (manual, 34.1.2, 34.15, 34.17)."""
STEADY_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "row_security": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "search_path": "pg_catalog",
    "client_min_messages": "warning",
}
"""Settings under which a value has one text form, whatever the server, the database or the role prefers."""


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier (PostgreSQL manual, 4.1.1)."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a quoted SQL string constant, safe whatever `standard_conforming_strings` is (manual, 4.1.2)."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def connection_value(text: str) -> str:
    """`text` as a quoted value of a libpq connection string (manual, 34.1.1.1)."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass(frozen=True)
class Connection:
    """A server, the account to use on it, and where its client programs are.

    Attributes:
        host: Name, address or socket folder; empty for the default socket.
        port: TCP port, or the number in the socket's name.
        user: Role to log in as.
        password: Its password; empty for none (peer, trust, certificates, password file).
        maintenance_database: Database to be connected to while others are created or renamed.
        ssl_mode: libpq's `sslmode`; empty for its default.
        ca_file: Certificates that the server's must lead to; empty for libpq's default.
        connect_timeout_s: Seconds to wait for a connection.
        place: Where the client programs run.
    """

    host: str = ""
    port: int = 5432
    user: str = "postgres"
    password: str = field(default="", repr=False)
    maintenance_database: str = "postgres"
    ssl_mode: str = ""
    ca_file: str = ""
    connect_timeout_s: int = 10
    place: Place = field(default_factory=Place)

    def __str__(self) -> str:
        where = f"{self.host or 'local socket'}:{self.port}"
        return where if self.place.is_host else f"{where} from {self.place}"

    def command(
        self,
        program: str,
        *arguments: str,
        database: t.Optional[str] = None,
        settings: t.Optional[t.Mapping[str, str]] = None,
        timeout_s: t.Optional[float] = None,
    ) -> Command:
        """A client program's call, logged in by libpq's environment variables (manual, 34.15).

        Args:
            program: `psql`, `pg_dump`, ...
            arguments: Its arguments.
            database: Database to connect to; None for the maintenance database.
            settings: Server settings for the session.
            timeout_s: Seconds after which it is ended.
        """
        environment = {
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGDATABASE": self.maintenance_database if database is None else database,
            "PGCONNECT_TIMEOUT": str(self.connect_timeout_s),
            "PGAPPNAME": "sre.runbooks",
            "PGCLIENTENCODING": "UTF8",
        }
        if self.host:
            environment["PGHOST"] = self.host
        if self.ssl_mode:
            environment["PGSSLMODE"] = self.ssl_mode
        if self.ca_file:
            environment["PGSSLROOTCERT"] = self.ca_file
        if settings:
            environment["PGOPTIONS"] = " ".join(f"-c {name}={_option(value)}" for name, value in settings.items())
        return Command(
            [self.place.program(program), *arguments],
            place=self.place,
            environment=environment,
            secrets={"PGPASSWORD": self.password} if self.password else {},
            timeout_s=timeout_s,
            without=_OVERRULING,
        )

    def ask(self, sql: str, *, database: t.Optional[str] = None, settings: t.Optional[t.Mapping[str, str]] = None) -> str:
        """Run SQL and return what it prints: one row a line, columns separated by `|`, no headings.

        Raises:
            Unreachable: The server did not answer or refused the login.
            CommandFailed: The server refused the SQL.
        """
        command = self.command("psql", *_PSQL, database=database, settings=settings)
        try:
            return run(command, stdin=sql).stdout
        except CommandFailed as error:
            raise self.explain(error, database) from error

    def ask_json(self, sql: str, *, database: t.Optional[str] = None) -> t.Any:
        """Run SQL whose output is one JSON value and return it; None when it returns nothing or NULL."""
        text = self.ask(sql, database=database, settings=STEADY_SETTINGS).strip()
        return json.loads(text) if text else None

    def do(self, sql: str, *, database: t.Optional[str] = None) -> None:
        """Run SQL for its effect."""
        self.ask(sql, database=database)

    def explain(self, error: RunbookError, database: t.Optional[str] = None) -> RunbookError:
        """`error` of a client program as `Unreachable` where that is what it was."""
        if not isinstance(error, CommandFailed) or not any(words in error.why.lower() for words in _UNREACHABLE):
            return error
        wrong_login = "authentication failed" in error.why or "no password" in error.why
        return Unreachable(
            "PostgreSQL refused the login" if wrong_login else "PostgreSQL cannot be reached",
            where=f"{self}, role {self.user}" + (f", database {database}" if database else ""),
            why=error.why,
            next_step="check the role and its password in the inventory's secrets"
            if wrong_login
            else "check that the server runs and that host and port in the inventory are right",
        )


_PSQL = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1", "--no-password", "--file", "-")


def _option(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


class Session:
    """One psql that stays connected, so that statements share a transaction, a snapshot or a lock.

    Use as a context manager; leaving it ends the connection and with it an open transaction.
    """

    def __init__(self, connection: Connection, database: t.Optional[str] = None, settings: t.Optional[t.Mapping[str, str]] = None) -> None:
        self.connection, self.database = connection, database
        self._settings = STEADY_SETTINGS if settings is None else settings

    def __enter__(self) -> "Session":
        self._command = self.connection.command("psql", *_PSQL, database=self.database, settings=self._settings)
        self._said = tempfile.TemporaryFile()
        self._process = self._command.start(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said)
        self._to = t.cast("t.IO[bytes]", self._process.stdin)
        self._from = t.cast("t.IO[bytes]", self._process.stdout)
        return self

    def __exit__(self, *_error: t.Any) -> None:
        end(self._process)
        self._said.close()

    def send(self, sql: str) -> str:
        """Hand over one or more statements without waiting; returns the mark that `receive` waits for."""
        mark = uuid.uuid4().hex
        try:
            self._to.write(f"{sql}\n;\n\\echo {mark}\n".encode())
            self._to.flush()
        except BrokenPipeError:
            self._fail()
        return mark

    def receive(self, mark: str) -> str:
        """Wait for the statements of `send` and return what they printed.

        Raises:
            Unreachable: The connection could not be made or was lost.
            CommandFailed: The server refused a statement; the session is over.
        """
        lines: t.List[str] = []
        for line in self._from:
            text = line.decode(errors="replace")
            if text.rstrip("\n") == mark:
                return "".join(lines)
            lines.append(text)
        self._fail()

    def ask(self, sql: str) -> str:
        """`send` and `receive` in one."""
        return self.receive(self.send(sql))

    def ask_json(self, sql: str) -> t.Any:
        """Like `Connection.ask_json`, in this session."""
        text = self.ask(sql).strip()
        return json.loads(text) if text else None

    def _fail(self) -> t.NoReturn:
        self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        raise self.connection.explain(self._command.failure(self._command.status(self._process), said), self.database)
