# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checksums taken while a transfer goes on, and what has come brought to disk, so that they cost no time of their own."""

from __future__ import annotations

import os
import threading
import typing as t

from .hashing import hash_file

_POLL_S = 0.1
_UNFINISHED = ".partial"
"""Ending of the names under which rclone writes files (rclone manual, `--inplace`: they are renamed when whole). Before 1.63 it had
none, and a file may be hashed too early; `check_files` reads it again."""

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
    """Hashes the files of a folder as they get their final names, and brings each to disk, while the block runs.

    Leaving the block without an error, all files have been hashed and synced.

    Attributes:
        sha256: Path below the folder -> SHA-256.

    Raises:
        OSError: On leaving: a file could not be brought to disk.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._ended, self._cut, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._taken: t.Set[str] = set()
        self._workers: t.List[InBackground[None]] = []
        self.sha256: t.Dict[str, str] = {}

    def __enter__(self) -> "Arrivals":
        # While one waits for the disk the other one hashes.
        self._workers = [InBackground(self._follow) for _number in range(2)]
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

    def _follow(self) -> None:
        last = False
        while not last:
            last = self._ended.wait(_POLL_S)
            for top, _folders, names in os.walk(self._folder):
                for name in names:
                    path = os.path.relpath(os.path.join(top, name), self._folder)
                    if not name.endswith(_UNFINISHED) and not self._cut.is_set() and self._take(path):
                        self._arrive(path)

    def _take(self, path: str) -> bool:
        """Whether nobody has this file yet; it is the caller's from then on."""
        with self._lock:
            is_new = path not in self._taken
            self._taken.add(path)
        return is_new

    def _arrive(self, path: str) -> None:
        try:
            with open(os.path.join(self._folder, path), "rb") as stream:
                self.sha256[path] = hash_file(stream.name)[0]
                os.fsync(stream.fileno())
        except FileNotFoundError:  # it is being sent again
            self._taken.discard(path)
