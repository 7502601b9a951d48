# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where to begin in a large file whose lines are in the order of their times, and where to divide one between two processes."""

from __future__ import annotations

import os
import typing as t

from .records import RecordReader

SMALLEST = 16 << 20
"""In a smaller file nothing is skipped."""
MARGIN_S = 300.0
"""Lines are written a little out of order; so far before the wanted time reading begins."""
_PROBES = 64
_PROBED = 1 << 18


def timed_line(descriptor: int, position: int, end: int, reader: RecordReader) -> t.Optional[t.Tuple[int, float]]:
    """Begin and time of the first line after `position` that has a time of its own; None when there is none near by."""
    data = os.pread(descriptor, min(_PROBED, end - position), position)
    begin = 0 if position == 0 else data.find(b"\n") + 1
    if position and not begin:
        return None
    while True:
        stop = data.find(b"\n", begin)
        if stop < 0:
            return None
        record = reader.read(data[begin:stop])
        if record is not None and record.time is not None:
            return position + begin, record.time
        begin = stop + 1


def start_for(descriptor: int, size: int, since: float, reader: RecordReader) -> int:
    """Where to begin reading so that no line from `since` on is missed; 0 when the order cannot be relied on.

    The times at 65 places all over the file must not decrease, or the whole file is read.
    """
    if size < SMALLEST:
        return 0
    places: t.List[t.Tuple[int, float]] = []
    for number in range(_PROBES + 1):
        found = timed_line(descriptor, size * number // (_PROBES + 1), size, reader)
        if found is None or (places and found[1] < places[-1][1]):
            return 0
        places.append(found)
    wanted = since - MARGIN_S
    before = [begin for begin, when in places if when < wanted]
    after = [begin for begin, when in places if when >= wanted]
    low, high = (before[-1] if before else 0), (after[0] if after else size)
    while high - low > _PROBED:
        middle = (low + high) // 2
        found = timed_line(descriptor, middle, size, reader)
        if found is None:
            break
        begin, when = found
        if when < wanted:
            low = max(begin, low + 1)
        elif begin < high:
            high = middle
        else:
            break
    return low


def middle_line(descriptor: int, position: int, end: int, reader: RecordReader, needs_time: bool) -> int:
    """Begin of a line near `position` where a second process can take over; `end` when there is none.

    Where times matter it is a line with a time of its own, as others count with the time of the line before them.
    """
    if needs_time:
        found = timed_line(descriptor, position, end, reader)
        return end if found is None else found[0]
    data = os.pread(descriptor, min(_PROBED, end - position), position)
    begin = data.find(b"\n") + 1
    return position + begin if begin else end
