# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Columns of raw values of lines of one shape: which column a field is, and what a raw value means."""

from __future__ import annotations

import json
import math
import typing as t
from collections import Counter
from itertools import islice

from .model import Source
from .shapes import WORD, Shape

Raw = t.Optional[bytes]
Columns = t.Mapping[str, t.Sequence[t.Any]]
"""Raw values by column, line after line; None where a line has none."""
RAW_GROUPS = 20000
NO_COLUMN = ""
_NUMBER_TEXTS = 60000


class Unfit(Exception):
    """A question that cannot be put to lines of a shape at once; they are then read one by one."""


class Memo(t.Dict[t.Any, t.Any]):
    """Results of a function by its argument, bounded."""

    def __init__(self, function: t.Callable[[t.Any], t.Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: t.Any) -> t.Any:
        if len(self) > RAW_GROUPS:
            self.clear()
        value = self[key] = self._function(key)
        return value


def column_of(shape: Shape, source: Source, name: str) -> t.Tuple[str, bool]:
    """The column of the field `name` (empty for none), and whether the field is an object of which there are columns.

    Raises:
        Unfit: Which column it is depends on the line.
    """
    candidates = source.names_of(name)
    for place, candidate in enumerate(candidates):
        if candidate in shape.names:
            later = candidates[place + 1 :]
            if WORD in shape.kinds[candidate] and any(_has(shape, other) for other in later):
                raise Unfit
            return candidate, False
        if _has(shape, candidate):
            return NO_COLUMN, True
    return NO_COLUMN, False


def _has(shape: Shape, name: str) -> bool:
    return name in shape.names or name in shape.objects


def value_of(shape: Shape, column: str, raw: Raw) -> t.Any:
    """The JSON value that stands there."""
    if raw is None:
        return None
    if column in shape.texts:
        return raw.decode("utf-8", "replace") if b"\\" not in raw else _decoded(b'"' + raw + b'"')
    return _decoded(raw)


def _decoded(raw: bytes) -> t.Any:
    return json.loads(raw.decode("utf-8", "replace"), strict=False)


class NumberTexts:
    """Counts numbers by their texts: durations are rounded when they are written, so that few texts stand for many numbers.

    Attributes:
        full: Whether there are so many different texts that they should be emptied.
        seldom_repeated: Whether most numbers were different from all others, so that counting texts saves nothing.
    """

    def __init__(self) -> None:
        self._counts: t.Counter[bytes] = Counter()
        self._watched: t.Dict[bytes, t.Tuple[float, int]] = {}
        self.full = self.seldom_repeated = False

    def take(self, raws: t.Iterable[bytes], threshold: float) -> t.Dict[bytes, float]:
        """Count numbers; the texts among them of numbers above `threshold`."""
        counts = self._counts
        known = len(counts)
        counts.update(raws)
        self.full = len(counts) > _NUMBER_TEXTS
        if threshold == math.inf:
            return {}
        high = {raw: number for raw, (number, before) in self._watched.items() if number > threshold and counts[raw] > before}
        # New texts stand at the end of a dictionary.
        for raw in islice(reversed(counts), len(counts) - known):
            number = float(raw)
            if number > threshold:
                high[raw] = number
        self._watched = {raw: (number, before) for raw, (number, before) in self._watched.items() if number > threshold}
        self._watched.update({raw: (number, counts[raw]) for raw, number in high.items()})
        return high

    def empty(self) -> t.Dict[float, int]:
        """The numbers counted since the last time, and how often each occurred."""
        found: t.Dict[float, int] = {}
        for raw, times in self._counts.items():
            number = float(raw)
            found[number] = found.get(number, 0) + times
        lines = sum(found.values())
        self.seldom_repeated = self.seldom_repeated or (self.full and lines < 4 * len(self._counts))
        self._counts = Counter()
        self._watched = {}
        self.full = False
        return found
