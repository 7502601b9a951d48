# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Looking at a Redis server that may run or not: where its files and programs are, how it is stopped and started."""

from __future__ import annotations

import os
import pwd
import typing as t
from dataclasses import dataclass

from ..command import Place
from ..errors import BadInput, Unreachable, WrongTarget
from .client import Client, Server
from .exchange import read_journal
from .programs import Programs, mounted_folder, programs_in_image, programs_on_host
from .service import Files, Service, no_start

IN_A_POD = "The files of a server in a pod cannot be exchanged from outside"


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
    """

    service: Service
    files: Files
    programs: Programs
    runs: bool


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
            IN_A_POD,
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
    server, info = client.server, client.info("server", "replication")
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
        program, configuration = _executable(info, programs), str(info.get("config_file", ""))
        start, waits = ([program, configuration] if program and configuration else []), False
    return Found(_service(server, wishes, folder, start, waits), files, programs, True)


def _executable(info: t.Mapping[str, t.Any], programs: Programs) -> str:
    """The program that runs; one that was started by its bare name says that it lies in its working folder, where it is not."""
    program = str(info.get("executable", ""))
    return program if os.access(program, os.X_OK) else Place().program(programs.server)


def _found_down(server: Server, wishes: Wishes, append_only: bool) -> Found:
    folder = wishes.data_folder
    if not folder and wishes.rdb_file:
        inside = os.path.dirname(wishes.rdb_file)
        folder = mounted_folder(server.place, inside) if server.place.container else inside
    usual = Files()
    kept = bool(folder) and any(os.path.lexists(os.path.join(folder, name)) for name in (usual.append_folder, usual.append_file))
    has_rdb = bool(folder) and os.path.lexists(os.path.join(folder, os.path.basename(wishes.rdb_file) or usual.rdb))
    files = Files(rdb=os.path.basename(wishes.rdb_file) or usual.rdb, append_only=kept or (append_only and not has_rdb))
    begun = read_journal(os.path.realpath(folder)) if folder else None
    start, waits = list(wishes.start_command), True
    if begun and not start:  # a run was killed after it had stopped the server
        start, waits = begun["start_command"], begun["waits"]
    return Found(_service(server, wishes, folder, start, waits), files, _programs(server, "", None), False)


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
        raise no_start(service)
    return service


def _owner(folder: str) -> str:
    try:
        return pwd.getpwuid(os.stat(folder).st_uid).pw_name if os.geteuid() == 0 else ""
    except KeyError:
        return ""
