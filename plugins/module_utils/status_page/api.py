# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The state as JSON, in the shapes that the wrapper system's runbook reads. `data` says how old it is; what is too old is no success."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..state import utc_text
from .snapshot import Row

Answer = t.Tuple[int, Row]
"""HTTP status and document."""
_OK, _NOT_FOUND, _UNAVAILABLE = 200, 404, 503


def system_health(state: Row) -> Answer:
    """`/api/system/health`: score, status, number of wrappers (the service's components) and of operations."""
    components = [one for one in state["components"] if one["is_measured"]]
    data = {
        "overall_health_score": state["score"],
        "system_status": state["status"],
        "active_wrappers": len(components),
        "healthy_wrappers": sum(one["is_healthy"] for one in components),
        "active_operations": state["overview"]["active_operations"],
        "verdict": state["verdict"],
        "severity": state["severity"] or None,
        "active_alerts": len(state["alerts"]),
    }
    return _answer(state, data)


def wrappers_health(state: Row) -> Answer:
    """`/api/wrappers/health`: every component."""
    return _answer(state, {one["name"]: _component(one) for one in state["components"]})


def wrapper_metrics(state: Row, name: str) -> Answer:
    """`/api/wrappers/<name>/metrics`: the figures of one component."""
    for one in state["components"]:
        if one["name"] == name:
            return _answer(state, {"name": name, **_component(one), **_figures(one)}, one["at"], one["age_s"])
    known = [one["name"] for one in state["components"]]
    return _NOT_FOUND, {"success": False, "error": "there is no such component", "data": {"components": known}}


def export(state: Row) -> Answer:
    """`/api/metrics/export`: everything at once."""
    data = {
        "system": system_health(state)[1]["data"],
        "wrappers": {one["name"]: {**_component(one), **_figures(one)} for one in state["components"]},
        "alerts": state["alerts"],
        "overview": state["overview"],
        "counts": state["counts"],
    }
    return _answer(state, data)


def overview(state: Row) -> Answer:
    """`/api/overview`: `overview.success_rate`, `overview.active_workflows`, `alerts`."""
    status, document = _answer(state, {"score": state["score"], "verdict": state["verdict"], "severity": state["severity"] or None})
    return status, {**document, "overview": state["overview"], "alerts": state["alerts"]}


def _answer(state: Row, data: Row, at: t.Any = None, age_s: t.Any = None) -> Answer:
    moment = state["at"] if at is None else at
    age = state["age_s"] if at is None else age_s
    told = {
        **data,
        "as_of": None if moment is None else _utc(moment),
        "age_s": None if age is None else round(age, 1),
        "is_stale": state["is_stale"],
    }
    if state["is_stale"]:
        return _UNAVAILABLE, {"success": False, "error": state["problem"] or "the newest result is too old to say anything", "data": told}
    return _OK, {"success": True, "data": told}


def _component(one: Row) -> Row:
    return {
        "title": one["title"],
        "healthy": one["is_healthy"],
        "status": one["status"].lower(),
        "verdict": one["verdict"],
        "as_of": None if one["at"] is None else _utc(one["at"]),
        "age_s": None if one["age_s"] is None else round(one["age_s"], 1),
    }


def _figures(one: Row) -> Row:
    keys = ("verdict", "value", "unit", "latency_ms", "reason", "age_s", "is_stale")
    return {
        "checks": {item["name"]: {key: item[key] for key in keys if key not in ("value", "unit")} for item in one["checks"]},
        "metrics": {item["name"]: {key: item[key] for key in keys if key != "latency_ms"} for item in one["metrics"]},
        "availability": one["availability"],
        "promised_availability": one["promised"],
    }


def _utc(at: float) -> str:
    return utc_text(datetime.fromtimestamp(at, timezone.utc))
