# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Bytes of logs, portion by portion: files that may be rotated or cut while they are read, packed files, output of programs.

Files are read, not mapped into memory: a mapped file that is cut by its rotation (`copytruncate`) would end the process.
"""

from __future__ import annotations

import importlib
import os
import select
import shutil
import subprocess
import time
import typing as t
import zlib

from ..command import Command, end
from ..errors import RunbookError

PORTION = 1 << 19
LONGEST_LINE = 1 << 20
"""Of a longer line only so many bytes are looked at."""
_FINGERPRINT = 1024


class Late(Exception):
    """The scan's time is up."""


class Clock:
    """The time that a scan has.

    Args:
        timeout_s: Seconds from now on.
    """

    def __init__(self, timeout_s: float) -> None:
        self.end = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds that are left; 0 or less when the time is up."""
        return self.end - time.monotonic()

    def check(self) -> None:
        """See whether there is time left.

        Raises:
            Late: There is none.
        """
        if self.left_s <= 0:
            raise Late


def fingerprint(descriptor: int) -> bytes:
    """The beginning of an open file, by which its copy is known again."""
    return os.pread(descriptor, _FINGERPRINT, 0)


def _begins(descriptor: int, beginning: bytes) -> bool:
    return os.pread(descriptor, len(beginning), 0) == beginning


def plain(
    descriptor: int, begin: int, end_: int, beginning: bytes, copy: t.Callable[[], t.Optional[int]], note: t.Callable[[str], None]
) -> t.Iterator[bytes]:
    """The bytes from `begin` to `end_` of an open file.

    Args:
        descriptor: The open file.
        begin: Where to begin.
        end_: Where the file ended when the scan began; what is written later is not read.
        beginning: How the file began then.
        copy: Gives the copy that a rotation made of the file before it cut it to nothing, as an open file; None when there is none.
        note: Takes what the reader must know.
    """
    position = begin
    while position < end_:
        portion = os.pread(descriptor, min(PORTION, end_ - position), position)
        # A file that was cut while it was read is shorter, or begins otherwise: with new lines, or with zeros up to its writer's old place.
        if not portion or os.fstat(descriptor).st_size < position + len(portion) or not _begins(descriptor, beginning):
            other = copy()
            if other is None:
                note(f"a file was cut to nothing while it was read; {end_ - position} bytes of it are lost")
                return
            try:
                note("a file was cut to nothing while it was read; the rest was read from its copy")
                yield from plain(other, position, end_, beginning, lambda: None, note)
            finally:
                os.close(other)
            return
        position += len(portion)
        yield portion


def gzipped(descriptor: int, name: str, note: t.Callable[[str], None]) -> t.Iterator[bytes]:
    """The content of a file of one or more gzip members (RFC 1952), as far as it is whole."""
    position = 0
    unpacker = zlib.decompressobj(wbits=31)
    packed = b""
    while True:
        if not packed:
            packed = os.pread(descriptor, PORTION, position)
            position += len(packed)
        if not packed:
            if not unpacker.eof and position:
                note(f"{name} ends too early")
            return
        try:
            data = unpacker.decompress(packed, PORTION)
        except zlib.error as error:
            note(f"{name} is damaged ({error}); what comes before that was read")
            return
        if data:
            yield data
        packed = unpacker.unconsumed_tail
        if unpacker.eof:
            packed = unpacker.unused_data.lstrip(b"\0")
            # What follows the last member without being one is padding.
            if packed and not packed.startswith(b"\x1f"):
                return
            if packed or position < os.fstat(descriptor).st_size:
                unpacker = zlib.decompressobj(wbits=31)


def zstandard(descriptor: int, name: str, clock: Clock, note: t.Callable[[str], None]) -> t.Iterator[bytes]:
    """The content of a file packed by zstd (RFC 8878): by the program `zstd`, which works beside us, else by a Python library."""
    if shutil.which("zstd"):
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            # By its standard input: zstd does not follow links, and the file may have got another name.
            yield from output(Command(["zstd", "-dcq"]), clock, stdin=descriptor)
        except RunbookError as error:
            note(f"{name} is damaged or cannot be read ({error.message}); what comes before that was read")
        return
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as packed:
        try:
            stream = _zstd_stream(packed)
        except ImportError:
            note(f"{name} is left out: neither the program zstd nor a Python library for it is installed")
            return
        while True:
            try:
                data = stream.read(PORTION)
            except Exception as error:  # each library has its own
                note(f"{name} is damaged ({error}); what comes before that was read")
                return
            if not data:
                return
            yield data


def without_first(portions: t.Iterator[bytes], lines: int) -> t.Iterator[bytes]:
    """What follows the first `lines` lines."""
    for portion in portions:
        if lines:
            there = portion.count(b"\n")
            if there < lines:
                lines -= there
                continue
            portion, lines = portion.split(b"\n", lines)[lines], 0
        yield portion


def _zstd_stream(packed: t.IO[bytes]) -> t.Any:
    """The library of Python 3.14 on, or the package `zstandard`."""
    try:
        return importlib.import_module("compression.zstd").ZstdFile(packed)
    except ImportError:
        return importlib.import_module("zstandard").ZstdDecompressor().stream_reader(packed, read_across_frames=True)


def output(command: Command, clock: Clock, *, both: bool = False, stdin: int = subprocess.DEVNULL) -> t.Iterator[bytes]:
    """What a program prints, until it ends or the time is up.

    Args:
        command: The program.
        clock: The time that there is.
        both: Whether its standard error is part of the log, as the standard error of a container is.
        stdin: An open file that it reads.

    Raises:
        Late: The time is up; the program was ended.
        RunbookError: It failed.
    """
    read_end, write_end = os.pipe()
    try:
        # A small pipe for its complaints: more than fits is dropped by closing it at the end.
        os.set_blocking(write_end, False)
        process = command.start(stdin=stdin, stderr=subprocess.STDOUT if both else write_end)
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    tail = b""
    try:
        pipe = t.cast("t.IO[bytes]", process.stdout).fileno()
        while True:
            if not select.select([pipe], [], [], max(0.0, clock.left_s))[0]:
                raise Late
            data = os.read(pipe, PORTION)
            if not data:
                break
            tail = (tail + data)[-2000:] if both else b""
            yield data
        process.wait(max(1.0, clock.left_s))
        status = command.status(process)
        if status != 0:
            os.set_blocking(read_end, False)
            said = tail if both else _said(read_end)
            raise command.failure(status, said.decode("utf-8", "replace"))
    finally:
        end(process)
        os.close(read_end)


def _said(read_end: int) -> bytes:
    try:
        return os.read(read_end, 65536)
    except BlockingIOError:
        return b""


def lines_of(
    portions: t.Iterable[bytes],
    take: t.Callable[[bytes], None],
    take_cut: t.Callable[[bytes, int], None],
    take_last: t.Callable[[bytes], None],
    clock: Clock,
) -> None:
    """Give portions on as blocks of whole lines.

    Args:
        portions: The bytes of the log.
        take: Takes a block of whole lines: a line's end, then the lines with their ends.
        take_cut: Takes the beginning of a line that is too long, and the line's whole length.
        take_last: Takes the last line, when it has no end.
        clock: The time that there is.

    Raises:
        Late: The time is up.
    """
    carry = b"\n"
    too_long = 0
    for portion in portions:
        clock.check()
        if too_long:
            found = portion.find(b"\n")
            if found < 0:
                too_long += len(portion)
                continue
            take_cut(carry[1:], too_long + found)
            carry, too_long, portion = b"\n", 0, portion[found + 1 :]
        cut = portion.rfind(b"\n")
        if cut < 0:
            carry += portion
        else:
            # One copy, where a sum and a slice would be two of as many bytes.
            take(b"".join((carry, memoryview(portion)[: cut + 1])))
            carry = portion[cut:]
        if len(carry) > LONGEST_LINE:
            too_long, carry = len(carry), carry[: LONGEST_LINE + 1]
    if too_long:
        take_cut(carry[1:], too_long - 1)
    elif len(carry) > 1:
        take_last(carry[1:])
