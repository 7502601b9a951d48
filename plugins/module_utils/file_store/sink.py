# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where an archive goes: through a compressor, and for secrets an encrypting program, into a file; hashed on its way."""

from __future__ import annotations

import fcntl
import subprocess
import threading
import typing as t

from ..backup_set.hashing import copy_hashed
from ..pipeline import Pipeline
from .tools import Tools

_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
"""linux/fcntl.h; the default of 64 KiB costs a switch of processes for every few small files."""


class Worker(threading.Thread):
    """A function in a thread of its own; `result` waits for it and raises what it raised."""

    def __init__(self, function: t.Callable[[], t.Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._value: t.Any = None
        self.error: t.Optional[BaseException] = None
        self.start()

    def run(self) -> None:
        """The thread."""
        try:
            self._value = self._function()
        except BaseException as error:  # raised again in `result`
            self.error = error

    def result(self) -> t.Any:
        """What the function returned."""
        self.join()
        if self.error is not None:
            raise self.error
        return self._value


class Sink:
    """A new file, written through a compressor and, for secrets, an encrypting program; hashed on its way.

    Use as a context manager; afterwards `entry` holds `size_bytes` and `sha256` of the file.
    """

    def __init__(self, tools: Tools, compression: str, path: str, secret: bool, on_bytes: t.Optional[t.Callable[[int], None]]) -> None:
        commands = [tools.compressing(compression)[0]]
        if secret and tools.encryption is not None:
            commands.append(tools.encryption.encrypting())
        self._pipes = Pipeline(*commands, stdin=subprocess.PIPE)
        self._path, self._on_bytes = path, on_bytes
        self.entry: t.Dict[str, t.Any] = {}

    def __enter__(self) -> "Sink":
        self._pipes.__enter__()
        self._worker = Worker(self._keep)
        widen(self._pipes.stdin)
        return self

    def write(self, data: bytes) -> None:
        """Hand on some bytes."""
        self._pipes.stdin.write(data)

    def __exit__(self, kind: t.Any, error: t.Any, trace: t.Any) -> None:
        if kind is not None and not issubclass(kind, BrokenPipeError):
            for process in self._pipes.processes:
                process.kill()
        try:
            self._pipes.stdin.close()
        except BrokenPipeError:
            pass  # why it broke is seen below
        self._worker.join()  # it reads to the end before the pipe is closed
        try:
            self._pipes.__exit__(kind, error, trace)
        finally:
            # The file's own trouble, such as a full disk, is why the pipe broke.
            if self._worker.error is not None:
                raise self._worker.error
        self.entry = self._worker.result()

    def _keep(self) -> t.Dict[str, t.Any]:
        try:
            return copy_hashed(self._pipes.stdout, self._path, on_bytes=self._on_bytes)
        finally:
            self._pipes.stdout.close()


def widen(stream: t.IO[bytes]) -> None:
    try:
        fcntl.fcntl(stream.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:  # more than this account may have; slower, and as right
        pass
