# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Documented answers of the service, held against the profile's own conditions, thresholds and objectives."""

from __future__ import annotations

import typing as t

from ..checks import conditions
from ..checks.model import FAIL, WARN
from ..errors import RunbookError
from .finding import Finding, Findings, Where, clip, items, number

_CONDITION_KEYS = ("conditions", "value", "observe", "warn_above", "fail_above", "warn_below", "fail_below")


def mistakes(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Samples that the profile judges in two ways: a check passes, and an objective is missed by the same answer."""
    checks = {str(item.get("name")): item for _position, item in items(variables.get("health_checks"))}
    metrics = [item for _position, item in items(variables.get("health_metrics"))]
    objectives = [item for _position, item in items(variables.get("service_objectives"))]
    found = Findings(where)
    for position, sample in items(variables.get("service_samples")):
        path = ("service_samples", position)
        check = checks.get(str(sample.get("check")))
        if check is None:
            continue
        verdict = _verdict(check, sample.get("answer"))
        for metric in metrics:
            if metric.get("url") != check.get("url") or not isinstance(metric.get("value"), str):
                continue
            value = _value(metric, sample.get("answer"))
            if value is None:
                continue
            for objective in objectives:
                missed = _missed(objective, metric, value)
                if missed and not verdict:
                    what = (
                        f"The documented answer of {clip(check['name'])!r} passes its check, and its {clip(metric['name'])} of "
                        f"{value:g} does not meet the objective {clip(objective.get('name'))!r} ({missed})"
                    )
                    why = "the service calls well what the profile calls a missed target"
                    found.warning("sample", path, what, why, "decide which of the two is meant")
        if verdict == FAIL:
            what = f"The documented answer of {clip(check['name'])!r} fails its own check"
            found.error("sample", path, what, "", "correct the check's conditions, or the sample")
    return found


def _verdict(check: t.Mapping[str, t.Any], answer: t.Any) -> str:
    """The worst verdict of the check's own conditions; empty for a pass, and for what cannot be judged."""
    options = {key: check[key] for key in _CONDITION_KEYS if check.get(key) is not None}
    try:
        if conditions.mistakes(options):
            return ""
        verdicts = {finding.verdict for finding in conditions.judge(answer, options).findings}
    except (RunbookError, ValueError, TypeError, AttributeError):
        return ""
    return FAIL if FAIL in verdicts else WARN if verdicts else ""


def _value(metric: t.Mapping[str, t.Any], answer: t.Any) -> t.Optional[float]:
    try:
        value = number(conditions.search(str(metric["value"]), answer))
    except (RunbookError, ValueError):
        return None
    if value is None:
        return None
    value = 1 - value if metric.get("complement") is True else value
    return value * (number(metric.get("scale")) or 1)


def _missed(objective: t.Mapping[str, t.Any], metric: t.Mapping[str, t.Any], value: float) -> str:
    """How the value misses the objective; targets are strict, as the source's `> 95 %`. Empty when it does not, or is of something else."""
    wanted = number(objective.get("objective"))
    if wanted is None or objective.get("metric") != metric.get("name"):
        return ""
    if objective.get("better") == "higher" and value <= wanted:
        return f"above {wanted:g}"
    return f"below {wanted:g}" if objective.get("better") == "lower" and value >= wanted else ""
