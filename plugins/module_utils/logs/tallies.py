# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Counting in bounded memory: numbers, different values, groups. Everything here can be merged, so that two processes can share a log."""

from __future__ import annotations

import bisect
import hashlib
import math
import sys
import typing as t
from array import array
from collections import Counter

CLASS_ERROR = 0.004
"""Largest relative error of a percentile once numbers are put into classes: half of 2^-7, the width of a class."""
DISTINCT_KEPT = 16384
"""Different values up to which their number is exact; beyond it the error's standard deviation is 1 / sqrt(16384) = 0.8 %."""
GROUPS_KEPT = 20000
"""Groups that are counted by themselves; lines of further ones are counted together."""
_HIGH_HALF = 1 if sys.byteorder == "little" else 0


class Numbers:
    """Count, sum, extremes, percentiles and shares of numbers.

    Up to `kept` numbers are kept as they are, and percentiles are exact: the smallest number that at least p percent of all are not
    above (nearest rank). More are put into classes by the upper 16 bits of their form as IEEE 754 single-precision numbers: sign,
    exponent and 7 bits of the fraction, so that a class is at most 2^-7 of its numbers wide.

    Args:
        kept: How many numbers are kept one by one.
        limits: Counts of numbers above each of them are exact always.
    """

    def __init__(self, kept: int, limits: t.Sequence[float] = ()) -> None:
        self._kept = max(1, kept)
        self._values = array("d")
        self._classes: t.Counter[int] = Counter()
        self._limits = tuple(limits)
        self._above = [0] * len(self._limits)
        self._sum = 0.0
        self._folded = 0
        self._minimum, self._maximum = math.inf, -math.inf

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return self._folded + len(self._values)

    @property
    def exact(self) -> bool:
        """Whether percentiles are exact."""
        return not self._folded

    def extend(self, values: t.Iterable[float]) -> None:
        """Add finite numbers."""
        self._values.extend(values)
        if len(self._values) > self._kept or (self._folded and len(self._values) > 65536):
            self._fold()

    def _fold(self) -> None:
        """Put the numbers kept so far into classes."""
        values = self._values
        self._values = array("d")
        ordered = sorted(values)
        for place, limit in enumerate(self._limits):
            self._above[place] += len(ordered) - bisect.bisect_right(ordered, limit)
        self._minimum, self._maximum = min(self._minimum, ordered[0]), max(self._maximum, ordered[-1])
        self._sum += math.fsum(ordered)
        self._folded += len(ordered)
        del ordered
        for begin in range(0, len(values), 65536):
            try:
                single = array("f", values[begin : begin + 65536])
            except OverflowError:
                single = array("f", (max(-3e38, min(3e38, value)) for value in values[begin : begin + 65536]))
            self._classes.update(memoryview(single).cast("B").cast("H")[_HIGH_HALF::2].tolist())

    def result(self, percentiles: t.Sequence[float]) -> t.Dict[str, t.Any]:
        """What is known of the numbers; without numbers the values are None."""
        if self._folded and self._values:
            self._fold()
        ordered = sorted(self._values)
        if ordered:
            self._minimum, self._maximum, total = ordered[0], ordered[-1], math.fsum(ordered)
            above = [len(ordered) - bisect.bisect_right(ordered, limit) for limit in self._limits]
        else:
            total, above = self._sum, self._above
        count = self.count
        return {
            "count": count,
            "minimum": self._minimum if count else None,
            "maximum": self._maximum if count else None,
            "mean": total / count if count else None,
            "percentiles": {f"{percent:g}": self._percentile(ordered, percent, count) for percent in percentiles},
            "above": {f"{limit:g}": number for limit, number in zip(self._limits, above)},
            "relative_error": 0.0 if self.exact else CLASS_ERROR,
        }

    def _percentile(self, ordered: t.Sequence[float], percent: float, count: int) -> t.Optional[float]:
        if not count:
            return None
        rank = max(1, math.ceil(percent / 100 * count))
        if ordered:
            return ordered[rank - 1]
        if rank == 1 or rank == count:
            return self._minimum if rank == 1 else self._maximum
        seen = 0
        for middle, number in sorted((_middle(number), times) for number, times in self._classes.items()):
            seen += number
            if seen >= rank:
                return min(max(middle, self._minimum), self._maximum)
        return self._maximum

    def dump(self) -> t.Tuple[t.Dict[str, t.Any], bytes]:
        """What another process needs to merge it: JSON values, and the numbers kept as bytes."""
        head = {
            "classes": list(self._classes.items()), "above": self._above, "sum": self._sum, "folded": self._folded,
            "range": [self._minimum, self._maximum] if self._folded else None,
        }  # fmt: skip
        return head, self._values.tobytes()

    def merge(self, head: t.Mapping[str, t.Any], values: bytes) -> None:
        """Add what `dump` gave."""
        if head["folded"]:
            if self._values:
                self._fold()
            self._classes.update({int(number): int(times) for number, times in head["classes"]})
            self._above = [mine + other for mine, other in zip(self._above, head["above"])]
            self._sum += head["sum"]
            self._folded += head["folded"]
            self._minimum, self._maximum = min(self._minimum, head["range"][0]), max(self._maximum, head["range"][1])
        self._values.frombytes(values)
        if self._values and (self._folded or len(self._values) > self._kept):
            self._fold()


def _middle(number: int) -> float:
    """The middle of a class."""
    halves = [0, number] if sys.byteorder == "little" else [number, 0]
    halves[1 - _HIGH_HALF] = 0x8000
    single = memoryview(array("H", halves)).cast("B").cast("f")[0]
    return float(single) if math.isfinite(single) else math.copysign(3e38, -1 if number & 0x8000 else 1)


class Distinct:
    """How many different values there are: exact up to `DISTINCT_KEPT`, estimated from the smallest hashes beyond it."""

    def __init__(self) -> None:
        self._hashes: t.Set[int] = set()
        self._pruned = False

    def add(self, values: t.Iterable[str]) -> None:
        """Add values, be they new or not."""
        self._add(int.from_bytes(hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=8).digest(), "big") for value in values)

    def _add(self, hashes: t.Iterable[int]) -> None:
        self._hashes.update(hashes)
        if len(self._hashes) > 2 * DISTINCT_KEPT:
            self._prune()

    def _prune(self) -> None:
        self._hashes = set(sorted(self._hashes)[:DISTINCT_KEPT])
        self._pruned = True

    def count(self) -> t.Tuple[int, float]:
        """Number of different values, and the relative standard deviation of its error (0: it is exact)."""
        if not self._pruned:
            return len(self._hashes), 0.0
        self._prune()
        # The estimator of Bar-Yossef and others: the k-th smallest of n evenly spread hashes lies about k/n of the way.
        return round((DISTINCT_KEPT - 1) * 2.0**64 / max(self._hashes)), 1 / math.sqrt(DISTINCT_KEPT)

    def dump(self) -> t.Dict[str, t.Any]:
        """What another process needs to merge it."""
        return {"hashes": list(self._hashes), "pruned": self._pruned}

    def merge(self, other: t.Mapping[str, t.Any]) -> None:
        """Add what `dump` gave."""
        self._pruned = self._pruned or bool(other["pruned"])
        self._add(other["hashes"])


class Groups:
    """How many lines each group has; past `GROUPS_KEPT` groups, lines of new ones are counted together."""

    def __init__(self) -> None:
        self.counts: t.Counter[t.Tuple[t.Optional[str], ...]] = Counter()
        self.others = 0

    def add(self, group: t.Tuple[t.Optional[str], ...], lines: int = 1) -> None:
        """Add lines of a group."""
        if group in self.counts or len(self.counts) < GROUPS_KEPT:
            self.counts[group] += lines
        else:
            self.others += lines

    def dump(self) -> t.Dict[str, t.Any]:
        """What another process needs to merge it."""
        return {"counts": [[list(group), lines] for group, lines in self.counts.items()], "others": self.others}

    def merge(self, other: t.Mapping[str, t.Any]) -> None:
        """Add what `dump` gave."""
        self.others += other["others"]
        for group, lines in other["counts"]:
            self.add(tuple(group), lines)
