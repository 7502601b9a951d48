# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the metrics of a run come to: one verdict, a severity, a table to read."""

from __future__ import annotations

import typing as t

from ..checks.model import FAIL, PASS, SEVERITY, UNKNOWN, WARN, worst
from ..checks.redaction import clip
from ..severity import Severity
from .run import Outcome
from .units import spoken

_NAMED = 10
_TABLE_LINES = 200


def entry(outcome: Outcome) -> t.Dict[str, t.Any]:
    """One metric as the result of the module has it, JSON types only."""
    metric, measured, judged, last = outcome.metric, outcome.measured, outcome.judged, outcome.last
    hidden = set(metric.beside.values())
    return {
        "name": metric.name,
        "title": metric.title,
        "component": metric.component,
        "type": last.type,
        "target": last.target,
        "unit": metric.unit,
        "value": measured.value,
        "verdict": judged.verdict,
        "reason": judged.reason,
        "samples": measured.samples,
        "readings": measured.readings,
        "baseline": None if outcome.normal is None else outcome.normal.value,
        "ratio": judged.ratio,
        "thresholds": dict(metric.thresholds),
        "window_s": metric.window_s,
        "latency_ms": last.latency_ms,
        "attempts": last.attempts,
        "observed": {name: value for name, value in last.observed.items() if name not in hidden},
        "weight": metric.weight,
    }


def report(
    entries: t.Sequence[t.Dict[str, t.Any]],
    score: float,
    severity: t.Optional[Severity],
    duration_ms: float,
    checks: t.Sequence[t.Mapping[str, t.Any]] = (),
) -> t.Dict[str, t.Any]:
    """The report of a run, JSON types only.

    Args:
        entries: What `entry` made of each metric, in the order of the metrics.
        score: Weighted share of what is well.
        severity: What the profile's rules make of it; None for none.
        duration_ms: How long the whole took, in milliseconds.
        checks: Results of checks that the gate was given too; their verdicts count.
    """
    verdicts = [one["verdict"] for one in entries] + [check["verdict"] for check in checks]
    counts = {verdict: verdicts.count(verdict) for verdict in (PASS, WARN, FAIL, UNKNOWN)}
    return {
        "verdict": worst(verdicts) if verdicts else UNKNOWN,
        "score": score,
        "counts": counts,
        "severity": None if severity is None else severity.as_dict(),
        "duration_ms": round(duration_ms, 1),
        "summary": summary(entries, checks, severity),
        "table": table(entries),
        "metrics": list(entries),
    }


def summary(entries: t.Sequence[t.Mapping[str, t.Any]], checks: t.Sequence[t.Mapping[str, t.Any]], severity: t.Optional[Severity]) -> str:
    """One sentence for all, and one for each that is not well, the worst first; the severity before everything."""
    grave = f"{severity.name} ({severity.title}), because {severity.reason}. " if severity is not None else ""
    bad = [one for one in _worst_first([*entries, *checks]) if one["verdict"] != PASS]
    whole = len(entries) + len(checks)
    what = "metrics and checks" if entries and checks else "checks" if checks else "metrics"
    if not bad:
        return grave + (f"All {whole} {what} passed." if whole != 1 else f"The {what[:-1]} passed.")
    named = "; ".join(f"{one['verdict']}: {_told(one)}" for one in bad[:_NAMED])
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return f"{grave}{len(bad)} of {whole} {what} did not pass: {named}{more}."


def table(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """A line for each metric, the worst first: verdict, name, number, and why where it is not well."""
    ordered = _worst_first(entries)
    shown = ordered[:_TABLE_LINES]
    width = min(40, max((len(one["name"]) for one in shown), default=0))
    lines = []
    for one in shown:
        value = "-" if one["value"] is None else spoken(one["value"], one["unit"])
        reason = "" if one["verdict"] == PASS else one["reason"]
        lines.append(f"{one['verdict'].upper():7} {clip(one['name'], 40):{width}} {value:>12}  {reason}".rstrip())
    if len(ordered) > len(shown):
        lines.append(f"and {len(ordered) - len(shown)} more")
    return lines


def _told(one: t.Mapping[str, t.Any]) -> str:
    """A metric's reason has its name in it already, a check's has not."""
    reason = str(one.get("reason") or "")
    return reason if "thresholds" in one else f"{one['name']}: {reason}" if reason else str(one["name"])


def _worst_first(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[t.Mapping[str, t.Any]]:
    return sorted(entries, key=lambda one: -SEVERITY[one["verdict"]])
