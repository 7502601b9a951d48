# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The words of a metric: what is asked, how one number is made of the answers, and what it is held against."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..checks.model import Check

LAST, MEAN, MAXIMUM, MINIMUM, INCREASE, RATE = "last", "mean", "maximum", "minimum", "increase", "rate"
AGGREGATES = (LAST, MEAN, MAXIMUM, MINIMUM, INCREASE, RATE)
GROWTH = (INCREASE, RATE)
"""Aggregates of counters, which only grow, and begin at 0 again when their program does."""
VALUE, DIVISOR, SAMPLES = "value", "divided_by", "samples"
THRESHOLDS = ("warn_above", "fail_above", "warn_below", "fail_below")
RATIOS = ("warn_ratio_above", "fail_ratio_above", "warn_ratio_below", "fail_ratio_below")

NUMBER: t.Mapping[str, t.Any] = {"type": "float"}
SPEC: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "unit": {"type": "str", "default": ""},
    "complement": {"type": "bool", "default": False},
    "scale": {"type": "float", "default": 1.0},
    "divided_by": {"type": "str"},
    "window_s": {"type": "float", "default": 0.0},
    "every_s": NUMBER,
    "aggregate": {"type": "str", "choices": list(AGGREGATES), "default": LAST},
    "samples": {"type": "str"},
    "minimum_samples": NUMBER,
    "too_few": {"type": "str", "choices": ["unknown", "pass"], "default": "unknown"},
    "baseline": {"type": "dict"},
    "promql": {"type": "str"},
    **dict.fromkeys(THRESHOLDS, NUMBER),
}
"""What a metric has beyond the keys of its check; described in docs/health_and_metrics.md."""
BASELINE_SPEC: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "value": NUMBER,
    "from_history_days": NUMBER,
    "minimum_samples": {"type": "int", "default": 5},
    "missing": {"type": "str", "choices": ["unknown", "pass"], "default": "unknown"},
    **dict.fromkeys(RATIOS, NUMBER),
}


@dataclass(frozen=True)
class Baseline:
    """What the number usually is.

    Attributes:
        value: The fixed baseline; None when it is the median of the history.
        from_history_days: How many days of history the median is taken of; None for a fixed baseline.
        minimum_samples: Fewer numbers in the history are no baseline yet.
        missing: Verdict while there is none, `unknown` or `pass`.
        limits: Those of RATIOS that are given: the number divided by the baseline is held against them.
    """

    value: t.Optional[float]
    from_history_days: t.Optional[float]
    minimum_samples: int
    missing: str
    limits: t.Mapping[str, float]


class Normal(t.NamedTuple):
    """The baseline as it is now.

    Attributes:
        value: What the number usually is; None where there is none yet.
        why: Why there is none, as a part of a sentence.
    """

    value: t.Optional[float]
    why: str = ""


@dataclass(frozen=True)
class Metric:
    """A number of the service that has a name.

    Attributes:
        check: The question that yields the number.
        beside: Names of the checks, or of what the answer is observed for, from which divisor and samples come, by DIVISOR and SAMPLES.
        companions: Further questions, for types whose answer holds one number only, by DIVISOR and SAMPLES.
        unit: `ratio`, `percent`, `ms`, `s`, `bytes`, `count`, `per_second`, `usd_per_hour`, `days`, ...; empty for none.
        complement: Whether 1 less the number is meant.
        scale: Factor, applied last.
        empty_passes: Whether the question calls it well that there is nothing to measure (`empty: pass`).
        empty_is_zero: Whether what is not there counts as 0 (`empty: zero`).
        window_s: Seconds over which it is read again and again; 0 for once.
        every_s: Seconds between two readings.
        aggregate: One of AGGREGATES.
        minimum_samples: Observations without which the number says nothing; None for any.
        too_few: Verdict when there are fewer, `unknown` or `pass`.
        thresholds: Those of THRESHOLDS that are given; compared strictly.
    """

    name: str
    title: str
    component: str
    unit: str
    check: Check
    beside: t.Mapping[str, str]
    companions: t.Mapping[str, Check]
    complement: bool
    scale: float
    empty_passes: bool
    empty_is_zero: bool
    window_s: float
    every_s: float
    aggregate: str
    minimum_samples: t.Optional[float]
    too_few: str
    thresholds: t.Mapping[str, float]
    baseline: t.Optional[Baseline]
    weight: float = 1.0

    def has(self, part: str) -> bool:
        """Whether the metric has a DIVISOR or SAMPLES."""
        return part in self.beside or part in self.companions

    @property
    def spoken(self) -> str:
        """What a sentence calls it."""
        return self.title or self.name


class Moment(t.NamedTuple):
    """What one reading gave; None for what it did not give.

    Attributes:
        at_s: When, in seconds since the run began.
        verdict: The verdict of the question itself, thresholds apart.
        reason: Why that is not a pass.
    """

    at_s: float
    value: t.Optional[float]
    divisor: t.Optional[float]
    samples: t.Optional[float]
    verdict: str
    reason: str


class Measured(t.NamedTuple):
    """The number that was made of the readings.

    Attributes:
        value: The number; None when there is none.
        samples: How many observations it stands on; None when that is not known.
        readings: How often it was read.
        verdict: What is to be said whatever the number is: `pass`, or what the question itself found, or `unknown` without a number.
        reason: Why that is not a pass.
        notes: What a reader should know of the number, such as that a counter began again.
    """

    value: t.Optional[float]
    samples: t.Optional[float]
    readings: int
    verdict: str
    reason: str
    notes: t.Tuple[str, ...] = ()


class Judged(t.NamedTuple):
    """The verdict of a metric.

    Attributes:
        ratio: The number divided by its baseline; None without one.
    """

    verdict: str
    reason: str
    ratio: t.Optional[float] = None
