# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checksums taken while a transfer goes on, and what has come brought to disk, so that they cost no time of their own."""

from __future__ import annotations

import hashlib
import os
import threading
import typing as t

from ..files import fsync_path
from .hashing import BLOCK_BYTES, feed

_POLL_S = 0.1

Result = t.TypeVar("Result")


class InBackground(t.Generic[Result]):
    """A function at work in a thread of its own."""

    def __init__(self, work: t.Callable[[], Result]) -> None:
        self._work = work
        self._result: t.List[Result] = []
        self._error: t.List[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:  # raised in the caller's thread
            self._error.append(error)

    def result(self) -> Result:
        """What the function returned, when it has; its error is raised."""
        self._thread.join()
        if self._error:
            raise self._error[0]
        return self._result[0]


class Arrivals:
    """Hashes the files of a folder while another program writes them, and brings them to disk, as long as the block runs.

    Files are followed by their inodes, as rclone gives each its name when it is whole. One that was not written front to back, or was
    begun anew, gets a SHA-256 that is not its own: whoever compares it reads the file once more (`check_files`).

    Raises:
        OSError: On leaving the block without another error: a file could not be brought to disk.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._ended, self._cut = threading.Event(), threading.Event()
        self._known: t.Dict[int, t.Tuple[t.Any, int]] = {}
        self._workers: t.List[InBackground[None]] = []

    def __enter__(self) -> "Arrivals":
        self._workers = [InBackground(self._hash), InBackground(self._sync)]
        return self

    def __exit__(self, kind: t.Any, *_error: t.Any) -> None:
        if kind is not None:
            self._cut.set()
        self._ended.set()
        for worker in self._workers:
            try:
                worker.result()
            except OSError:
                if kind is None:
                    raise

    def sha256(self) -> t.Dict[str, str]:
        """When the block has ended: path below the folder -> SHA-256 of what was read of it."""
        found = {os.path.relpath(path, self._folder): self._known.get(inode) for path, inode, _size in _files(self._folder)}
        return {path: known[0].hexdigest() for path, known in found.items() if known is not None}

    def _rounds(self) -> t.Iterator[t.Iterator[t.Tuple[str, int, int]]]:
        """The files, again and again, and once more when all have come."""
        ended = False
        while not ended:
            ended = self._ended.wait(_POLL_S)
            if not self._cut.is_set():
                yield _files(self._folder)

    def _hash(self) -> None:
        block = bytearray(BLOCK_BYTES)
        for files in self._rounds():
            for path, inode, size in files:
                digest, done = self._known.get(inode) or (hashlib.sha256(), 0)
                if size <= done:
                    continue
                try:
                    with open(path, "rb", buffering=0) as stream:
                        stream.seek(done)
                        done += feed(stream, block, digest)
                except OSError:  # it has another name now, or is read again, and told, when all is there
                    continue
                self._known[inode] = (digest, done)

    def _sync(self) -> None:
        synced: t.Dict[int, int] = {}
        for files in self._rounds():
            for path, inode, size in files:
                if synced.get(inode) == size:
                    continue
                try:
                    fsync_path(path)
                except FileNotFoundError:
                    continue
                synced[inode] = size


def _files(folder: str) -> t.Iterator[t.Tuple[str, int, int]]:
    """Path, inode and size of every file below a folder that is there by now."""
    for top, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue
            yield path, status.st_ino, status.st_size
