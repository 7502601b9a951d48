# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The two ways to an RDB file of a running server: let it save one and read that when it is done, or be its replica for once.

A save (BGSAVE) is written by a child of the server under a temporary name and renamed when it is complete (rdbSave in rdb.c); the server
tells its end by `rdb_bgsave_in_progress`, whether it went well by `rdb_last_bgsave_status`, and when by LASTSAVE. A replica that asks by
SYNC is sent the file itself, its length in front, or, where the server sends it without a disk, a mark that comes again at its end
(replication.c, readSyncBulkPayload).
"""

from __future__ import annotations

import subprocess
import time
import typing as t
from dataclasses import dataclass

from ..command import Command
from ..errors import CommandFailed, DeadlineExceeded, RunbookError
from ..pipeline import Pipeline
from ..progress import Progress
from .client import Client, Server, text_of
from .content import Keyspace, keyspace, keyspace_of
from .protocol import ServerError

_POLL_S = 0.05
_MARK_BYTES = 40
"""CONFIG_RUN_ID_SIZE."""


@dataclass(frozen=True)
class Moment:
    """The moment whose state an RDB file holds.

    Attributes:
        at: Seconds since 1970-01-01 UTC by the server's clock.
        before: Its databases just before.
        after: Just after.
    """

    at: int
    before: Keyspace
    after: Keyspace


def save(client: Client, timeout_s: float, progress: Progress) -> Moment:
    """Let the server save, and wait until it has.

    Args:
        client: A connection to it.
        timeout_s: Seconds until it must be done; a save that is under way is waited for first.

    Raises:
        CommandFailed: It could not save.
        DeadlineExceeded: It took too long.
        Unreachable: The server went away.
    """
    give_up = time.monotonic() + timeout_s
    moment = _begin(client, give_up, progress)
    while True:
        state = client.info("persistence")
        if not state["rdb_bgsave_in_progress"]:
            break
        saved, keys = state.get("current_save_keys_processed", 0), state.get("current_save_keys_total", 0)
        progress.say("the server saves", saved, max(keys, saved + 1), "keys")
        _wait(give_up, "The server did not finish its save", client.server)
    finished = int(client.call("LASTSAVE"))
    if state["rdb_last_bgsave_status"] != "ok" or finished < moment.at:
        raise _not_saved(client, state)
    return moment


def _begin(client: Client, give_up: float, progress: Progress) -> Moment:
    while True:
        clock, before, reply, after = client.pipeline([("TIME",), ("INFO", "keyspace"), ("BGSAVE",), ("INFO", "keyspace")])
        if isinstance(clock, ServerError) or isinstance(before, ServerError):
            client.call("TIME")
            client.call("INFO", "keyspace")
        if isinstance(reply, ServerError):
            if "in progress" not in reply and "child" not in reply and "AOF" not in reply:
                raise CommandFailed(
                    "The server may not be asked to save",
                    where=str(client.server),
                    why=reply[:200],
                    next_step="let the user of the store run BGSAVE, or take the method stream (method of the store)",
                    facts={"code": reply.code},
                )
        elif "scheduled" not in text_of(reply):
            return Moment(int(clock[0]), keyspace_of(text_of(before)), keyspace_of(text_of(after)))
        progress.say("waiting for another save of the server")
        _wait(give_up, "Another save of the server did not end", client.server)


def _wait(give_up: float, what: str, server: Server) -> None:
    if time.monotonic() > give_up:
        raise DeadlineExceeded(
            f"{what} in time", where=str(server), next_step="allow more time (timeout of the backup), or see what holds it up"
        )
    time.sleep(_POLL_S)


def _not_saved(client: Client, state: t.Mapping[str, t.Any]) -> RunbookError:
    return CommandFailed(
        "The server could not save its data",
        where=str(client.server),
        why=f"rdb_last_bgsave_status is {state['rdb_last_bgsave_status']}; most often its disk is full or it lacks memory",
        next_step="look at the server's log, free space in its data folder, then run the procedure again",
        changed=False,
        facts={"status": state["rdb_last_bgsave_status"]},
    )


class Stream:
    """An RDB file on its way from a server that takes us for a replica; has `read` as files do.

    Attributes:
        size_bytes: Its size; None when the server does not know it beforehand.
        moment: The moment that it holds.
    """

    def __init__(self, server: Server, timeout_s: float, progress: Progress) -> None:
        self._client, self._control = server.connect(), server.connect()
        self.size_bytes: t.Optional[int] = None
        self._mark = b""
        self._rest = b""
        self._left = 0
        self._ended = False
        try:
            self.moment = self._begin(timeout_s, progress)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_error: t.Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the server forgets its replica."""
        self._client.close()
        self._control.close()

    def _begin(self, timeout_s: float, progress: Progress) -> Moment:
        client = self._client
        # A replica that wants no more than the file gets no stream of changes after it; older servers do not know the word.
        client.pipeline([("REPLCONF", "rdb-only", 1)])
        before, clock = keyspace(self._control), self._control.call("TIME")
        client.wait_at_most(timeout_s)
        # Without `capa eof` the server saves at once and to its disk, instead of waiting for further replicas (repl-diskless-sync-delay).
        client.send(b"*1\r\n$4\r\nSYNC\r\n")
        progress.say("the server saves for us")
        line = self._line()
        after = keyspace(self._control)
        if not line.startswith(b"$"):
            said = line.decode("utf-8", "replace").lstrip("-")
            raise CommandFailed(
                "The server does not take us for a replica",
                where=str(client.server),
                why=said[:200],
                next_step="let the user of the store run SYNC (or PSYNC) and REPLCONF, or take the method rdb",
            )
        if line.startswith(b"$EOF:"):
            self._mark = line[5:]
        else:
            self.size_bytes = self._left = int(line[1:])
        return Moment(int(clock[0]), before, after)

    def _line(self) -> bytes:
        """The next line that is not empty: the server sends empty ones to show that it lives."""
        while True:
            self._rest = self._rest.lstrip(b"\r\n")
            line, end, rest = self._rest.partition(b"\n")
            if end:
                self._rest = rest
                return line.strip()
            self._rest += self._client.receive()

    def read(self, size: int = 1 << 20) -> bytes:
        """The next bytes; none at the end.

        Raises:
            Unreachable: The connection broke before the end.
        """
        if self._ended or (self.size_bytes is not None and not self._left):
            return b""
        if self.size_bytes is not None:
            block = self._rest or self._client.receive(size)
            block, self._rest = block[: self._left], b""
            self._left -= len(block)
            return block
        while True:
            self._rest += self._client.receive(size)
            if self._rest.endswith(self._mark):
                self._ended = True
                return self._rest[:-_MARK_BYTES]
            if len(self._rest) > _MARK_BYTES:
                block, self._rest = self._rest[:-_MARK_BYTES], self._rest[-_MARK_BYTES:]
                return block


class FileReader:
    """A file of the server's, read here, or by `cat` in its container or pod; a context manager that gives a stream."""

    def __init__(self, server: Server, path: str) -> None:
        self._server, self._path = server, path
        self._pipeline: t.Optional[Pipeline] = None
        self._stream: t.Optional[t.IO[bytes]] = None

    def __enter__(self) -> t.IO[bytes]:
        if self._server.place.is_host:
            self._stream = open(self._path, "rb", buffering=0)
            return self._stream
        self._pipeline = Pipeline(Command(["cat", self._path], place=self._server.place), stdin=subprocess.DEVNULL)
        return self._pipeline.__enter__().stdout

    def __exit__(self, kind: t.Any, error: t.Any, trace: t.Any) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._pipeline is not None:
            self._pipeline.__exit__(kind, error, trace)
