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

import os
import subprocess
import time
import typing as t
from dataclasses import dataclass

from ..command import Command
from ..errors import BadInput, CommandFailed, DeadlineExceeded, RunbookError
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


def _has_saved(client: Client, moment: Moment, progress: Progress) -> bool:
    state = client.info("persistence")
    if state["rdb_bgsave_in_progress"]:
        saved, keys = state.get("current_save_keys_processed", 0), state.get("current_save_keys_total", 0)
        progress.say("the server saves", saved, max(keys, saved + 1), "keys")
        return False
    if state["rdb_last_bgsave_status"] != "ok" or int(client.call("LASTSAVE")) < moment.at:
        raise _not_saved(client, state)
    return True


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


class SavedFile:
    """The file that the server saves at our demand, once another save that may be under way has ended; has `read` as files do.

    On this host it is read while the server writes it, front to back (rdbSaveRio in rdb.c), under its temporary name `temp-<process>.rdb`;
    in a container or pod by `cat` once it is complete.

    Attributes:
        moment: The moment that it holds; known once the block is entered.
    """

    moment: Moment

    def __init__(self, client: Client, path: str, timeout_s: float, progress: Progress) -> None:
        """Args:
        client: A connection to the server.
        path: The server's file, as it is seen where the server is.
        timeout_s: Seconds until it must be saved.
        progress: Told how far the server is.
        """
        self._client, self._path, self._progress = client, path, progress
        self._timeout_s, self._give_up = timeout_s, 0.0
        self._pipeline: t.Optional[Pipeline] = None
        self._stream: t.Optional[t.IO[bytes]] = None
        self._others: t.FrozenSet[str] = frozenset()
        self._saved = False

    def __enter__(self) -> "SavedFile":
        """Raises:
        CommandFailed: The server may not be asked to save, or could not.
        DeadlineExceeded: It took too long.
        Unreachable: It went away.
        """
        place = self._client.server.place
        self._others = frozenset(self._unfinished() if place.is_host else ())
        self._give_up = time.monotonic() + self._timeout_s
        self.moment = _begin(self._client, self._give_up, self._progress)
        if not place.is_host:
            while not self._saved:
                self._look()
            self._pipeline = Pipeline(Command(["cat", self._path], place=place), stdin=subprocess.DEVNULL)
            self._stream = self._pipeline.__enter__().stdout
        return self

    def __exit__(self, kind: t.Any, error: t.Any, trace: t.Any) -> None:
        if self._pipeline is not None:
            self._pipeline.__exit__(kind, error, trace)
        elif self._stream is not None:
            self._stream.close()

    def read(self, size: int = 1 << 20) -> bytes:
        """The next bytes; none at the end.

        Raises:
            CommandFailed: The server could not save.
            DeadlineExceeded: It took too long.
            RunbookError: Another file took the place of the one that was read.
            Unreachable: The server went away.
        """
        while True:
            if self._stream is None:
                self._stream = self._opened()
            block = self._stream.read(size) if self._stream is not None else b""
            if block or (self._saved and self._pipeline is not None):
                return block
            if not self._saved:
                self._look()
            elif self._stream is not None:
                self._require_the_saved_one(self._stream)
                return b""

    def _look(self) -> None:
        """Ask the server whether it has saved; wait a little when it has not."""
        self._saved = _has_saved(self._client, self.moment, self._progress)
        if not self._saved:
            _wait(self._give_up, "The server did not finish its save", self._client.server)

    def _unfinished(self) -> t.List[str]:
        """Files that the server writes, or once wrote and did not complete; none where its folder may not be listed."""
        folder = os.path.dirname(self._path)
        try:
            return [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith("temp-") and name.endswith(".rdb")]
        except OSError:
            return []

    def _opened(self) -> t.Optional[t.IO[bytes]]:
        """The file under way; the complete one when none was seen."""
        if self._saved:
            try:
                return open(self._path, "rb", buffering=0)
            except OSError as error:
                lost = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError))
                what = "The saved file is not where it was looked for" if lost else "The saved file cannot be read"
                next_step = ("correct rdb_file" if lost else "let the account of the run read it") + ", or take the method stream"
                raise BadInput(what, where=self._path, why=str(error.strerror), next_step=next_step) from error
        for path in self._unfinished():
            if path not in self._others:
                try:
                    return open(path, "rb", buffering=0)
                except OSError:  # it has its name by now, or may not be read before that
                    continue
        return None

    def _require_the_saved_one(self, stream: t.IO[bytes]) -> None:
        read, saved = os.fstat(stream.fileno()), os.stat(self._path)
        if (read.st_dev, read.st_ino) != (saved.st_dev, saved.st_ino):
            raise RunbookError(
                "The server's file is another one than was read",
                where=self._path,
                why="the server saved once more, or its file is elsewhere",
                next_step="run the backup again; if this repeats, correct rdb_file of the store, or take the method stream",
            )
