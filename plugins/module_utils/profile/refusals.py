# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the parts that will read the profile would refuse: the same planning that they do before they ask anything."""

from __future__ import annotations

import typing as t

from ..checks import plan as check_plan
from ..errors import RunbookError
from ..metrics import plan as metric_plan
from ..severity import severity_mistakes
from .finding import Finding, Findings, Where, clip, items, name_of


def mistakes(variables: t.Mapping[str, t.Any], known: t.Iterable[Finding], where: Where) -> t.List[Finding]:
    """Mistakes of checks, metrics and severity rules that no finding of `known` tells already."""
    told = {str(finding.path[0]) for finding in known if finding.path}
    if told & {"health_checks", "health_metrics"}:
        # Rules about checks that are wrong themselves would be blamed for them.
        told.add("incident_severity_rules")
    found = Findings(where)
    for variable, refusals in (("health_checks", _of_checks), ("health_metrics", _of_metrics), ("incident_severity_rules", _of_rules)):
        if variable in told or not isinstance(variables.get(variable), list):
            continue
        for mistake in refusals(variables):
            position = next(
                (place for place, item in items(variables[variable]) if mistake.split(": ")[0].endswith(name_of(item, place))), None
            )
            found.error("refused", (variable,) if position is None else (variable, position), f"{variable}: {clip(mistake, 300)}")
    return found


def _of_checks(variables: t.Mapping[str, t.Any]) -> t.List[str]:
    return _refused(lambda: check_plan.plan(variables["health_checks"])) if variables["health_checks"] else []


def _of_metrics(variables: t.Mapping[str, t.Any]) -> t.List[str]:
    if not variables["health_metrics"]:
        return []
    # A metric may wait for a check, which its own planning does not see.
    alone = [
        {key: value for key, value in item.items() if key != "depends_on"} if isinstance(item, t.Mapping) else item
        for item in variables["health_metrics"]
        if not isinstance(item, t.Mapping) or item.get("type") != "log"
    ]
    return _refused(lambda: metric_plan.plan(alone, service=str(variables.get("service_name") or ""))) if alone else []


def _of_rules(variables: t.Mapping[str, t.Any]) -> t.List[str]:
    rules, severities = variables["incident_severity_rules"], variables.get("incident_severities")
    if not rules:
        return []
    checks = [item for _position, item in items(variables.get("health_checks"))]
    metrics = [item for _position, item in items(variables.get("health_metrics"))]
    try:
        return severity_mistakes(severities, rules, checks=checks, metrics=metrics)
    except RunbookError as error:
        return [error.message]


def _refused(planning: t.Callable[[], t.Any]) -> t.List[str]:
    try:
        planning()
    except RunbookError as error:
        return [str(mistake) for mistake in error.facts.get("mistakes") or [error.message]]
    return []
