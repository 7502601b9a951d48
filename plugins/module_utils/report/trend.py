# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""When will it be full? A straight line through a series of numbers, with its uncertainty, and a date only where the data bear one.

The line is that of Theil and Sen: the median of the slopes of all pairs of points. Unlike least squares it is not bent by a spike, a
restart or one great clean-up, of which such series are full (up to 29 % of the points may be wrong), and its confidence interval needs
no normal distribution. Sources: P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, JASA 63 (1968), 1379-1389;
R. R. Wilcox, Introduction to Robust Estimation and Hypothesis Testing, section 10.2. Readings that follow one another closely are alike,
which would make any interval too narrow; so they are first put together to medians of equal stretches of time.
"""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass
from statistics import median

DAY_S = 86_400.0
_STRETCHES = 60
"""Stretches of time into which a series is put together: 1770 pairs, and a month becomes half days, so that days and nights are seen."""
_Z = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""
_MISSING_SHARE = 0.5
"""A series with more than this share of empty stretches is two series, and no line joins them."""


@dataclass(frozen=True)
class Terms:
    """When a series may be extrapolated.

    Attributes:
        minimum_points: Readings, at least.
        minimum_days: Days between the first and the last of them, at least.
        horizon_factor: How far ahead a date is given, in times of the days that were observed.
    """

    minimum_points: int = 20
    minimum_days: float = 3.0
    horizon_factor: float = 3.0


@dataclass(frozen=True)
class Trend:
    """A line through a series.

    Attributes:
        slope: Change per day.
        slope_low: Lower end of its 95 % confidence interval.
        slope_high: Upper end.
        level: Where the line is at `at`.
        at: The last reading, seconds since 1970-01-01 UTC.
        points: Readings.
        days: Days from the first to the last.
    """

    slope: float
    slope_low: float
    slope_high: float
    level: float
    at: float
    points: int
    days: float

    @property
    def clear(self) -> bool:
        """Whether the data say in which direction it goes: the interval does not hold 0."""
        return self.slope_low > 0 or self.slope_high < 0

    def value(self, at: float) -> float:
        """Where the line is at another moment."""
        return self.level + self.slope * (at - self.at) / DAY_S

    def band(self, at: float) -> t.Tuple[float, float]:
        """Between what the line may be at a later moment."""
        days = (at - self.at) / DAY_S
        ends = (self.level + self.slope_low * days, self.level + self.slope_high * days)
        return min(ends), max(ends)


@dataclass(frozen=True)
class Reach:
    """When a line reaches a limit.

    Attributes:
        expected: Seconds since 1970-01-01 UTC; None where no date can be given.
        earliest: With the steepest slope of the interval; None when even that does not reach it.
        latest: With the flattest; None when that does not reach it.
        reason: Why there is no date; empty when there is one.
        refused: Whether the data were too few for any statement (the answer is then not known, instead of "not soon").
    """

    expected: t.Optional[float] = None
    earliest: t.Optional[float] = None
    latest: t.Optional[float] = None
    reason: str = ""
    refused: bool = False


def fit(series: t.Iterable[t.Tuple[float, t.Optional[float]]], terms: Terms = Terms()) -> t.Union[Trend, str]:
    """The line through the series (seconds since 1970-01-01 UTC, number), or why there is none."""
    points = sorted((at, float(value)) for at, value in series if value is not None and math.isfinite(value))
    days = (points[-1][0] - points[0][0]) / DAY_S if points else 0.0
    if len(points) < terms.minimum_points:
        return f"too little data: {_counted(len(points), 'reading')}, {terms.minimum_points} are needed"
    if days < terms.minimum_days or days <= 0:
        return f"too little data: the readings span {_days(days)}, {_days(terms.minimum_days)} are needed"
    stretches = _medians(points)
    wanted = min(_STRETCHES, len(points))
    if len(stretches) < max(5, wanted * (1 - _MISSING_SHARE)):
        return f"the readings have too large gaps: {_counted(wanted - len(stretches), 'of ' + str(wanted) + ' stretches')} of time has none"
    slopes = sorted(
        (later[1] - earlier[1]) / ((later[0] - earlier[0]) / DAY_S)
        for number, earlier in enumerate(stretches)
        for later in stretches[number + 1 :]
    )
    count, pairs = len(stretches), len(slopes)
    slope, last = median(slopes), points[-1][0]
    rests = [value - slope * (at - last) / DAY_S for at, value in stretches]
    level = median(rests)
    spread = _Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18) * _alike([rest - level for rest in rests])
    low, high = max(0, round((pairs - spread) / 2) - 1), min(pairs - 1, round((pairs + spread) / 2))
    return Trend(slope, slopes[low], slopes[high], level, last, len(points), days)


def reach(trend: t.Union[Trend, str], limit: float, terms: Terms = Terms()) -> Reach:
    """When the line reaches `limit` from below. No date is given where the data do not bear one; the reason says why.

    Args:
        trend: What `fit` returned.
        limit: The number at which it is full.
        terms: How far ahead a date is given.
    """
    if isinstance(trend, str):
        return Reach(reason=trend, refused=True)
    if trend.level >= limit:
        return Reach(trend.at, trend.at, trend.at)
    expected, earliest, latest = (_moment(trend, slope, limit) for slope in (trend.slope, trend.slope_high, trend.slope_low))
    horizon_days = terms.horizon_factor * trend.days
    horizon = trend.at + horizon_days * DAY_S
    if trend.slope_high <= 0:
        return Reach(reason="it does not grow")
    if not trend.clear:
        if earliest is not None and earliest <= horizon:
            return Reach(earliest=earliest, reason="no clear trend; at the steepest slope that fits, not before the date given")
        return Reach(reason=f"no clear trend, and not within the next {_days(horizon_days)} in any case")
    if expected is None or expected > horizon:
        soon = earliest if earliest is not None and earliest <= horizon else None
        return Reach(earliest=soon, reason=f"not expected within {_days(horizon_days)}; {_days(trend.days)} of readings tell no more")
    return Reach(expected, earliest, latest if latest is not None and latest <= horizon else None)


def _moment(trend: Trend, slope: float, limit: float) -> t.Optional[float]:
    if slope <= 0:
        return None
    days = (limit - trend.level) / slope
    # Past the year 9999 no calendar has a name for it.
    return trend.at + days * DAY_S if days < 1e6 else None


def _medians(points: t.Sequence[t.Tuple[float, float]]) -> t.List[t.Tuple[float, float]]:
    """The median of each of the equal stretches of time that have readings; at most `_STRETCHES`."""
    begin, length = points[0][0], (points[-1][0] - points[0][0]) / min(_STRETCHES, len(points))
    groups: t.Dict[int, t.List[t.Tuple[float, float]]] = {}
    for at, value in points:
        groups.setdefault(min(int((at - begin) / length), _STRETCHES - 1), []).append((at, value))
    return [
        (sum(at for at, _value in group) / len(group), median(value for _at, value in group)) for _number, group in sorted(groups.items())
    ]


def _alike(rests: t.Sequence[float]) -> float:
    """By how much the interval grows because what follows one another is alike (autocorrelation of the first order).

    Source: K. H. Hamed, A. R. Rao, A modified Mann-Kendall trend test for autocorrelated data, J. Hydrology 204 (1998), 182-196.
    """
    square = math.fsum(rest * rest for rest in rests)
    if square <= 0 or not math.isfinite(square):
        return 1.0
    share = min(0.95, max(0.0, math.fsum(one * other for one, other in zip(rests, rests[1:])) / square))
    return math.sqrt((1 + share) / (1 - share))


def _days(days: float) -> str:
    if days < 2:
        return f"{days * 24:.3g} hours"
    return f"{days:.3g} days" if days < 1000 else f"{days:.0f} days"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 or noun.startswith("of ") else f"{count} {noun}s"
