# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Programs connected by pipes, every exit status checked."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import typing as t

from .command import Command, end
from .errors import DeadlineExceeded

_KEPT_ERROR_BYTES = 4096


class Pipeline:
    """Commands connected by pipes; the first reads nothing or `stdin`, the last one's output is `stdout`.

    Use as a context manager; leaving it without an error waits for all and checks every exit status, leaving it with one
    ends all. A command that died of SIGPIPE is blamed only when no other failed.

    Attributes:
        stdin: Pipe into the first command, when asked for.
        stdout: Pipe out of the last command, unless a file was given for it.
    """

    def __init__(self, *commands: Command, stdin: t.Any = subprocess.DEVNULL, stdout: t.Any = subprocess.PIPE) -> None:
        self.commands = commands
        self._stdin, self._stdout = stdin, stdout
        self.processes: "list[subprocess.Popen[bytes]]" = []
        self._errors: t.List[t.IO[bytes]] = []
        self._read: t.Dict[int, int] = {}

    @property
    def stdin(self) -> t.IO[bytes]:
        """The pipe into the first command."""
        return t.cast("t.IO[bytes]", self.processes[0].stdin)

    @property
    def stdout(self) -> t.IO[bytes]:
        """The pipe out of the last command."""
        return t.cast("t.IO[bytes]", self.processes[-1].stdout)

    def __enter__(self) -> "Pipeline":
        source = self._stdin
        try:
            for number, command in enumerate(self.commands):
                last = number == len(self.commands) - 1
                said = tempfile.TemporaryFile()
                self._errors.append(said)
                process = command.start(stdin=source, stdout=self._stdout if last else subprocess.PIPE, stderr=said)
                self.processes.append(process)
                if number > 0 and source is not None:
                    source.close()
                source = process.stdout
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(self, kind: t.Any, error: t.Any, trace: t.Any) -> None:
        # A reader that saw its pipe break must not hide why the writer died.
        if kind is not None and not issubclass(kind, (BrokenPipeError, EOFError)):
            self._abandon()
            return
        try:
            self.wait()
        finally:
            self._abandon()

    def wait(self, timeout_s: t.Optional[float] = None) -> None:
        """Wait for all and check every exit status.

        Raises:
            CommandFailed: One failed; the message names it and holds its last words.
            DeadlineExceeded: One is not done after `timeout_s` seconds.
        """
        if self.processes and self.processes[0].stdin is not None:
            try:
                self.processes[0].stdin.close()
            except BrokenPipeError:
                pass
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for command, process in zip(self.commands, self.processes):
            try:
                process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise DeadlineExceeded(f"{command.name} did not end within {timeout_s:g} s", where=str(command.place)) from None
        failures = [
            (process.returncode == -signal.SIGPIPE, number, command.failure(command.status(process), self.said(number)))
            for number, (command, process) in enumerate(zip(self.commands, self.processes))
            if command.status(process) != 0
        ]
        if failures:
            raise min(failures, key=lambda failure: failure[:2])[2]

    def watch(self, look: t.Callable[[], None], interval_s: float = 0.5) -> None:
        """Call `look` every `interval_s` seconds until the last command has ended; what `look` raises ends all commands."""
        while True:
            try:
                self.processes[-1].wait(interval_s)
                return
            except subprocess.TimeoutExpired:
                look()

    def said(self, number: int) -> str:
        """The end of what command `number` wrote to its standard error."""
        size = os.fstat(self._errors[number].fileno()).st_size
        return self._read_errors(number, max(0, size - _KEPT_ERROR_BYTES))

    def new_words(self, number: int) -> str:
        """What command `number` wrote to its standard error since the last call."""
        start = self._read.get(number, 0)
        words = self._read_errors(number, start)
        self._read[number] = start + len(words.encode(errors="surrogateescape"))
        return words

    def _read_errors(self, number: int, start: int) -> str:
        # The command writes through the same open file: reading must not move its position.
        size = os.fstat(self._errors[number].fileno()).st_size
        return os.pread(self._errors[number].fileno(), size - start, start).decode(errors="surrogateescape")

    def _abandon(self) -> None:
        for process in self.processes:
            end(process)
        for stream in self._errors:
            stream.close()
