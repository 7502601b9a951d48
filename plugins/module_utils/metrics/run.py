# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Measure and judge metrics: ask all of them at once, look up what is usual, judge."""

from __future__ import annotations

import time
import typing as t

from ..checks.conditions import number, shown
from ..checks.model import Result
from ..checks.redaction import Redactor
from ..checks.watch import Reading, Window, watch
from ..errors import RunbookError
from ..history.reading import DAY_S
from ..history.store import History
from ..progress import Progress
from .judge import judge
from .measure import measure
from .model import DIVISOR, SAMPLES, Judged, Measured, Metric, Moment, Normal


class Outcome(t.NamedTuple):
    """Everything that is known of a metric after a run.

    Attributes:
        last: The newest answer to its question.
    """

    metric: Metric
    measured: Measured
    judged: Judged
    normal: t.Optional[Normal]
    last: Result


Usual = t.Callable[[Metric], Normal]


def ask(
    metrics: t.Sequence[Metric], *, concurrency: int = 100, redactor: t.Optional[Redactor] = None, usual: t.Optional[Usual] = None
) -> t.List[Outcome]:
    """Measure all metrics at the same time and judge them, in the same order.

    Args:
        metrics: What to measure.
        concurrency: Questions under way at the same time.
        redactor: Masks secrets in what came from outside.
        usual: Looks up the baseline of a metric; None when there is no history.
    """
    progress = Progress(f"Measuring {len(metrics)} metric{'' if len(metrics) == 1 else 's'}")
    windows = {
        check.name: Window(metric.window_s, metric.every_s)
        for metric in metrics
        if metric.window_s
        for check in (metric.check, *metric.companions.values())
    }
    checks = [check for metric in metrics for check in (metric.check, *metric.companions.values())]
    found = watch(
        checks,
        windows,
        concurrency=concurrency,
        redactor=redactor,
        say=lambda passed_s, all_s: progress.say("reading again and again over the window", round(passed_s, 1), all_s, "s"),
    )
    outcomes = []
    for metric in metrics:
        readings = found[metric.check.name]
        normal = None
        if metric.baseline is not None:
            normal = Normal(metric.baseline.value) if metric.baseline.value is not None else (usual or _no_history)(metric)
        measured = measure(metric, moments(metric, readings, {part: found[check.name] for part, check in metric.companions.items()}))
        outcomes.append(Outcome(metric, measured, judge(metric, measured, normal), normal, readings[-1].result))
    return outcomes


def moments(metric: Metric, readings: t.Sequence[Reading], companions: t.Mapping[str, t.Sequence[Reading]]) -> t.List[Moment]:
    """What each reading of the metric gave. A reading is joined by the newest answer of its companion questions of that time."""

    def part(name: str, position: int) -> t.Optional[float]:
        if name in companions:
            others = companions[name]
            return others[min(position, len(others) - 1)].result.value
        if name not in metric.beside:
            return None
        found = number(readings[position].result.observed.get(metric.beside[name]))
        # A counter that has counted nothing yet may not be there at all.
        return 0.0 if found is None and metric.empty_is_zero and readings[position].result.value is not None else found

    return [
        Moment(
            at_s=reading.at_s,
            value=reading.result.value,
            divisor=part(DIVISOR, position),
            samples=part(SAMPLES, position),
            verdict=reading.result.verdict,
            reason=reading.result.reason or _odd(reading.result),
        )
        for position, reading in enumerate(readings)
    ]


def _odd(result: Result) -> str:
    """What there was in the number's place, if it was something else."""
    seen = result.observed.get("value")
    return f"there is {shown(seen)} in its place" if result.value is None and seen is not None else ""


def usual_by(folder: str, service: str, now: t.Optional[float] = None) -> Usual:
    """A look-up of baselines in the history of `service` below the state folder: the median of the last days.

    A history that cannot be read makes baselines unknown, not the numbers that are measured now.
    """
    until = time.time() if now is None else now

    def usual(metric: Metric) -> Normal:
        baseline = metric.baseline
        if baseline is None or baseline.from_history_days is None:
            return Normal(None, "no baseline is named")
        since = until - baseline.from_history_days * DAY_S
        try:
            with History.open(folder, service, write=False) as history:
                known = sum(bucket["samples"] for bucket in history.buckets("metric", metric.name, since, until, step_s=DAY_S))
                median = history.percentiles("metric", metric.name, (0.5,), since, until)[0.5]
        except RunbookError as error:
            return Normal(None, f"the baseline could not be looked up: {error.what.lower()}")
        if median is None or known < baseline.minimum_samples:
            days = f"{baseline.from_history_days:g} day{'' if baseline.from_history_days == 1 else 's'}"
            return Normal(
                None, f"there is no baseline yet: the last {days} have {known} of the {baseline.minimum_samples} numbers that it takes"
            )
        return Normal(median)

    return usual


def _no_history(metric: Metric) -> Normal:
    return Normal(None, f"there is no history to take the baseline of {metric.name} from")


__all__ = ["Outcome", "Usual", "ask", "moments", "usual_by"]
