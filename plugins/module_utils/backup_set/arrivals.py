# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checksums taken while a transfer goes on, so that they cost no time of their own."""

from __future__ import annotations

import os
import threading
import typing as t

from .hashing import SEAL_FILES, hash_file

_POLL_S = 0.1
_UNFINISHED = ".partial"
"""Ending of the names under which rclone writes files (rclone manual, `--inplace`: they are renamed once they are whole and compared)."""

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
    """Hashes the files of a folder as they get their final names, while the block runs.

    Attributes:
        sha256: Path below the folder -> SHA-256, of those that were hashed so far.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._done = threading.Event()
        self.sha256: t.Dict[str, str] = {}
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "Arrivals":
        self._thread.start()
        return self

    def __exit__(self, *_error: t.Any) -> None:
        self._done.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._done.wait(_POLL_S):
            for top, _folders, names in os.walk(self._folder):
                for name in names:
                    path = os.path.relpath(os.path.join(top, name), self._folder)
                    if path in self.sha256 or path in SEAL_FILES or name.endswith(_UNFINISHED) or self._done.is_set():
                        continue
                    try:
                        self.sha256[path] = hash_file(os.path.join(top, name))[0]
                    except OSError:  # it is read again, and told, when all is there
                        continue
