# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What fills up, and when it will be full."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..checks.model import PASS, UNKNOWN, WARN, worst
from ..history.entry import CHECK, METRIC
from ..readable import digits, quantity, span
from ..state import spoken
from .document import Block, Cell, Section, cell, chart, not_configured, number, section, table, verdict_cell
from .gathered import Gathered
from .trend import DAY_S, Reach, Trend, fit, reach

_FILLS = frozenset(("disk", "memory"))
"""Types of checks whose number is how full something is, in percent."""


class Filling(t.NamedTuple):
    """Something that can be full: `kind` and `name` of where its numbers come from, and the number at which it is full."""

    kind: str
    name: str
    title: str
    limit: float
    unit: str


def fillings(known: Gathered) -> t.List[Filling]:
    """What the profile names in `capacity`; without that all metrics and checks of disk, memory and connections."""
    found = []
    for given in known.capacity:
        kind = CHECK if given.get("check") else METRIC
        name = str(given.get("check") or given.get("metric") or "")
        unit = str(given.get("unit") or known.unit(name) or "percent")
        found.append(Filling(kind, name, str(given.get("title") or known.title(name)), float(given.get("limit") or _full(unit)), unit))
    if found:
        return found
    for name, given in known.definitions.items():
        unit = str(given.get("unit") or "percent")
        if unit in ("percent", "ratio") and (given.get("type") in _FILLS or given.get("measure") == "connections_percent"):
            found.append(Filling(str(given["kind"]), name, known.title(name), _full(unit), unit))
    return found


def capacity(known: Gathered) -> t.List[Section]:
    """A table of all that can be full, with the date, and a chart for each."""
    found = fillings(known)
    if not found:
        how = (
            "Measure disk, memory or connections_percent of postgresql in health_metrics, or name what can be full in monitoring_capacity."
        )
        return [section("Capacity", not_configured("nothing that can be full is measured", how))]
    rows, charts, verdicts, soon = [], [], [], []
    for one in found:
        series = known.series(one.kind, one.name)
        line = fit(series, known.trend)
        when = reach(line, one.limit, known.trend)
        verdict = _verdict(known, line, when)
        verdicts.append(verdict)
        if verdict == WARN:
            soon.append(f"{one.title} {_date(when)}")
        rows.append(_row(one, series, line, when, verdict))
        charts.append(section(one.title, *_drawn(known, one, series, line, when)))
    columns = ("what", "verdict", "now", "change a day", "95 % interval", "full", "earliest", "latest", "remark")
    unknown = sum(verdict == UNKNOWN for verdict in verdicts)
    parts = [f"full within the time that can be told: {', '.join(soon)}"] if soon else []
    parts += [f"{unknown} of {len(found)} cannot be told yet"] if unknown else []
    summary = "; ".join(parts) or f"none of {len(found)} will be full within the time that can be told"
    steps = [f"Make room before it is full: {one}" for one in soon]
    return [section("Capacity", table(columns, rows), verdict=worst(verdicts), summary=summary, steps=steps), *charts]


def _verdict(known: Gathered, line: t.Union[Trend, str], when: Reach) -> str:
    if isinstance(line, str):
        return UNKNOWN
    return WARN if when.expected is not None else PASS


def _row(
    one: Filling, series: t.Sequence[t.Tuple[float, float]], line: t.Union[Trend, str], when: Reach, verdict: str
) -> t.List[t.Union[str, Cell]]:
    now = number(series[-1][1] if series else None, one.unit)
    if isinstance(line, str):
        return [one.title, verdict_cell(verdict), now, cell("no date", "unknown"), "", "", "", "", when.reason]
    slope = cell(_signed(line.slope, one.unit), "", line.slope, f"{one.unit} per day")
    spread = f"{_signed(line.slope_low, one.unit)} to {_signed(line.slope_high, one.unit)}"
    dates = [_day(moment) for moment in (when.expected, when.earliest, when.latest)]
    if when.expected is not None and when.latest is None:
        dates[2] = "cannot be told"
    return [one.title, verdict_cell(verdict), now, slope, spread, dates[0] or "no date", dates[1], dates[2], when.reason]


def _drawn(
    known: Gathered, one: Filling, series: t.Sequence[t.Tuple[float, float]], line: t.Union[Trend, str], when: Reach
) -> t.List[Block]:
    full = [(one.limit, f"full: {quantity(one.limit, one.unit)}", "bad")]
    until, about = known.at, when.reason
    ahead: t.Optional[t.Dict[str, t.List[t.Tuple[float, float]]]] = None
    if isinstance(line, Trend):
        horizon = line.at + min(known.trend.horizon_factor, 1.0) * line.days * DAY_S
        until = min(
            max(when.expected or horizon, line.at + 0.2 * line.days * DAY_S) * 1.0, line.at + known.trend.horizon_factor * line.days * DAY_S
        )
        ends = (line.at, until)
        ahead = {
            "middle": [(at, line.value(at)) for at in ends],
            "low": [(at, line.band(at)[0]) for at in ends],
            "high": [(at, line.band(at)[1]) for at in ends],
        }
        about = f"Line of Theil and Sen through {line.points} readings of {span(line.days * DAY_S)}; band: 95 % interval of its slope. " + (
            f"Full {_date(when)}." if when.expected else f"{when.reason[:1].upper()}{when.reason[1:]}."
        )
    since = series[0][0] if series else known.since
    return [
        chart("How full, and where that leads", one.unit, [(one.title, series)], (since, until), about=about, limits=full, projection=ahead)
    ]


def _full(unit: str) -> float:
    return 1.0 if unit == "ratio" else 100.0


def _signed(value: float, unit: str) -> str:
    said = digits(100 * value) + " %" if unit == "ratio" else quantity(value, unit)
    return said if value < 0 else f"+{said}"


def _date(when: Reach) -> str:
    before = _day(when.earliest)
    return f"about {_day(when.expected)}" + (f" (not before {before})" if before and before != _day(when.expected) else "")


def _day(at: t.Optional[float]) -> str:
    return "" if at is None else spoken(datetime.fromtimestamp(at, timezone.utc))[:10]
