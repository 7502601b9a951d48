# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where an archive goes: through a compressor, and for secrets an encrypting program, into a file."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
import typing as t
from contextlib import contextmanager
from functools import partial

from ..errors import CommandFailed
from ..files import no_space_said
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


@contextmanager
def compressing(tools: Tools, compression: str, path: str, secret: bool) -> t.Iterator[t.IO[bytes]]:
    """A pipe to a new file, through a compressor and, for secrets, an encrypting program, whose plain text is nowhere else.

    Raises:
        CommandFailed: A program failed.
        NoSpace: The disk is full.
    """
    commands = [tools.compressing(compression)[0]]
    if secret and tools.encryption is not None:
        commands.append(tools.encryption.encrypting())
    try:
        target = open(path, "xb", opener=partial(os.open, mode=0o600))
        with target, Pipeline(*commands, stdin=subprocess.PIPE, stdout=target) as pipes:
            widen(pipes.stdin)
            yield pipes.stdin
    except CommandFailed as error:
        raise no_space_said(error, path) from error


def widen(stream: t.IO[bytes]) -> None:
    try:
        fcntl.fcntl(stream.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:  # more than this account may have; slower, and as right
        pass
