# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What was just asked: checks, metrics, and the short answers to a morning list's questions."""

from __future__ import annotations

import math
import typing as t

from ..checks.model import FAIL, PASS, SEVERITY, UNKNOWN, WARN, worst
from ..history.entry import METRIC
from ..readable import digits, part_in_percent, quantity, span
from .document import MARKS, Cell, Section, cell, chart, counts, not_configured, number, section, strips, table, verdict_cell
from .gathered import Gathered, Result
from .performance import TIME_UNITS, latency_charts
from .slo import account, increase, mean_over_time

_NAMED, _LOOK = 6, 4
_COUNTERS = ("total", "requests", "processed")
"""Words in the names of numbers that only grow."""
_SUBJECTS: t.Tuple[t.Tuple[str, t.FrozenSet[str], t.Tuple[str, ...]], ...] = (
    ("Service status", frozenset(("compose_service", "kubernetes_workload", "systemd_unit", "process")), ()),
    ("Database", frozenset(("postgresql",)), ("connections", "database")),
    ("Cache", frozenset(("redis",)), ("cache", "hit_rat")),
    ("Vector store", frozenset(("qdrant",)), ()),
    ("Disk", frozenset(("disk",)), ("disk",)),
    ("Memory and processor", frozenset(("memory", "cpu")), ("memory", "cpu")),
    ("Errors", frozenset(), ("error", "success", "failed")),
    ("Response time", frozenset(), ("latency", "response", "duration", "p50", "p95", "p99")),
    ("Accuracy", frozenset(), ("accuracy", "confidence", "quality")),
    ("Volume", frozenset(), ("request", "volume", "throughput", "workflow", "operation")),
    ("Uptime", frozenset(), ("uptime",)),
    ("Cost and quota", frozenset(), ("cost", "quota")),
    ("Monitoring", frozenset(("prometheus_server", "grafana", "alertmanager")), ()),
    ("Certificates", frozenset(("tls",)), ()),
    ("Providers", frozenset(("statuspage", "dns")), ()),
    ("Health", frozenset(("http", "json", "tcp", "prometheus", "promql", "command")), ()),
)
"""The questions of the source runbooks' morning and evening lists, with the types of checks and the words in names that answer them."""
_ALWAYS = ("Service status", "Health", "Database", "Cache", "Disk", "Errors", "Response time", "Volume")
"""Questions that are shown even when nothing answers them."""


def questions(known: Gathered) -> Section:
    """The list that somebody goes through at 09:00 and 18:00, each question with its answer."""
    groups: t.Dict[str, t.List[t.Tuple[str, Result]]] = {}
    for kind, results in (("check", known.checks or ()), (METRIC, known.metrics or ())):
        for result in results:
            groups.setdefault(_subject(kind, result), []).append((kind, result))
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    for subject in ("Service status", "Health", *(one[0] for one in _SUBJECTS[1:-1])):
        found = groups.get(subject, [])
        if found:
            verdict = worst(result["verdict"] for _kind, result in found)
            rows.append([subject, _answer(known, found), verdict_cell(verdict)])
        elif subject == "Uptime" and known.checks:
            rows.append([subject, *_up(known)])
        elif subject in _ALWAYS:
            rows.append([subject, cell("not configured", "unknown"), ""])
    return section("At a glance", table(("question", "answer", "verdict"), rows))


def checks(known: Gathered) -> Section:
    """Every check, the worst first."""
    if known.checks is None:
        return section("Checks", not_configured("this service has no checks", "Name some in health_checks."))
    ordered = sorted(known.checks, key=lambda result: -SEVERITY[result["verdict"]])
    by_verdict = {verdict: sum(result["verdict"] == verdict for result in ordered) for verdict in SEVERITY}
    rows: t.List[t.List[t.Union[str, Cell]]] = [
        [
            _titled(known, result),
            verdict_cell(result["verdict"]),
            cell("" if result.get("latency_ms") is None else quantity(result["latency_ms"], "ms"), "", result.get("latency_ms"), "ms"),
            str(result.get("reason") or result.get("target") or ""),
        ]
        for result in ordered
    ]
    verdict = worst(name for name, count in by_verdict.items() if count)
    return section(
        "Checks",
        counts(f"{len(ordered)} checks", by_verdict),
        table(("check", "verdict", "answered in", "reason, or what was asked"), rows),
        verdict=verdict,
        summary=_summary(known, ordered, "checks"),
        steps=_look(known, ordered),
    )


def metrics(known: Gathered) -> Section:
    """Every metric now and over the window."""
    if known.metrics is None:
        return section("Metrics", not_configured("this service has no metrics", "Name some in health_metrics."))
    ordered = sorted(known.metrics, key=lambda result: -SEVERITY[result["verdict"]])
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    for result in ordered:
        unit = str(result.get("unit") or known.unit(result["name"]))
        values = [value for _at, value in known.series(METRIC, result["name"])]
        rows.append(
            [
                _titled(known, result),
                verdict_cell(result["verdict"]),
                number(result.get("value"), unit),
                *(number(one, unit) if values else cell("") for one in _low_mean_high(values)),
                _limits_and_reason(known, result, unit),
            ]
        )
    columns = ("metric", "verdict", "now", "lowest", "mean", "highest", "limits and reason")
    verdict = worst(result["verdict"] for result in ordered) if ordered else UNKNOWN
    caption = f"Lowest, mean and highest of the last {span(known.window_s)}"
    return section(
        "Metrics", table(columns, rows, caption), verdict=verdict, summary=_summary(known, ordered, "metrics"), steps=_look(known, ordered)
    )


def over_time(known: Gathered, title: str = "Over time") -> Section:
    """Charts of all metrics that the history knows, those of a unit and component together; and when which check was well."""
    blocks = []
    named = known.check_names()
    rows = [row for row in (_strip(known, name) for name in named) if row]
    if rows:
        blocks.append(strips("Checks", known.window, rows))
    blocks += latency_charts(known)
    for name in known.metric_names():
        points = known.series(METRIC, name)
        if len(points) > 1 and known.unit(name) not in TIME_UNITS:
            given = known.limits(name)
            limits = [(value, f"{label} {quantity(value, known.unit(name))}", mark) for value, label, mark in given]
            blocks.append(
                chart(
                    known.title(name),
                    known.unit(name),
                    [(known.title(name), points)],
                    known.window,
                    limits=limits,
                    valid_s=known.apart(points),
                )
            )
    if not blocks:
        return section(
            title, {"type": "text", "mark": "unknown", "text": f"The history has nothing of the last {span(known.window_s)} yet."}
        )
    return section(title, *blocks)


def _strip(known: Gathered, name: str) -> t.Optional[t.Dict[str, t.Any]]:
    """When the check was well, over the window; None when nobody asked it."""
    found = known.history.verdicts("check", name, known.since - known.reading_valid_s, known.at + 1)
    if not found:
        return None
    drawn: t.List[t.Tuple[float, float, str]] = []
    for position, (at, verdict) in enumerate(found):
        following = found[position + 1][0] if position + 1 < len(found) else math.inf
        begin, end = max(at, known.since), min(at + known.reading_valid_s, following, known.at)
        if end < begin or (end == begin and at < known.since):
            continue
        if drawn and drawn[-1][2] == verdict and begin - drawn[-1][1] < 1:
            drawn[-1] = (drawn[-1][0], end, verdict)
        else:
            drawn.append((begin, end, verdict))
    measured = account(known.readings(name, known.since), known.since, known.at, known.reading_valid_s)
    share = "no data" if measured.share is None else f"{quantity(measured.share, 'ratio')} up"
    covered = "" if measured.coverage >= 0.995 else f", {part_in_percent(measured.coverage)} measured"
    return {"name": known.title(name), "pieces": drawn, "said": share + covered}


def _titled(known: Gathered, result: Result) -> str:
    return str(result.get("title") or known.title(result["name"]))


def _limits_and_reason(known: Gathered, result: Result, unit: str) -> str:
    limits = ", ".join(f"{label} {quantity(value, unit)}" for value, label, _mark in known.limits(result["name"]))
    return "; ".join(part for part in (limits, str(result.get("reason") or "") if result["verdict"] != PASS else "") if part)


def _low_mean_high(values: t.Sequence[float]) -> t.Tuple[t.Optional[float], ...]:
    return (min(values), math.fsum(values) / len(values), max(values)) if values else (None, None, None)


def _subject(kind: str, result: Result) -> str:
    """The question that a result answers: by its type where that tells, else by the words in its name."""
    asked, name = str(result.get("type", "")), f"{result['name']} {result.get('component') or ''}".lower()
    for subject, types, _words in _SUBJECTS[:-1]:
        if asked in types:
            return subject
    if kind == METRIC:
        for subject, _types, words in _SUBJECTS[:-1]:
            if any(word in name for word in words):
                return subject
    return "Health"


def _answer(known: Gathered, found: t.Sequence[t.Tuple[str, Result]]) -> Cell:
    ordered = sorted(found, key=lambda pair: -SEVERITY[pair[1]["verdict"]])
    parts = []
    for kind, result in ordered[:_NAMED]:
        name, value = _titled(known, result), result.get("value")
        unit = str(result.get("unit") or known.unit(result["name"]))
        # A check's number means something to the reader only where it is held against something.
        telling = value is not None and (kind == METRIC or known.limits(result["name"]))
        said = quantity(value, unit) if telling else ("ok" if result["verdict"] == PASS else result["verdict"])
        values = [one for _at, one in known.series(METRIC, result["name"])] if kind == METRIC else []
        if len(values) > 1:
            said += f" ({_over_window(known, result['name'], values, unit)})"
        why = f": {result['reason']}" if result["verdict"] in (FAIL, UNKNOWN, WARN) and result.get("reason") and kind == "check" else ""
        parts.append(f"{name} {said}{why}")
    more = f"; and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return cell(
        "; ".join(parts) + more, "" if worst(result["verdict"] for _kind, result in found) == PASS else MARKS[ordered[0][1]["verdict"]]
    )


def _look(known: Gathered, ordered: t.Sequence[Result]) -> t.List[str]:
    """What to look at, the worst first; the tables have the rest."""
    steps = []
    for result in ordered[:_LOOK]:
        if result["verdict"] != PASS:
            begin = "Find out about" if result["verdict"] == UNKNOWN else "Look at"
            steps.append(f"{begin} {_titled(known, result)}: {result.get('reason') or result['verdict']}")
    return steps


def _over_window(known: Gathered, name: str, values: t.Sequence[float], unit: str) -> str:
    """The mean over the window; of what counts requests their number."""
    mean = f"mean {quantity(math.fsum(values) / len(values), unit)} in {span(known.window_s)}"
    if unit == "per_second":
        rate, coverage = mean_over_time(known.series(METRIC, name), known.since, known.at, known.reading_valid_s)
        if rate is not None and coverage >= known.minimum_coverage:
            return f"{mean}, about {digits(rate * known.window_s)} in all"
    if unit == "count" and any(word in name for word in _COUNTERS):
        return f"{digits(increase(values))} more in {span(known.window_s)}"
    return mean


def _up(known: Gathered) -> t.List[t.Union[str, Cell]]:
    """For how much of the window the checks were up, the worst first."""
    found = []
    for result in known.checks or ():
        measured = account(known.readings(result["name"], known.since), known.since, known.at, known.reading_valid_s)
        if measured.share is not None:
            found.append((measured.share, _titled(known, result), measured.coverage))
    if not found:
        return [cell("no readings in this window", "unknown"), ""]
    found.sort()
    said = "; ".join(f"{title}: {quantity(share, 'ratio')} up" for share, title, _coverage in found[:_LOOK])
    coverage = min(coverage for _share, _title, coverage in found)
    covered = "" if coverage >= 0.995 else f" ({part_in_percent(coverage)} of {span(known.window_s)} measured)"
    return [cell(said + covered), ""]


def _summary(known: Gathered, ordered: t.Sequence[Result], noun: str) -> str:
    bad = [result for result in ordered if result["verdict"] != PASS]
    if not bad:
        return f"all {len(ordered)} {noun} pass" if len(ordered) != 1 else f"the one of the {noun} passes"
    named = ", ".join(f"{_titled(known, result)} ({result['verdict']})" for result in bad[:3])
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    return f"{len(bad)} of {len(ordered)} {noun} not well: {named}{more}"
