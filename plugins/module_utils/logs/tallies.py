# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Counting in bounded memory: numbers, different values, groups. Everything here can be merged, so that two processes can share a log."""

from __future__ import annotations

import bisect
import hashlib
import itertools
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
_PORTION = 65536
_HIGHEST = 3.4e38
"""About the highest single-precision number."""
_HIGH_HALF = 1 if sys.byteorder == "little" else 0


Pairs = t.List[t.Tuple[float, int]]
"""Numbers and how often each occurred."""


class Numbers:
    """Count, sum, extremes, percentiles and shares of numbers.

    Each number is counted in a class: the upper 16 bits of its form as IEEE 754 single-precision number, that is sign, exponent and
    7 bits of the fraction, so that a class is at most 2^-7 of its numbers wide. As long as there are no more than `kept`, the numbers
    are kept, too, and percentiles are exact (nearest rank: the smallest number that at least p percent of all are not above). Of more
    than that, a percentile is the middle of its class.

    Args:
        kept: How many numbers, or different ones where they come with their counts, are kept.
        limits: Counts of numbers above each of them are exact always.
    """

    def __init__(self, kept: int, limits: t.Sequence[float] = ()) -> None:
        self._kept = kept
        self._limits = tuple(limits)
        self._new = array("d")
        self._values: t.Optional[t.List[array[float]]] = []
        self._counted: t.Counter[float] = Counter()
        self._elsewhere: t.List[t.Callable[[t.List[int]], Pairs]] = []
        self._classes: t.Counter[int] = Counter()
        self._above = [0] * len(self._limits)
        self._sum, self._count, self._entries = 0.0, 0, 0
        self._minimum, self._maximum = math.inf, -math.inf

    def extend(self, values: t.Iterable[float]) -> None:
        """Add finite numbers."""
        self._new.extend(values)
        if len(self._new) >= _PORTION:
            self._absorb()

    def extend_array(self, values: "array[float]") -> None:
        """The same for an array of double-precision numbers."""
        self._new += values
        if len(self._new) >= _PORTION:
            self._absorb()

    def add_counted(self, pairs: t.Mapping[float, int]) -> None:
        """Add finite numbers, each with how often it occurred."""
        if not pairs:
            return
        values = array("d", pairs)
        self._see(values, sum(pairs.values()), sum(value * times for value, times in pairs.items()))
        for number, times in zip(_classes_of(values), pairs.values()):
            self._classes[number] += times
        for place, limit in enumerate(self._limits):
            self._above[place] += sum(times for value, times in pairs.items() if value > limit)
        if self._values is not None:
            before = len(self._counted)
            self._counted.update(pairs)
            # A number in a dictionary takes about ten times the room of one in an array.
            self._keep(10 * (len(self._counted) - before))

    def _absorb(self) -> None:
        values = self._new
        if not values:
            return
        self._new = array("d")
        self._see(values, len(values), sum(values))
        self._classes.update(_classes_of(values))
        for place, limit in enumerate(self._limits):
            self._above[place] += sum(map(float(limit).__lt__, values))
        if self._values is not None:
            self._values.append(values)
            self._keep(len(values))

    def _see(self, values: "array[float]", count: int, total: float) -> None:
        self._count += count
        self._sum += total
        lowest, highest = min(values), max(values)
        self._minimum, self._maximum = min(self._minimum, lowest), max(self._maximum, highest)

    def _keep(self, entries: int) -> None:
        self._entries += entries
        if self._entries > self._kept:
            self._values = None
            self._counted = Counter()

    def pick(self, wanted: t.List[int]) -> Pairs:
        """The numbers kept that are in the wanted classes."""
        is_wanted = frozenset(wanted).__contains__
        found = [(value, 1) for values in self._values or () for value in itertools.compress(values, map(is_wanted, _classes_of(values)))]
        counted = array("d", self._counted)
        found += [(value, self._counted[value]) for value in itertools.compress(counted, map(is_wanted, _classes_of(counted)))]
        return found + [(pair[0], pair[1]) for pick in self._elsewhere for pair in pick(wanted)]

    def dump(self) -> t.Dict[str, t.Any]:
        """What another process needs to merge it (JSON values); the numbers themselves stay, to be asked for by `pick`."""
        self._absorb()
        return {
            "classes": list(self._classes.items()), "above": self._above, "sum": self._sum, "count": self._count,
            "range": [self._minimum, self._maximum] if self._count else None, "complete": self._values is not None,
        }  # fmt: skip

    def merge(self, other: t.Mapping[str, t.Any], pick: t.Callable[[t.List[int]], Pairs]) -> None:
        """Add what `dump` gave; `pick` gives the numbers of classes from where they are."""
        self._absorb()
        if not other["count"]:
            return
        self._classes.update({int(number): int(times) for number, times in other["classes"]})
        self._above = [mine + theirs for mine, theirs in zip(self._above, other["above"])]
        self._sum += other["sum"]
        self._count += other["count"]
        self._minimum, self._maximum = min(self._minimum, other["range"][0]), max(self._maximum, other["range"][1])
        if not other["complete"]:
            self._values = None
        self._elsewhere.append(pick)

    def result(self, percentiles: t.Sequence[float]) -> t.Dict[str, t.Any]:
        """What is known of the numbers; without numbers the values are None."""
        self._absorb()
        count = self._count
        exact = self._values is not None
        return {
            "count": count,
            "minimum": self._minimum if count else None,
            "maximum": self._maximum if count else None,
            "mean": self._sum / count if count else None,
            "percentiles": self._percentiles(percentiles) if count else {f"{percent:g}": None for percent in percentiles},
            "above": {f"{limit:g}": number for limit, number in zip(self._limits, self._above)},
            "relative_error": 0.0 if exact else CLASS_ERROR,
        }

    def _percentiles(self, percentiles: t.Sequence[float]) -> t.Dict[str, float]:
        ordered = sorted(self._classes, key=_middle)
        ends = list(itertools.accumulate(self._classes[number] for number in ordered))
        ranks = {percent: min(self._count, max(1, math.ceil(percent * self._count / 100))) for percent in percentiles}
        places = {percent: bisect.bisect_left(ends, rank) for percent, rank in ranks.items()}
        if self._values is None:
            found = {percent: min(max(_middle(ordered[place]), self._minimum), self._maximum) for percent, place in places.items()}
            found.update({percent: self._minimum for percent, rank in ranks.items() if rank == 1})
            found.update({percent: self._maximum for percent, rank in ranks.items() if rank == self._count})
        else:
            wanted = sorted(set(places.values()))
            pairs = sorted(self.pick([ordered[place] for place in wanted]))
            sums = list(itertools.accumulate(times for _value, times in pairs))
            found = {}
            for percent, place in places.items():
                # Among the pairs, those of the wanted classes below come before this class; among all numbers, ends[place - 1] do.
                before = sum(self._classes[ordered[other]] for other in wanted if other < place)
                rank = before + ranks[percent] - (ends[place - 1] if place else 0)
                found[percent] = pairs[bisect.bisect_left(sums, rank)][0]
        return {f"{percent:g}": found[percent] for percent in percentiles}


def _classes_of(values: "array[float]") -> t.List[int]:
    try:
        single = array("f", values)
    except OverflowError:
        single = array("f", (max(-_HIGHEST, min(_HIGHEST, value)) for value in values))
    return memoryview(single).cast("B").cast("H")[_HIGH_HALF::2].tolist()


def _middle(number: int) -> float:
    """The middle of a class."""
    halves = [0, 0]
    halves[_HIGH_HALF], halves[1 - _HIGH_HALF] = number, 0x8000
    single = float(memoryview(array("H", halves)).cast("B").cast("f")[0])
    return single if math.isfinite(single) else math.copysign(_HIGHEST, -1 if number & 0x8000 else 1)


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
