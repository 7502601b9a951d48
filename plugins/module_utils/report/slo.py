# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Service level objectives: how much of a window was good, what is left of the error budget, how fast it burns.

A reading is a moment at which somebody looked. It vouches for the time until the next reading, but for no longer than `valid_s`: what
nobody looked at is neither up nor down, it is not known, and `coverage` says how much of the window is known. Terms and burn rates:
Google, The Site Reliability Workbook, chapters 2 and 5.
"""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass

from ..checks.model import FAIL, PASS, UNKNOWN, WARN


class Reading(t.NamedTuple):
    """What one look at the service said.

    Attributes:
        at: When, in seconds since 1970-01-01 UTC.
        good: Whether it was as it should be; None when that could not be found out.
    """

    at: float
    good: t.Optional[bool]


class Piece(t.NamedTuple):
    """A stretch of time, in seconds since 1970-01-01 UTC, and whether it was good."""

    begin: float
    end: float
    good: bool


@dataclass(frozen=True)
class Account:
    """How the seconds of a window divide.

    Attributes:
        window_s: Length of the window.
        good_s: Seconds known to be good.
        bad_s: Seconds known to be bad.
        readings: Readings in the window that said something.
    """

    window_s: float
    good_s: float
    bad_s: float
    readings: int = 0

    @property
    def measured_s(self) -> float:
        """Seconds of which it is known how they were."""
        return self.good_s + self.bad_s

    @property
    def coverage(self) -> float:
        """Share of the window of which it is known how it was, from 0 to 1."""
        return min(1.0, self.measured_s / self.window_s) if self.window_s > 0 else 0.0

    @property
    def share(self) -> t.Optional[float]:
        """Share of the measured time that was good, from 0 to 1 (availability); None when nothing was measured."""
        return self.good_s / self.measured_s if self.measured_s > 0 else None


@dataclass(frozen=True)
class Budget:
    """The time that may be bad.

    Attributes:
        allowed_s: Seconds of the whole window that may be bad.
        spent_s: Seconds that are known to have been bad.
    """

    allowed_s: float
    spent_s: float

    @property
    def left_s(self) -> float:
        """Seconds that are left; negative when it is overdrawn."""
        return self.allowed_s - self.spent_s

    @property
    def left_share(self) -> float:
        """What is left, as a share of what was allowed: 1 untouched, 0 spent, negative overdrawn. An objective of 1 allows nothing: 0."""
        return self.left_s / self.allowed_s if self.allowed_s > 0 else 0.0


def good_below(series: t.Iterable[t.Tuple[float, t.Optional[float]]], objective: float, better: str = "lower") -> t.List[Reading]:
    """Readings of a number that should not be above `objective` (`better: lower`) or not below it (`higher`); no number, not known."""
    return [
        Reading(at, None if value is None or math.isnan(value) else value >= objective if better == "higher" else value <= objective)
        for at, value in series
    ]


def pieces(readings: t.Iterable[Reading], since: float, until: float, valid_s: float) -> t.List[Piece]:
    """The stretches of the window `since` to `until` of which it is known how they were, in order, none overlapping.

    Args:
        readings: In any order. Of several at one moment the worst counts; one from before the window may reach into it.
        since: Begin of the window, seconds since 1970-01-01 UTC.
        until: Its end.
        valid_s: How long a reading vouches for at most, in seconds.
    """
    ordered = sorted(readings, key=lambda reading: (reading.at, 2 if reading.good is False else 1 if reading.good is None else 0))
    found: t.List[Piece] = []
    for number, (at, good) in enumerate(ordered):
        following = ordered[number + 1].at if number + 1 < len(ordered) else math.inf
        begin, end = max(at, since), min(at + valid_s, following, until)
        if good is None or end <= begin:
            continue
        if found and found[-1].good is good and found[-1].end == begin:
            found[-1] = Piece(found[-1].begin, end, good)
        else:
            found.append(Piece(begin, end, good))
    return found


def account(readings: t.Sequence[Reading], since: float, until: float, valid_s: float) -> Account:
    """How the seconds of the window divide; see `pieces`."""
    parts = pieces(readings, since, until, valid_s)
    return Account(
        window_s=max(0.0, until - since),
        good_s=math.fsum(part.end - part.begin for part in parts if part.good),
        bad_s=math.fsum(part.end - part.begin for part in parts if not part.good),
        readings=sum(reading.good is not None and since <= reading.at <= until for reading in readings),
    )


def error_budget(measured: Account, objective: float) -> Budget:
    """The error budget of the whole window when the share of good time should be `objective` (0 to 1)."""
    return Budget((1 - objective) * measured.window_s, measured.bad_s)


def burn_rate(measured: Account, objective: float) -> t.Optional[float]:
    """How many times faster than allowed the budget burns: 1 spends exactly all of it in its window.

    None when nothing was measured, or when the objective of 1 allows nothing and something was bad (infinitely fast).
    """
    if measured.share is None:
        return None
    if measured.bad_s == 0:
        return 0.0
    return (1 - measured.share) / (1 - objective) if objective < 1 else None


def burn_down(readings: t.Sequence[Reading], since: float, until: float, valid_s: float, objective: float) -> t.List[t.Tuple[float, float]]:
    """The share of the budget that was left over the window: (seconds since 1970-01-01 UTC, share), where it bends, and at both ends."""
    allowed_s = (1 - objective) * (until - since)
    if allowed_s <= 0:
        return []
    spent, points = 0.0, [(since, 1.0)]
    for part in pieces(readings, since, until, valid_s):
        if not part.good:
            if points[-1][0] < part.begin:
                points.append((part.begin, 1 - spent / allowed_s))
            spent += part.end - part.begin
            points.append((part.end, 1 - spent / allowed_s))
    if points[-1][0] < until:
        points.append((until, 1 - spent / allowed_s))
    return points


def judge(measured: Account, objective: float, minimum_coverage: float) -> t.Tuple[str, str]:
    """Verdict and reason: a budget that is overdrawn fails whatever else is not known; too little known is `unknown`.

    Args:
        measured: The window.
        objective: Share of good time that is promised, 0 to 1.
        minimum_coverage: Share of the window that must be known before it can pass.
    """
    budget = error_budget(measured, objective)
    if measured.measured_s <= 0:
        return UNKNOWN, "nothing was measured in this window"
    if measured.bad_s > budget.allowed_s:
        return FAIL, "the error budget is overdrawn, whatever happened in the time without readings"
    if measured.coverage < minimum_coverage:
        return UNKNOWN, f"only {100 * measured.coverage:.3g} % of the window was measured, {100 * minimum_coverage:.3g} % are needed"
    if measured.share is not None and measured.share < objective:
        return WARN, "below the objective in the time that was measured, though the budget of the whole window is not overdrawn"
    return PASS, ""


def mean_over_time(
    series: t.Iterable[t.Tuple[float, t.Optional[float]]], since: float, until: float, valid_s: float
) -> t.Tuple[t.Optional[float], float]:
    """Mean of a number over the time in which it is known, each reading weighted by the time it stands for, and the coverage (0 to 1)."""
    ordered = sorted(((at, value) for at, value in series), key=lambda point: point[0])
    total = weight = 0.0
    for number, (at, value) in enumerate(ordered):
        following = ordered[number + 1][0] if number + 1 < len(ordered) else math.inf
        length = min(at + valid_s, following, until) - max(at, since)
        if value is not None and math.isfinite(value) and length > 0:
            total, weight = total + value * length, weight + length
    if weight <= 0:
        return None, 0.0
    return total / weight, min(1.0, weight / (until - since))


def increase(values: t.Sequence[float]) -> float:
    """By how much a counter grew; where it falls it began again from 0 (Prometheus, function `increase`, without extrapolation)."""
    return math.fsum(max(0.0, later - earlier) if later >= earlier else later for earlier, later in zip(values, values[1:]))


def lasts_s(budget: Budget, rate: t.Optional[float], window_s: float) -> t.Optional[float]:
    """Seconds until the budget is spent when it goes on burning at `rate`; None when it does not burn, 0 when it is spent."""
    if budget.left_s <= 0:
        return 0.0
    if not rate or budget.allowed_s <= 0:
        return None
    return budget.left_s / (rate * budget.allowed_s / window_s)
