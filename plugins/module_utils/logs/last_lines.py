# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where the last lines of a log begin in its files, found from the end, so that a long log is not read for them."""

from __future__ import annotations

import os
import typing as t
from contextlib import closing, suppress

from .files import OpenFile
from .reading import Clock, Late, gzipped, zstandard

_BLOCK = 1 << 16
_UNPACKING_S = 10.0


def last_of(files: t.Sequence[OpenFile], lines: int) -> t.List[t.Tuple[OpenFile, int, int]]:
    """The files, oldest first, that hold the last `lines` lines, each with the place from which it is to be read.

    That is a number of bytes; and a number of lines where it is packed.
    """
    found: t.List[t.Tuple[OpenFile, int, int]] = []
    for file in reversed(files):
        if lines <= 0:
            break
        if file.packed:
            there = _count(unpacked(file))
            begin, skip = 0, max(0, there - lines)
        else:
            (begin, there), skip = _start(file.descriptor, file.size, lines), 0
        found.insert(0, (file, begin, skip))
        lines -= there
    return found


def unpacked(file: OpenFile) -> t.Iterator[bytes]:
    """What a packed file holds, from its beginning, as far as that can be read."""
    if file.packed == "gzip":
        return gzipped(file.descriptor, file.path, lambda _text: None)
    return zstandard(file.descriptor, file.path, Clock(_UNPACKING_S), lambda _text: None)


def _count(portions: t.Iterator[bytes]) -> int:
    """How many lines there are, as far as there is time to unpack them; one that has no end is a line, too."""
    there, end = 0, b"\n"
    with closing(t.cast("t.Generator[bytes, None, None]", portions)), suppress(Late):
        for portion in portions:
            there += portion.count(b"\n")
            end = portion[-1:]
    return there + (end != b"\n")


def _start(descriptor: int, size: int, lines: int) -> t.Tuple[int, int]:
    """Where the last `lines` lines of an open file begin, and how many there are; one that has no end yet is a line, too."""
    there, end = 0, size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        there = 1
    while end > 0:
        begin = max(0, end - _BLOCK)
        data = os.pread(descriptor, end - begin, begin)
        place = len(data)
        while True:
            place = data.rfind(b"\n", 0, place)
            if place < 0:
                break
            if there == lines:
                return begin + place + 1, lines
            there += 1
        end = begin
    return 0, there
