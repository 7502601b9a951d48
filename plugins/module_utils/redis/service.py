# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How a Redis server is stopped and started, and which files of its data folder it begins with."""

from __future__ import annotations

import os
import pwd
import time
import typing as t
from dataclasses import dataclass, replace

from ..command import Command, run
from ..errors import BadInput, CommandFailed, DeadlineExceeded, Unreachable, WrongTarget
from ..process_tree import start_of
from .client import Client, Server
from .programs import Programs, mounted_folder, programs_in_image, programs_on_host

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
                raise _no_start(self)
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


@dataclass(frozen=True)
class Wishes:
    """What a profile says of a server's files.

    Attributes:
        data_folder: The folder on this host; empty to ask the server.
        rdb_file: The RDB file; empty to ask the server.
        account: Account that the server runs as; empty for the owner of its data folder.
        stop_command: Argument list that stops it; empty for the default.
        start_command: Argument list that starts it; empty for the default.
        log_file: Log of a server that is started by its program.
        timeout_s: Seconds until it must have loaded its data.
    """

    data_folder: str = ""
    rdb_file: str = ""
    account: str = ""
    stop_command: t.Sequence[str] = ()
    start_command: t.Sequence[str] = ()
    log_file: str = ""
    timeout_s: float = 600


@dataclass(frozen=True)
class Found:
    """A server as it was found: how to stop and start it, its files, its programs.

    Attributes:
        runs: Whether it runs.
        used_memory_bytes: Memory that its data takes; 0 when it does not run.
    """

    service: Service
    files: Files
    programs: Programs
    runs: bool
    used_memory_bytes: int = 0


def find(server: Server, wishes: Wishes, append_only: bool = False) -> Found:
    """Look at a server, which may run or not.

    Args:
        server: How to reach it.
        wishes: What the profile says.
        append_only: Whether it is taken for one that begins with its append-only files, where it does not run and has none.

    Raises:
        BadInput: Its data folder, or how to start it, is not known.
        WrongTarget: It is a replica.
        Unreachable: It refuses us.
    """
    if server.place.pod:
        raise BadInput(
            "The files of a server in a pod cannot be exchanged from outside",
            where=str(server),
            next_step="run the restore where the pod's volume is mounted, with data_folder, server_stop_command and server_start_command",
        )
    try:
        client: t.Optional[Client] = server.connect()
    except Unreachable as error:
        if "code" in error.facts:
            raise
        client = None
    if client is None:
        return _found_down(server, wishes, append_only)
    with client:
        return _found_running(client, wishes)


def _found_running(client: Client, wishes: Wishes) -> Found:
    server, info = client.server, client.info("server", "memory", "replication")
    if info.get("role") == "slave":
        raise WrongTarget(
            "The server is a replica, which gets its data from its master",
            where=str(server),
            why=f"its master is {info.get('master_host')}:{info.get('master_port')}",
            next_step="restore on the master",
        )
    inside = client.setting("dir")
    folder = wishes.data_folder or (mounted_folder(server.place, inside) if server.place.container else inside)
    files = Files(
        rdb=client.setting("dbfilename") or os.path.basename(wishes.rdb_file) or "dump.rdb",
        append_file=client.setting("appendfilename") or "appendonly.aof",
        append_folder=client.setting("appenddirname") or "appendonlydir",
        append_only=client.setting("appendonly") == "yes",
    )
    programs = _programs(server, os.path.basename(str(info.get("executable", ""))), client)
    start, waits = list(wishes.start_command), True
    if not start and not server.place.container:
        program, configuration = str(info.get("executable", "")), str(info.get("config_file", ""))
        start, waits = ([program, configuration] if program and configuration else []), False
    return Found(_service(server, wishes, folder, start, waits), files, programs, True, int(info["used_memory"]))


def _found_down(server: Server, wishes: Wishes, append_only: bool) -> Found:
    folder = wishes.data_folder
    if not folder and wishes.rdb_file:
        inside = os.path.dirname(wishes.rdb_file)
        folder = mounted_folder(server.place, inside) if server.place.container else inside
    usual = Files()
    kept = bool(folder) and any(os.path.lexists(os.path.join(folder, name)) for name in (usual.append_folder, usual.append_file))
    has_rdb = bool(folder) and os.path.lexists(os.path.join(folder, os.path.basename(wishes.rdb_file) or usual.rdb))
    files = Files(rdb=os.path.basename(wishes.rdb_file) or usual.rdb, append_only=kept or (append_only and not has_rdb))
    return Found(_service(server, wishes, folder, list(wishes.start_command), True), files, _programs(server, "", None), False)


def _programs(server: Server, program: str, client: t.Optional[Client]) -> Programs:
    if server.place.container:
        return programs_in_image(server.place, program if program in ("redis-server", "valkey-server") else "")
    return programs_on_host(server.place.tool_folder, client)


def _service(server: Server, wishes: Wishes, folder: str, start: t.Sequence[str], waits: bool) -> Service:
    if not folder or not os.path.isdir(folder):
        raise BadInput(
            "The server's data folder is not known" if not folder else "The server's data folder is not on this host",
            where=folder or str(server),
            next_step="name it in the store of the profile (data_folder)",
        )
    place = server.place
    stop = list(wishes.stop_command)
    if place.container:
        stop = stop or [place.engine, "stop", place.container]
        start = start or [place.engine, "start", place.container]
    folder = os.path.realpath(folder)
    service = Service(
        server=server,
        data_folder=folder,
        account=wishes.account or _owner(folder),
        stop_command=stop,
        start_command=start,
        waits=waits,
        log_file=wishes.log_file,
        timeout_s=wishes.timeout_s,
    )
    if not start:
        raise _no_start(service)
    return service


def _no_start(service: Service) -> BadInput:
    return BadInput(
        "It is not known how to start the server",
        where=str(service.server),
        why="it does not run, or runs without a configuration file",
        next_step="name the command in the store of the profile (server_start_command)",
    )


def _owner(folder: str) -> str:
    try:
        return pwd.getpwuid(os.stat(folder).st_uid).pw_name if os.geteuid() == 0 else ""
    except KeyError:
        return ""


def with_start(service: Service, journal: t.Mapping[str, t.Any]) -> Service:
    """The service, started as it was known when an exchange was begun."""
    return replace(service, start_command=journal["start_command"], waits=journal["waits"])
