# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_report: gather, arrange, write."""

from __future__ import annotations

import os
import time
import typing as t

from ..checks.model import SEVERITY, UNKNOWN
from ..checks.redaction import secrets_within
from ..errors import BadInput
from ..history.entry import CHECK, METRIC
from ..history.store import History
from ..procedure_lookup import look_up
from ..recovery.measured import records
from ..run_clean import Cleaner
from ..state import state_folder, utc_time
from . import shapes
from .gathered import Gathered
from .kinds import KINDS, document
from .own_alerts import own_alerts
from .shapes import shaped
from .store import folder_of, stem_of, write
from .trend import Terms

_DICTIONARIES: t.Mapping[str, t.Any] = {"type": "list", "elements": "dict", "default": []}
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "kind": {"type": "str", "required": True, "choices": sorted(KINDS)},
    "service": {"type": "str", "required": True},
    "title": {"type": "str", "default": ""},
    "environment": {"type": "str", "default": ""},
    "objectives": _DICTIONARIES,
    "until": {"type": "str", "default": ""},
    "window_s": {"type": "float", "default": 0.0},
    "checks": _DICTIONARIES,
    "metrics": _DICTIONARIES,
    "health": {"type": "dict"},
    "metric_results": {"type": "dict"},
    "logs": {"type": "dict"},
    "log_questions": _DICTIONARIES,
    "log_sources": _DICTIONARIES,
    "largest_log_mb": {"type": "float", "default": 0.0},
    "alerts": {"type": "dict"},
    "backups": {"type": "dict"},
    "stores": _DICTIONARIES,
    "components": _DICTIONARIES,
    "schedule": _DICTIONARIES,
    "backup_windows": _DICTIONARIES,
    "keep": {"type": "dict", "default": {}},
    "archives": {"type": "dict", "default": {}},
    "tasks": {"type": "list", "elements": "str", "default": []},
    "severity": {"type": "dict"},
    "contacts": _DICTIONARIES,
    "escalation_levels": _DICTIONARIES,
    "capacity": _DICTIONARIES,
    "reading_valid_s": {"type": "float", "default": 900.0},
    "minimum_coverage": {"type": "float", "default": 0.9},
    "burn_rates": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"window_s": {"type": "float", "required": True}, "warn_above": {"type": "float", "required": True}},
    },
    "trend_minimum_readings": {"type": "int", "default": 20},
    "trend_minimum_days": {"type": "float", "default": 3.0},
    "trend_horizon_factor": {"type": "float", "default": 3.0},
    "keep_days": {"type": "float", "default": 400.0},
    "state_folder": {"type": "path"},
    "secrets": {"type": "list", "elements": "raw", "default": [], "no_log": True},
}
"""Described in plugins/modules/service_report.py."""
_LIMITS: t.Mapping[str, t.Tuple[float, float]] = {
    "window_s": (0, 10 * 366 * 86_400),
    "reading_valid_s": (1, 31 * 86_400),
    "minimum_coverage": (0, 1),
    "trend_minimum_readings": (5, 1_000_000),
    "trend_minimum_days": (0.01, 3660),
    "trend_horizon_factor": (0.1, 100),
    "keep_days": (0, 36_600),
    "largest_log_mb": (0, 1e9),
}
_MOST_RUNS = 500


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Make the report that `parameters` (valid for OPTIONS) ask for, and write it; in check mode it is made, but not written.

    Returns:
        `verdict`, `headline`, `next_steps`, `severity`, paths as `html`, `markdown`, `json` and `index`, `removed`, `sections`.

    Raises:
        BadInput: The terms make no sense, or the history or folder cannot be used.
        NoSpace: The disk is full; earlier reports stay as they are.
    """
    wrong = [f"{name} is not between {low:g} and {high:g}" for name, (low, high) in _LIMITS.items() if not low <= parameters[name] <= high]
    if wrong:
        raise BadInput(
            "The report cannot be made on these terms", why="; ".join(wrong), next_step="correct the options; nothing was written"
        )
    state = state_folder(parameters["state_folder"])
    folder = folder_of(state, parameters["service"])
    with History.open(state, parameters["service"], write=False) as history:
        known = gather(parameters, history, state)
        cleaner = Cleaner([parameters["secrets"], *secrets_within(dict(parameters))])
        report = cleaned(document(known), cleaner)
    result: t.Dict[str, t.Any] = {
        "changed": False,
        "msg": f"{report['title']}: {report['verdict']}. {report['headline']}",
        "verdict": report["verdict"],
        "headline": report["headline"],
        "next_steps": report["next_steps"],
        "severity": report["severity"],
        "sections": [{"title": one["title"], "verdict": one["verdict"], "summary": one["summary"]} for one in report["sections"]],
        "removed": [],
    }
    if check_mode:
        stem = os.path.join(folder, stem_of(report))
        return {
            **result,
            "html": f"{stem}.html",
            "markdown": f"{stem}.md",
            "json": f"{stem}.json",
            "index": os.path.join(folder, "index.html"),
        }
    paths, removed = write(folder, report, parameters["keep_days"])
    return {**result, **paths, "removed": removed}


def gather(parameters: t.Mapping[str, t.Any], history: History, state: str) -> Gathered:
    """What the report stands on.

    Raises:
        BadInput: The end of the window is no moment.
    """
    kind = KINDS[parameters["kind"]]
    at = _moment(parameters["until"])
    window_s = parameters["window_s"] or kind.window_s
    definitions: t.Dict[str, t.Dict[str, t.Any]] = {}
    for source in (CHECK, METRIC):
        for item in shaped(parameters["checks" if source == CHECK else "metrics"], [shapes.DEFINITION]):
            if item.get("name"):
                # A metric that bears the name of a check tells more of it.
                definitions[item["name"]] = {**item, "kind": source}
    own = own_alerts(state, parameters["service"], at, parameters["reading_valid_s"])
    return Gathered(
        kind=parameters["kind"],
        service={
            "name": parameters["service"],
            "title": parameters["title"] or parameters["service"],
            "environment": parameters["environment"],
            "objectives": shaped(parameters["objectives"], [shapes.OBJECTIVE]),
        },
        at=at,
        window_s=window_s,
        history=history,
        checks=_results(parameters["health"], "results"),
        metrics=_results(parameters["metric_results"], "metrics"),
        definitions=definitions,
        logs=_asked(parameters["logs"], shapes.LOGS),
        log_questions=shaped(parameters["log_questions"], [shapes.LOG_QUESTION]),
        log_sources=shaped(parameters["log_sources"], [shapes.LOG_SOURCE]),
        largest_log_bytes=parameters["largest_log_mb"] * 1e6,
        alerts=_asked(parameters["alerts"], shapes.ALERTS) or own,
        backups=_asked(parameters["backups"], shapes.BACKUPS),
        stores=shaped(parameters["stores"], [shapes.STORE]),
        tasks=parameters["tasks"],
        runs=_of_recovery(state, at - window_s, at) if parameters["kind"] == "recovery_report" else _runs(state, at - window_s, at),
        severity=shaped(parameters["severity"], shapes.SEVERITY) or None,
        contacts=shaped(parameters["contacts"], [shapes.CONTACT]),
        escalation=shaped(parameters["escalation_levels"], [shapes.LEVEL]),
        capacity=shaped(parameters["capacity"], [shapes.CAPACITY]),
        reading_valid_s=parameters["reading_valid_s"],
        minimum_coverage=parameters["minimum_coverage"],
        burn_rates=parameters["burn_rates"],
        recovery={
            "components": shaped(parameters["components"], [shapes.COMPONENT]),
            "schedule": shaped(parameters["schedule"], [shapes.PLANNED]),
            "windows": shaped(parameters["backup_windows"], [shapes.PLANNED]),
            "keep": shaped(parameters["keep"], shapes.NUMBERS),
            "archives": {str(name): shaped(one, shapes.ARCHIVE) or {} for name, one in parameters["archives"].items()},
        },
        trend=Terms(parameters["trend_minimum_readings"], parameters["trend_minimum_days"], parameters["trend_horizon_factor"]),
    )


def cleaned(report: t.Dict[str, t.Any], cleaner: Cleaner) -> t.Dict[str, t.Any]:
    """A copy of the report without secrets; numbers and moments are our own and stay."""

    def clean(value: t.Any) -> t.Any:
        if isinstance(value, str):
            return cleaner.value(value)
        if isinstance(value, t.Mapping):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(item) for item in value]
        return value

    fixed = ("format", "kind", "at", "since", "verdict")
    return {key: value if key in fixed else clean(value) for key, value in report.items()}


def _asked(result: t.Optional[t.Mapping[str, t.Any]], shape: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
    """The result of a task; None where the task was skipped, because there was nothing to ask."""
    if not result or result.get("skipped"):
        return None
    return shaped(result, shape) or {"msg": "The task that asked left no result that can be read."}


def _results(found: t.Optional[t.Mapping[str, t.Any]], key: str) -> t.Optional[t.List[t.Dict[str, t.Any]]]:
    """The results of checks or metrics; a verdict that is none is unknown."""
    if not found or found.get("skipped"):
        return None
    results = [one for one in shaped(found.get(key), [shapes.RESULT]) or () if one.get("name")]
    for one in results:
        if one.get("verdict") not in SEVERITY:
            one.update(verdict=UNKNOWN, reason=one.get("reason") or "it has no verdict")
    return results or None


def _runs(state: str, since: float, until: float) -> t.List[t.Dict[str, t.Any]]:
    options = {"state_folder": state, "run_id": "", "procedure": "", "status": None, "limit": _MOST_RUNS}
    found = []
    for record in look_up(options)["runs"]:
        try:
            if since <= utc_time(record["started_at"]).timestamp() <= until:
                found.append(record)
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _of_recovery(state: str, since: float, until: float) -> t.List[t.Dict[str, t.Any]]:
    return [record for record in records(state, since) if utc_time(record["started_at"]).timestamp() <= until]


def _moment(text: str) -> float:
    if not text:
        return time.time()
    try:
        return utc_time(text).timestamp()
    except ValueError:
        raise BadInput(
            "The end of the window is no moment", where=text[:60], next_step="write it in UTC, for example 2026-11-21T09:00:00Z"
        ) from None
