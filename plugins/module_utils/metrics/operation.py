# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module metrics_gate: plan, measure, judge, grade. It runs on the controller or on a managed host."""

from __future__ import annotations

import time
import typing as t
from dataclasses import replace

from ..checks.model import SEVERITY
from ..checks.plan import redactor_for
from ..checks.report import score
from ..errors import BadInput
from ..severity import refused, severity_of
from ..severity_rules import shape_mistakes
from ..state import state_folder
from .plan import plan
from .report import entry, report
from .run import ask, usual_by

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "metrics": {"type": "list", "elements": "dict", "required": True},
    "checks": {"type": "list", "elements": "dict", "default": []},
    "logs": {"type": "list", "elements": "dict", "default": []},
    "events": {"type": "list", "elements": "str", "default": []},
    "severities": {"type": "list", "elements": "dict", "default": []},
    "severity_rules": {"type": "list", "elements": "dict", "default": []},
    "service": {"type": "str", "default": ""},
    "state_folder": {"type": "path"},
    "timeout_s": {"type": "float", "default": 10.0},
    "retries": {"type": "int", "default": 1},
    "concurrency": {"type": "int", "default": 100},
    "fail_on": {"type": "list", "elements": "str", "choices": ["warn", "fail", "unknown"], "default": ["fail", "unknown"]},
}
"""Described in plugins/modules/metrics_gate.py."""
_LIMITS: t.Mapping[str, t.Tuple[float, float]] = {"timeout_s": (0.01, 3600), "retries": (0, 10), "concurrency": (1, 1000)}


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Measure the metrics of `parameters` (valid for OPTIONS) and grade what they say; it changes nothing, so check mode does the same.

    Returns:
        The report, with `failed` when a verdict of `fail_on` is among the answers.

    Raises:
        BadInput: The metrics, rules or terms have mistakes; nothing was asked.
        ToolMissing: An expression needs the library jmespath, and it is not installed.
    """
    raw, checks = parameters["metrics"], parameters["checks"]
    _look_at_terms(parameters)
    wrong = shape_mistakes(parameters["severities"], parameters["severity_rules"])
    if wrong:
        raise refused(wrong)
    service = parameters["service"]
    metrics = []
    if raw or not (checks or parameters["events"]):
        metrics = plan(raw, timeout_s=parameters["timeout_s"], retries=parameters["retries"], service=service, logs=parameters["logs"])
    begin = time.monotonic()
    outcomes = ask(
        metrics,
        concurrency=parameters["concurrency"],
        redactor=redactor_for(raw),
        usual=usual_by(state_folder(parameters["state_folder"]), service) if service else None,
    )
    entries = [entry(outcome) for outcome in outcomes]
    severity = severity_of(parameters["severities"], parameters["severity_rules"], checks, entries, parameters["events"])
    whole = score([replace(outcome.last, verdict=outcome.judged.verdict) for outcome in outcomes])
    said = report(entries, whole, severity, (time.monotonic() - begin) * 1000, checks)
    outcome = {"changed": False, "msg": said["summary"], **said}
    if any(said["counts"][verdict] or said["verdict"] == verdict for verdict in parameters["fail_on"]):
        outcome["failed"] = True
    return outcome


def _look_at_terms(parameters: t.Mapping[str, t.Any]) -> None:
    wrong = [f"{name} is not between {low:g} and {high:g}" for name, (low, high) in _LIMITS.items() if not low <= parameters[name] <= high]
    wrong += [
        f"checks: number {number} is not a result of health_check"
        for number, check in enumerate(parameters["checks"], 1)
        if check.get("verdict") not in SEVERITY or not isinstance(check.get("name"), str)
    ]
    if wrong:
        raise BadInput(
            "The metrics cannot be measured on these terms", why="; ".join(wrong[:30]), next_step="correct the options; nothing was asked"
        )
