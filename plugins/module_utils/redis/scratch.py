# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A Redis server for one look at a set: made of its file, reached through a socket file in a private folder, and gone afterwards.

It is a replica of nobody: a replica does not drop keys that have expired when it loads a file (rdbLoadRioWithLoadingCtx in rdb.c), so that
what it holds can be compared with what was backed up, however old the set is.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import typing as t
from contextlib import contextmanager

from ..command import Command
from ..command import end as end_process
from ..errors import CommandFailed, DeadlineExceeded, NoSpace, RunbookError
from ..files import keep_reserve
from ..process_tree import was_killed
from .client import Client, Server
from .programs import Programs

SOCKET = "s"
_DISCARD_PORT = 9
"""Nobody is its master: this port is reserved for a service that sends nothing (RFC 863)."""
_MEMORY_RESERVE_BYTES = 128_000_000


def require_memory(needed_bytes: int) -> None:
    """Raise NoSpace unless this host has so much memory to spare (MemAvailable in proc(5)), and a reserve."""
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:
            free = next(int(line.split()[1]) * 1024 for line in stream if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return
    if free < needed_bytes + _MEMORY_RESERVE_BYTES:
        raise NoSpace(
            "There is too little memory to try the set in a server of its own",
            where="this host",
            why=f"about {needed_bytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free",
            next_step="free memory, or rehearse on a larger host; nothing was changed",
            facts={"needed_bytes": needed_bytes, "free_bytes": free},
        )


@contextmanager
def scratch_server(
    folder: str,
    programs: Programs,
    *,
    rdb_name: str = "dump.rdb",
    databases: int = 16,
    append_names: t.Optional[t.Mapping[str, str]] = None,
    account: str = "",
    timeout_s: float = 600,
) -> t.Iterator[Client]:
    """Load the file of a folder into a server of its own, while the block runs.

    Args:
        folder: Where the file is; what the server writes, it writes there.
        programs: The server's programs.
        rdb_name: Name of the file.
        databases: How many databases it must have.
        append_names: Its settings `appendfilename` and `appenddirname` where they are not the usual ones.
        account: Account of this host to run it as; empty for our own.
        timeout_s: Seconds until it must have loaded the file.

    Raises:
        CommandFailed: It does not start, or cannot load the file; `facts` has `loads: False` when that is the file's fault.
        DeadlineExceeded: It takes too long.
    """
    status = os.stat(folder)
    name = f"sre-runbooks-scratch-{os.getpid()}-{time.monotonic_ns()}"
    argv = programs.argv(programs.server, "-", folder=folder, owner=(status.st_uid, status.st_gid), name=name)
    settings = {
        "port": "0",
        "unixsocket": SOCKET,
        "unixsocketperm": "700",
        "dir": programs.inside(folder),
        "dbfilename": rdb_name,
        "databases": str(databases),
        "replicaof": f"127.0.0.1 {_DISCARD_PORT}",
        "save": '""',
        "appendonly": "no",
        "maxmemory": "0",
        "daemonize": "no",
        "logfile": '""',
        "loglevel": "notice",
        **(append_names or {}),
    }
    with tempfile.TemporaryFile() as said:
        process = Command(argv, account=account).start(stdin=subprocess.PIPE, stdout=said, stderr=said)
        try:
            _configure(process, settings)
            server = Server(socket_file=os.path.join(folder, SOCKET), timeout_s=timeout_s)

            def look() -> None:
                keep_reserve(folder)
                if process.poll() is not None:
                    raise _not_loaded(folder, _end_of(said), process.returncode)

            client = _loaded(server, timeout_s, look, folder)
            try:
                yield client
            finally:
                _shut_down(client, process)
        finally:
            end_process(process)
            if programs.image:
                programs.remove_leftovers(os.path.dirname(folder))
            for left in (SOCKET,):
                if os.path.lexists(os.path.join(folder, left)):
                    os.unlink(os.path.join(folder, left))


def _configure(process: "subprocess.Popen[bytes]", settings: t.Mapping[str, str]) -> None:
    lines = "".join(f"{key} {value if key in ('replicaof', 'save', 'logfile') else _quoted(value)}\n" for key, value in settings.items())
    try:
        stdin = t.cast("t.IO[bytes]", process.stdin)
        stdin.write(os.fsencode(lines))
        stdin.close()
    except BrokenPipeError:
        pass  # it has ended; what it said is told when it is looked at


def _quoted(value: str) -> str:
    """A value as sdssplitargs in sds.c reads it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _loaded(server: Server, timeout_s: float, look: t.Callable[[], None], folder: str) -> Client:
    try:
        return server.wait_until_it_serves(timeout_s, look)
    except RunbookError as error:
        if error.kind != "Unreachable":
            raise
        look()
        raise DeadlineExceeded(
            f"The file was not loaded within {timeout_s:g} s", where=folder, why=error.why, next_step="allow more time (start_timeout_s)"
        ) from error


def _end_of(said: t.IO[bytes]) -> str:
    size = os.fstat(said.fileno()).st_size
    return os.pread(said.fileno(), 4000, max(0, size - 4000)).decode("utf-8", "replace")


def _not_loaded(folder: str, said: str, status: int) -> CommandFailed:
    if was_killed(status):
        step = "see whether memory was short, then try it again; the live server is as it was"
        return CommandFailed("A server of its own was killed while it loaded the file", where=folder, next_step=step)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in ("rror", "atal", "FATAL", "ailed", "rong", "xpected", "denied"))]
    of_file = any(word in said for word in ("RDB", "rdb"))
    return CommandFailed(
        "A server of its own could not load the file",
        where=folder,
        why="; ".join((telling or lines)[-3:])[-600:] or "it ended without a word",
        next_step="use another set; the live server is as it was",
        facts={"tool": "redis-server", "loads": not of_file},
    )


def _shut_down(client: Client, process: "subprocess.Popen[bytes]") -> None:
    try:
        client.pipeline([("SHUTDOWN", "NOSAVE")])
    except RunbookError:
        pass  # it answers by closing the connection
    client.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        pass


def write_append_only(client: Client, timeout_s: float) -> None:
    """Let a server write its data as the append-only files that it would begin with itself, and wait until they are complete.

    Raises:
        CommandFailed: It could not.
        DeadlineExceeded: It took too long.
    """
    client.call("REPLICAOF", "NO", "ONE")
    client.call("CONFIG", "SET", "appendonly", "yes")
    give_up = time.monotonic() + timeout_s
    while True:
        state = client.info("persistence")
        if not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]):
            break
        if time.monotonic() > give_up:
            raise DeadlineExceeded("The append-only files were not written in time", where=str(client.server))
        time.sleep(0.05)
    if state["aof_last_bgrewrite_status"] != "ok" or not state["aof_enabled"]:
        raise CommandFailed(
            "The append-only files could not be written",
            where=str(client.server),
            why=f"aof_last_bgrewrite_status is {state['aof_last_bgrewrite_status']}",
            next_step="free space beside the server's data; the live server is as it was",
        )
