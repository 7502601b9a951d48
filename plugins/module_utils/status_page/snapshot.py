# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How the service is, by what the history keeps. What is too old to tell is unknown, whatever it was."""

from __future__ import annotations

import math
import typing as t

from ..checks.conditions import number
from ..checks.model import FAIL, PASS, SEVERITY, UNKNOWN, WARN, worst
from ..errors import RunbookError
from ..history.entry import CHECK, METRIC
from ..history.store import History
from ..readable import span
from .settings import Settings

Row = t.Dict[str, t.Any]
_POINTS = {PASS: 1.0, WARN: 0.5, FAIL: 0.0, UNKNOWN: 0.0}
"""As in `checks.report`."""
STATUS = {PASS: "Healthy", WARN: "Degraded", FAIL: "Unhealthy", UNKNOWN: "Unknown"}
AVAILABILITY_DAYS = (1, 7, 30)
_DAY_S = 86400.0
_RUNS = 50
_ALERTS = 100
_OF_LOAD_TESTS = "load_test_"


def snapshot(settings: Settings, now: float) -> Row:
    """Everything that the page and its JSON say about the present, from the history as it is now.

    Args:
        settings: The page's.
        now: Seconds since 1970-01-01 UTC.

    Returns:
        JSON types only. Each result has `verdict` (what counts now), `was` (what was found), `at`, `age_s`, `is_stale`.
    """
    try:
        with History.open(settings.state_folder, settings.service["name"], write=False) as history:
            return _whole(settings, history, now, "" if history.exists else "Nothing was recorded yet: no check has written a history.")
    except RunbookError as error:
        return _whole(settings, None, now, error.message)


def _whole(settings: Settings, history: t.Optional[History], now: float, problem: str) -> Row:
    checks = _results(settings, history, CHECK, settings.checks, now)
    metrics = _results(settings, history, METRIC, settings.metrics, now)
    components = _components(settings, history, checks, metrics, now)
    counted = [one for one in (*checks, *metrics) if one["counts"]]
    run = _newest_run(history)
    moments = [one["at"] for one in counted if one["at"] is not None]
    at = max(moments) if moments else None
    is_stale = at is None or now - at > settings.stale_after_s
    verdict = worst(one["verdict"] for one in counted) if counted else UNKNOWN
    severity = str(run["severity"]) if run and now - run["at"] <= settings.stale_after_s else ""
    alerts = sorted([*_kept_alerts(settings, history, now), *_own_alerts(counted)], key=lambda one: -SEVERITY[one["verdict"]])
    return {
        "now": now,
        "at": at,
        "age_s": None if at is None else max(0.0, now - at),
        "is_stale": is_stale,
        "problem": problem,
        "service": dict(settings.service),
        "verdict": verdict,
        "status": STATUS[verdict],
        "score": None if is_stale else _score(checks),
        "severity": severity,
        "summary": str(run["summary"]) if run and not is_stale else "",
        "counts": {word: sum(one["verdict"] == word for one in counted) for word in _POINTS},
        "components": components,
        "alerts": alerts[:_ALERTS],
        "overview": _overview(metrics),
    }


def _results(
    settings: Settings, history: t.Optional[History], kind: str, wanted: t.Sequence[t.Mapping[str, t.Any]], now: float
) -> t.List[Row]:
    """The newest result of each subject of the profile; without such a list, of each that the history has."""
    newest = {row["name"]: row for row in history.latest(kind)} if history else {}
    known = {one["name"]: one for one in wanted}
    others = [name for name in newest if name not in known and (not wanted or name.startswith(_OF_LOAD_TESTS))]
    return [_result(kind, known.get(name, {}), newest.get(name), name, now, settings) for name in (*known, *others)]


def _result(kind: str, subject: t.Mapping[str, t.Any], row: t.Optional[Row], name: str, now: float, settings: Settings) -> Row:
    was = row["verdict"] if row else UNKNOWN
    age_s = max(0.0, now - row["at"]) if row else None
    is_stale = age_s is None or age_s > settings.stale_after_s
    counts = not name.startswith(_OF_LOAD_TESTS)
    if row is None:
        reason = "never asked"
    elif is_stale and counts:
        reason = f"not asked for {span(age_s or 0.0)}; it was {was} then" + (f" ({row['reason']})" if row["reason"] else "")
    else:
        reason = str(row["reason"])
    return {
        "kind": kind,
        "name": name,
        "title": str(subject.get("title") or name),
        "component": str(subject.get("component") or (row or {}).get("component") or ""),
        "weight": subject.get("weight", 1.0),
        "unit": str(subject.get("unit") or (row or {}).get("unit") or ""),
        "limits": {key: limit for key, limit in subject.items() if key.startswith(("warn_", "fail_"))},
        "verdict": UNKNOWN if is_stale and counts else was,
        "was": was,
        "value": row["value"] if row else None,
        "latency_ms": row["latency_ms"] if row else None,
        "reason": reason,
        "at": row["at"] if row else None,
        "age_s": age_s,
        "is_stale": is_stale,
        # The figures of a load test tell of the moment of the test, not of now.
        "counts": counts,
    }


def _components(
    settings: Settings, history: t.Optional[History], checks: t.Sequence[Row], metrics: t.Sequence[Row], now: float
) -> t.List[Row]:
    titles = {one["name"]: one for one in settings.components}
    named = [*titles, *(one["component"] for one in (*checks, *metrics) if one["component"] not in titles)]
    found = []
    for name in dict.fromkeys(named):
        own_checks = [one for one in checks if one["component"] == name]
        own_metrics = [one for one in metrics if one["component"] == name]
        members = [one for one in (*own_checks, *own_metrics) if one["counts"]]
        moments = [one["at"] for one in members if one["at"] is not None]
        at = max(moments) if moments else None
        verdict = worst(one["verdict"] for one in members) if members else UNKNOWN
        known = titles.get(name, {})
        found.append(
            {
                "name": name or "other",
                "title": str(known.get("title") or name or "Everything else"),
                "verdict": verdict,
                "status": STATUS[verdict],
                "is_healthy": verdict == PASS,
                "at": at,
                "age_s": None if at is None else max(0.0, now - at),
                "promised": known.get("availability"),
                "availability": _availability(history, own_checks, now),
                "checks": own_checks,
                "metrics": own_metrics,
                "is_measured": bool(members),
            }
        )
    return found


def _availability(history: t.Optional[History], checks: t.Sequence[Row], now: float) -> t.List[Row]:
    """Share of answers that were no failure, over days until now: that of the component's least available check."""
    found: t.List[Row] = []
    for days in AVAILABILITY_DAYS:
        shares = [history.availability(one["name"], now - days * _DAY_S, now + 1) for one in checks] if history else []
        known = [(share, samples) for share, samples in shares if share is not None]
        share, samples = min(known, default=(None, 0))
        found.append({"days": days, "share": share, "samples": samples})
    return found


def _newest_run(history: t.Optional[History]) -> t.Optional[Row]:
    """The newest run that judged the whole service."""
    runs = history.runs(limit=_RUNS) if history else []
    return next((run for run in runs if run["score"] is not None), None)


def _score(checks: t.Sequence[Row]) -> t.Optional[float]:
    whole = math.fsum(one["weight"] for one in checks if one["counts"])
    good = math.fsum(one["weight"] * _POINTS[one["verdict"]] for one in checks if one["counts"])
    return round(good / whole, 4) if whole else None


def _own_alerts(counted: t.Sequence[Row]) -> t.List[Row]:
    return [
        {
            "name": one["title"],
            "component": one["component"],
            "verdict": one["verdict"],
            "severity": "",
            "text": one["reason"],
            "source": one["kind"],
            "at": one["at"],
            "age_s": one["age_s"],
        }
        for one in counted
        if one["verdict"] != PASS
    ]


def _kept_alerts(settings: Settings, history: t.Optional[History], now: float) -> t.List[Row]:
    """The Alertmanager's, as a run kept them last."""
    document = history.document("alerts") if history else None
    if not document or not isinstance(document.get("alerts"), list):
        return []
    age_s = max(0.0, now - float(document["recorded_at"]))
    found = []
    for alert in document["alerts"][:_ALERTS]:
        if not isinstance(alert, t.Mapping) or _state_of(alert) not in ("", "active", "firing"):
            continue
        labels, notes = _mapping(alert.get("labels")), _mapping(alert.get("annotations"))
        is_stale = age_s > settings.stale_after_s
        found.append(
            {
                "name": str(alert.get("name") or labels.get("alertname") or "alert")[:200],
                "component": str(alert.get("component") or labels.get("component") or "")[:200],
                "verdict": UNKNOWN if is_stale else FAIL,
                "severity": str(alert.get("severity") or labels.get("severity") or "")[:60],
                "text": str(alert.get("summary") or notes.get("summary") or notes.get("description") or "")[:500]
                + (f" (not asked for {span(age_s)})" if is_stale else ""),
                "source": "alertmanager",
                "at": document["recorded_at"],
                "age_s": age_s,
            }
        )
    return found


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, t.Mapping) else {}


def _state_of(alert: t.Mapping[str, t.Any]) -> str:
    status = alert.get("status")
    return str(status.get("state") if isinstance(status, t.Mapping) else alert.get("state") or status or "")


def _overview(metrics: t.Sequence[Row]) -> t.Dict[str, t.Optional[float]]:
    """Figures that overviews of the source runbooks name; None where no fresh metric of that name is kept."""
    fresh = {one["name"]: number(one["value"]) for one in metrics if not one["is_stale"]}
    errors = fresh.get("error_rate")
    success = fresh.get("success_rate", None if errors is None else 1 - errors)
    return {
        "success_rate": success,
        "active_workflows": fresh.get("active_workflows"),
        "active_operations": fresh.get("active_operations", fresh.get("active_workflows")),
    }
