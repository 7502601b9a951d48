# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How fast it answers: latency percentiles over time, throughput, errors."""

from __future__ import annotations

import typing as t

from ..history.entry import CHECK, METRIC
from ..readable import quantity, span
from .document import Block, Cell, Section, chart, not_configured, number, section, table
from .gathered import Gathered

TIME_UNITS = frozenset(("ms", "s"))
"""Units of metrics that tell how long something took."""
_QUANTILES = (0.5, 0.95, 0.99)
_STRETCHES = 120
"""Points of a chart whose readings are put together by stretches of time."""


def performance(known: Gathered) -> t.List[Section]:
    """Latency, throughput and errors, each with its chart."""
    return [_latency(known), _answers(known), _volume(known)]


def latency_charts(known: Gathered) -> t.List[Block]:
    """One chart for the times of each component, with what was promised."""
    groups: t.Dict[t.Tuple[str, str], t.List[str]] = {}
    for name in known.metric_names():
        unit = known.unit(name)
        if unit in TIME_UNITS:
            groups.setdefault((str(known.definitions.get(name, {}).get("component") or ""), unit), []).append(name)
    blocks = []
    for (component, unit), names in groups.items():
        series = [(known.title(name), known.series(METRIC, name)) for name in names]
        if not any(points for _name, points in series):
            continue
        promised = [
            (
                float(given["objective"]),
                f"promised: at most {quantity(float(given['objective']), unit)}",
                "bad",
            )
            for given in known.service.get("objectives") or ()
            if given.get("metric") in names and isinstance(given.get("objective"), (int, float))
        ]
        blocks.append(
            chart(f"Response times of {component}" if component else "Response times", unit, series, known.window, limits=promised)
        )
    return blocks


def _latency(known: Gathered) -> Section:
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    for name in known.metric_names():
        unit = known.unit(name)
        if unit in TIME_UNITS and known.series(METRIC, name):
            found = known.history.percentiles(METRIC, name, _QUANTILES, known.since, known.at + 1)
            values = [value for _at, value in known.series(METRIC, name)]
            rows.append(
                [known.title(name), number(values[-1], unit), *(number(found[one], unit) for one in _QUANTILES), number(max(values), unit)]
            )
    if not rows:
        return section("Latency", not_configured("no metric has the unit ms or s", "Name one in health_metrics."))
    caption = f"Of all readings in {span(known.window_s)}: half, 95 % and 99 % of them were not above these"
    return section("Latency", *latency_charts(known), table(("metric", "now", "p50", "p95", "p99", "highest"), rows, caption))


def _answers(known: Gathered) -> Section:
    """How long the service took to answer our own checks."""
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    slowest: t.Tuple[float, str] = (0.0, "")
    for name in known.check_names():
        found = known.history.percentiles(CHECK, name, _QUANTILES, known.since, known.at + 1, of="latency_ms")
        if found[0.95] is not None:
            rows.append([known.title(name), *(number(found[one], "ms") for one in _QUANTILES)])
            slowest = max(slowest, (found[0.95], name))
    blocks = [table(("check", "p50", "p95", "p99"), rows, f"Answers to checks in {span(known.window_s)}", "The history has none yet.")]
    if slowest[1]:
        step_s = max(60.0, known.window_s / _STRETCHES)
        stretches = known.history.buckets(CHECK, slowest[1], known.since, known.at + 1, step_s=step_s, of="latency_ms")
        series = [
            (title, [(one["at"] + step_s / 2, one[key]) for one in stretches if one[key] is not None])
            for title, key in (("p50", "p50"), ("p95", "p95"), ("highest", "maximum"))
        ]
        blocks.append(
            chart(
                f"Slowest check: {known.title(slowest[1])}",
                "ms",
                series,
                known.window,
                about=f"Percentiles of stretches of {span(step_s)}.",
            )
        )
    return section("Answers to checks", *blocks)


def _volume(known: Gathered) -> Section:
    blocks = []
    for name in known.metric_names():
        if known.unit(name) in TIME_UNITS:
            continue
        words = name.lower()
        if known.unit(name) == "per_second" or any(
            word in words for word in ("request", "throughput", "error", "success", "operation", "workflow")
        ):
            points = known.series(METRIC, name)
            if points:
                unit = known.unit(name)
                limits = [(value, f"{label} {quantity(value, unit)}", mark) for value, label, mark in known.limits(name)]
                blocks.append(
                    chart(known.title(name), unit, [(known.title(name), points)], known.window, limits=limits, valid_s=known.apart(points))
                )
    if not blocks:
        return section(
            "Throughput and errors", not_configured("no metric of requests or errors has readings", "Name one in health_metrics.")
        )
    return section("Throughput and errors", *blocks)
