# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One number out of the readings of a metric; pure functions."""

from __future__ import annotations

import math
import typing as t

from ..checks.model import PASS, UNKNOWN
from .model import GROWTH, LAST, MAXIMUM, MEAN, MINIMUM, RATE, Measured, Metric, Moment

_ENOUGH = 0.5
"""Share of a window's readings that must have given a number."""


def measure(metric: Metric, moments: t.Sequence[Moment]) -> Measured:
    """The number that the metric's readings (at least one, the oldest first) come to, or why there is none."""
    there = [moment for moment in moments if _is_whole(metric, moment)]
    if not there:
        if all(_is_empty(metric, moment) for moment in moments):
            return Measured(None, None, len(moments), PASS, "there is nothing to measure, which counts as well")
        return _nothing(metric, moments, _no_number(moments))
    failed = sum(not _is_whole(metric, moment) and not _is_empty(metric, moment) for moment in moments)
    if metric.aggregate == LAST and moments[-1].value is None and not _is_empty(metric, moments[-1]):
        return _nothing(metric, moments, _no_number(moments))
    if failed > len(moments) * (1 - _ENOUGH):
        return _nothing(metric, moments, f"{failed} of {len(moments)} readings gave no number, the last time because {_no_number(moments)}")
    notes = [f"{failed} of {len(moments)} readings gave no number"] if failed else []
    if metric.aggregate in GROWTH:
        value, samples, problem = _growth(metric, there, notes)
    else:
        value, samples, problem = _level(metric, there)
    if problem:
        return _nothing(metric, moments, problem, samples)
    if value is None or not math.isfinite(value):
        return _nothing(metric, moments, "the number is too large to compare", samples)
    verdict, reason = _own(moments)
    return Measured(value, samples, len(moments), verdict, reason, tuple(notes))


def _is_whole(metric: Metric, moment: Moment) -> bool:
    """Whether a reading gave what it takes; a share of what a counter grew by needs both counters of the same moment."""
    return moment.value is not None and not (metric.aggregate in GROWTH and metric.has("divided_by") and moment.divisor is None)


def _is_empty(metric: Metric, moment: Moment) -> bool:
    """Whether there was nothing to measure, and the profile calls that well."""
    return metric.empty_passes and moment.value is None and moment.verdict == PASS


Made = t.Tuple[t.Optional[float], t.Optional[float], str]


def _level(metric: Metric, there: t.Sequence[Moment]) -> Made:
    """A number that goes up and down: each reading by itself, then what they come to."""
    # The observations that the newest number stands on; a share of events stands on what it is a share of.
    samples = there[-1].samples
    if not metric.has("samples") and metric.minimum_samples is not None:
        samples = there[-1].divisor
    numbers = []
    for moment in [there[-1]] if metric.aggregate == LAST else there:
        number = moment.value
        if metric.has("divided_by"):
            if not moment.divisor:
                # A stretch without any traffic tells nothing of the others.
                continue
            number = _divided(number, moment.divisor)
        numbers.append(_scaled(metric, number))
    known = [number for number in numbers if number is not None]
    if not known:
        return None, samples, "there is nothing to divide by" if metric.has("divided_by") else "the number is too large to compare"
    if metric.aggregate == MEAN:
        return _sum(known) / len(known), samples, ""
    return {MAXIMUM: max, MINIMUM: min}.get(metric.aggregate, lambda several: several[-1])(known), samples, ""


def _growth(metric: Metric, there: t.Sequence[Moment], notes: t.List[str]) -> Made:
    """What a counter grew by, or how fast it grew."""
    if len(there) < 2:
        return None, None, "a counter must be read twice to tell how it grows"
    grown, resets = increase([moment.value for moment in there if moment.value is not None])
    if resets:
        notes.append(f"the counter began again {'once' if resets == 1 else f'{resets} times'}, counted on from 0")
    samples = None
    counted = [moment.samples for moment in there if moment.samples is not None]
    if metric.has("samples"):
        samples = increase(counted)[0] if len(counted) == len(there) else None
    if metric.has("divided_by"):
        whole = increase([moment.divisor for moment in there if moment.divisor is not None])[0]
        samples = whole if samples is None and not metric.has("samples") else samples
        if not whole:
            return None, samples, "nothing happened in the window that it could be divided by"
        return _scaled(metric, _divided(grown, whole)), samples, ""
    if metric.aggregate == RATE:
        passed_s = there[-1].at_s - there[0].at_s
        if passed_s <= 0:
            return None, samples, "no time passed between the readings"
        grown /= passed_s
    return _scaled(metric, grown), samples, ""


def increase(values: t.Sequence[float]) -> t.Tuple[float, int]:
    """What a counter grew by over its readings, and how often it began again.

    A counter only grows; a smaller number than the one before means that its program was started anew and has counted from 0
    since (prometheus.io/docs/concepts/metric_types, "Counter"). What it counted just before the end is lost, and nothing is
    extrapolated to the ends of the window.
    """
    grown, resets = 0.0, 0
    for before, now in zip(values, values[1:]):
        if now < before:
            resets += 1
            grown += max(0.0, now)
        else:
            grown += now - before
    return grown, resets


def _scaled(metric: Metric, number: t.Optional[float]) -> t.Optional[float]:
    if number is None:
        return None
    number = (1 - number if metric.complement else number) * metric.scale
    # 1 - 0.95 is 0.050000000000000044 in binary, which must not count as more than 0.05: what a float holds for sure are 15 digits.
    number = float(f"{number:.15g}")
    return number if math.isfinite(number) else None


def _divided(number: t.Optional[float], divisor: float) -> t.Optional[float]:
    if number is None:
        return None
    try:
        return number / divisor
    except (OverflowError, ZeroDivisionError):
        return None


def _sum(numbers: t.Sequence[float]) -> float:
    try:
        return math.fsum(numbers)
    except OverflowError:
        return math.inf


def _own(moments: t.Sequence[Moment]) -> t.Tuple[str, str]:
    """What the question itself found, such as a condition that is not true; the newest reading with a number counts."""
    newest = next(moment for moment in reversed(moments) if moment.value is not None)
    return newest.verdict, newest.reason if newest.verdict != PASS else ""


def _no_number(moments: t.Sequence[Moment]) -> str:
    newest = next((moment for moment in reversed(moments) if moment.value is None and moment.reason), moments[-1])
    if newest.value is not None and not newest.reason:
        return "what it is divided by is not there"
    return newest.reason or "the answer has no such number"


def _nothing(metric: Metric, moments: t.Sequence[Moment], reason: str, samples: t.Optional[float] = None) -> Measured:
    return Measured(None, samples, len(moments), UNKNOWN, reason)
