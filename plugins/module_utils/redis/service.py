# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How a Redis server is stopped and started, and which files of its data folder it begins with."""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import dataclass, replace

from ..command import Command, run
from ..errors import BadInput, CommandFailed, DeadlineExceeded, Unreachable
from ..process_tree import start_of
from .client import Client, Server

_POLL_S = 0.05
_SILENT_S = 10.0
"""A server that was started and says nothing for so long, not even that it loads its data, has ended."""
_SAVES_AT_LAST = "86400 1"
"""With any rule for saves a server saves when it is told to end (prepareForShutdown in server.c); this one does not come true before."""


@dataclass(frozen=True)
class Files:
    """Names of what is in a data folder.

    Attributes:
        rdb: The RDB file.
        append_file: The append-only file, or the beginning of their names (setting `appendfilename`).
        append_folder: Their folder, from Redis 7 on (setting `appenddirname`).
        append_only: Whether the server begins with its append-only files, and ignores the RDB file.
    """

    rdb: str = "dump.rdb"
    append_file: str = "appendonly.aof"
    append_folder: str = "appendonlydir"
    append_only: bool = False

    def entries(self) -> t.List[str]:
        """All of them, that which the server begins with first."""
        append = [self.append_folder, self.append_file]
        return [*append, self.rdb] if self.append_only else [self.rdb]

    def settings(self) -> t.Dict[str, str]:
        """As settings of another server, where they are not the usual ones."""
        usual = Files()
        found = {} if self.append_file == usual.append_file else {"appendfilename": self.append_file}
        return found if self.append_folder == usual.append_folder else {**found, "appenddirname": self.append_folder}


@dataclass(frozen=True)
class Service:
    """A server whose data folder is on this host.

    Attributes:
        server: How to reach it.
        data_folder: The folder.
        account: Account that the server runs as; empty for our own.
        stop_command: Argument list that stops it; empty to tell it to shut down.
        start_command: Argument list that starts it.
        waits: Whether the start command ends when the server has been started (systemctl), instead of being the server itself.
        log_file: Where a server that is started by its own program writes its messages; empty for nowhere.
        timeout_s: Seconds until it must have ended, or loaded its data.
    """

    server: Server
    data_folder: str
    account: str = ""
    stop_command: t.Sequence[str] = ()
    start_command: t.Sequence[str] = ()
    waits: bool = True
    log_file: str = ""
    timeout_s: float = 600

    def stop(self) -> None:
        """Stop it, its data saved; nothing happens when it does not run.

        Raises:
            RunbookError: It does not end.
        """
        try:
            client = self.server.connect()
        except Unreachable as error:
            if self.stop_command:
                run(Command(list(self.stop_command), timeout_s=self.timeout_s), check=False)  # it may be started again and again
            if "code" in error.facts and not self.stop_command:
                raise
            self._wait_until_gone(0, "")
            return
        with client:
            pid = int(client.info("server").get("process_id", 0))
            born = start_of(pid) if self.server.place.is_host else ""
            if not client.setting("save") and client.setting("appendonly") == "no":
                client.pipeline([("CONFIG", "SET", "save", _SAVES_AT_LAST)])
            if self.stop_command:
                run(Command(list(self.stop_command), timeout_s=self.timeout_s))
            else:
                client.wait_at_most(self.timeout_s)
                self._shut_down(client)
        self._wait_until_gone(pid, born)

    def _shut_down(self, client: Client) -> None:
        try:
            reply = client.pipeline([("SHUTDOWN",)])[0]
        except Unreachable:
            return  # it answers by closing the connection
        raise CommandFailed("The server does not shut down", where=str(self.server), why=str(reply)[:300], next_step="look at its log")

    def _wait_until_gone(self, pid: int, born: str) -> None:
        give_up = time.monotonic() + self.timeout_s
        while self.server.is_up() or (born and start_of(pid) == born):
            if time.monotonic() > give_up:
                raise DeadlineExceeded(
                    f"The server did not end within {self.timeout_s:g} s",
                    where=str(self.server),
                    why="it may be started again by its service manager",
                    next_step="name the command that stops it (server_stop_command)",
                )
            time.sleep(_POLL_S)

    def start(self) -> Client:
        """Start it unless it runs, and wait until it serves.

        Raises:
            RunbookError: It does not.
        """
        if not self.server.is_up():
            if not self.start_command:
                raise no_start(self)
            self._launch()
        try:
            return self.server.wait_until_it_serves(self.timeout_s, silent_s=_SILENT_S)
        except Unreachable as error:
            raise CommandFailed(
                "The server did not start", where=str(self.server), why=error.why, next_step="look at its log", facts=error.facts
            ) from error

    def _launch(self) -> None:
        if self.waits:
            run(Command(list(self.start_command), timeout_s=self.timeout_s, outlives=True))
            return
        with open(self.log_file or os.devnull, "ab") as log:
            process = Command(list(self.start_command), account=self.account, folder=self.data_folder, outlives=True).start(
                stdout=log, stderr=log
            )
        give_up = time.monotonic() + min(self.timeout_s, 30)
        while not self.server.is_up():
            if process.poll() is not None and process.returncode != 0:
                raise CommandFailed(
                    "The server did not start", where=self.data_folder, why=f"it ended with {process.returncode}; see its log"
                )
            if time.monotonic() > give_up:
                raise CommandFailed(
                    "The server did not start", where=self.data_folder, why="it does not answer", next_step="look at its log"
                )
            time.sleep(_POLL_S)


def no_start(service: Service) -> BadInput:
    return BadInput(
        "It is not known how to start the server",
        where=str(service.server),
        why="it does not run, or runs without a configuration file",
        next_step="name the command in the store of the profile (server_start_command)",
    )


def with_start(service: Service, journal: t.Mapping[str, t.Any]) -> Service:
    """The service, started as it was known when an exchange was begun."""
    return replace(service, start_command=journal["start_command"], waits=journal["waits"])
