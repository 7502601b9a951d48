# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where the last lines of a log begin in its files, found from the end, so that a long log is not read for them."""

from __future__ import annotations

import os
import typing as t
from contextlib import closing

from .files import OpenFile
from .reading import Clock, gzipped, zstandard

_BLOCK = 1 << 16
_UNPACKING_S = 10.0


def last_of(files: t.Sequence[OpenFile], lines: int) -> t.List[t.Tuple[OpenFile, int]]:
    """The files, oldest first, that hold the last `lines` lines, each with the place from which it is to be read."""
    found: t.List[t.Tuple[OpenFile, int]] = []
    for file in reversed(files):
        if lines <= 0:
            break
        begin, there = (0, _count(unpacked(file), lines)) if file.packed else _start(file.descriptor, file.size, lines)
        found.insert(0, (file, begin))
        lines -= there
    return found


def unpacked(file: OpenFile) -> t.Iterator[bytes]:
    """What a packed file holds, from its beginning, as far as that can be read."""
    if file.packed == "gzip":
        return gzipped(file.descriptor, file.path, lambda _text: None)
    return zstandard(file.descriptor, file.path, Clock(_UNPACKING_S), lambda _text: None)


def _count(portions: t.Iterator[bytes], enough: int) -> int:
    """How many lines there are; no further than `enough`."""
    there = 0
    with closing(t.cast("t.Generator[bytes, None, None]", portions)):
        for portion in portions:
            there += portion.count(b"\n")
            if there >= enough:
                break
    return there


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
