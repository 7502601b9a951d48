# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Do the parts of a profile fit together: names that are used exist, dependencies end, thresholds and units make sense?"""

from __future__ import annotations

import typing as t

from . import references
from .finding import ERROR, WARNING, Finding, Findings, Where, clip, items, name_of, near, number, texts
from .shape.checks import NUMBER_TYPES_WITHOUT_VALUE, UNITS

_THRESHOLDS = ("warn_above", "fail_above", "warn_below", "fail_below")
_LISTS = (
    "health_checks",
    "health_metrics",
    "service_components",
    "service_objectives",
    "service_logs",
    "service_log_questions",
    "incident_severities",
    "incident_contacts",
    "incident_escalation_levels",
    "incident_phases",
    "incident_emergencies",
    "backup_stores",
    "monitoring_dashboards",
    "remediation_ladders",
    "maintenance_tasks",
    "maintenance_windows",
    "security_tasks",
)
"""Lists whose items are known by name."""


def mistakes(variables: t.Mapping[str, t.Any], where: Where, unresolved: t.Container[str] = ()) -> t.List[Finding]:
    """Everything that does not fit together; `unresolved` are variables that could not be evaluated."""
    found = _duplicates(variables, where)
    found += [] if "health_checks" in unresolved else _dependencies(variables, where)
    found += [
        finding
        for name in ("health_checks", "health_metrics")
        for position, item in items(variables.get(name))
        for finding in _thresholds(name, position, item, where)
    ]
    found += _metrics(variables, where)
    found += references.mistakes(variables, where, unresolved)
    return found + _units(variables, where)


def names(variables: t.Mapping[str, t.Any], variable: str) -> t.Set[str]:
    """Names of the items of a list variable."""
    return {str(item["name"]) for _position, item in items(variables.get(variable)) if isinstance(item.get("name"), (str, int))}


def _duplicates(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    found = Findings(where)
    for variable in _LISTS:
        seen: t.Set[str] = set()
        for position, item in items(variables.get(variable)):
            name = str(item.get("name", ""))
            if name and name in seen:
                path = (variable, position)
                why = "what names it would mean either"
                found.error("duplicate_name", path, f"{variable} has the name {clip(name)!r} twice", why, "rename one")
            seen.add(name)
    return found


def _dependencies(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    found = Findings(where)
    known = names(variables, "health_checks")
    for variable in ("health_checks", "health_metrics"):
        on: t.Dict[str, t.Set[str]] = {}
        for position, item in items(variables.get(variable)):
            path = (variable, position, "depends_on")
            wanted = texts(item.get("depends_on"))
            for other in wanted:
                if other not in known:
                    said = (
                        f"The {'check' if variable == 'health_checks' else 'metric'} {name_of(item, position)} depends on {clip(other)!r}"
                    )
                    found.error(
                        "no_such_check", path, said + ", which is no check" + near(other, known), "", "name a check of health_checks"
                    )
            if variable == "health_checks" and item.get("name"):
                on[str(item["name"])] = set(wanted) & known
        for name in circle(on):
            said = f"The check {clip(name)!r} waits for itself: its dependencies go round in a circle"
            position = next(position for position, item in items(variables.get(variable)) if str(item.get("name")) == name)
            path = (variable, position, "depends_on")
            found.error("circle", path, said, "no check of a circle is ever asked", "take one dependency away")
    return found


def circle(on: t.Mapping[str, t.AbstractSet[str]]) -> t.List[str]:
    """What is in a circle, or waits for one: what is left when everything has been taken away that waits for nothing."""
    left = {name: set(others) for name, others in on.items()}
    while True:
        free = {name for name, others in left.items() if not others & set(left)}
        if not free:
            return sorted(left)
        for name in free:
            del left[name]


def _thresholds(variable: str, position: int, item: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    label = f"The {'check' if variable == 'health_checks' else 'metric'} {name_of(item, position)}"
    path, found = (variable, position), []
    given = {name: value for name in _THRESHOLDS for value in [number(item.get(name))] if value is not None}

    def finding(key: str, what: str, why: str, step: str, level: str = ERROR) -> None:
        found.append(Finding(level, "thresholds", (*path, key), f"{label} {what}", why, step, where((*path, key))))

    for warn, fail, worse in (("warn_above", "fail_above", 1), ("warn_below", "fail_below", -1), ("warn_latency_ms", "fail_latency_ms", 1)):
        low, high = number(item.get(warn)), number(item.get(fail))
        if low is not None and high is not None:
            if (low - high) * worse > 0:
                side = "above" if worse > 0 else "below"
                what = f"would be critical before it warns: {warn} {low:g} is {side} {fail} {high:g}"
                finding(warn, what, "the warning can never be seen", "exchange the two")
            elif low == high:
                finding(
                    warn,
                    f"warns and is critical at the same number {low:g}",
                    "the warning can never be seen",
                    "leave the warning out",
                    WARNING,
                )
    floor = max((given[name] for name in ("warn_below", "fail_below") if name in given), default=None)
    ceiling = min((given[name] for name in ("warn_above", "fail_above") if name in given), default=None)
    if floor is not None and ceiling is not None and floor > ceiling:
        what = f"calls every number bad: below {floor:g} and above {ceiling:g}"
        finding("warn_below", what, "no number is left that passes", "correct one of the thresholds")
    kind = str(item.get("type", ""))
    if variable == "health_checks" and given and kind in NUMBER_TYPES_WITHOUT_VALUE and not item.get("value"):
        key = next(iter(given))
        finding(
            key,
            f"has thresholds, and its type {kind} gives no number",
            "nothing would ever be held against them",
            "name the number in `value`, or take the thresholds away",
        )
    return found


def _metrics(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    found = Findings(where)
    for position, item in items(variables.get("health_metrics")):
        path = ("health_metrics", position)
        label = f"The metric {name_of(item, position)}"
        if not item.get("unit"):
            found.warning("no_unit", path, f"{label} has no unit", "reports and dashboards cannot say what the number is", "add `unit`")
        for key in _THRESHOLDS:
            value = number(item.get(key))
            if value is not None and item.get("unit") == "ratio" and not 0 <= value <= 1:
                step = "write 0.05 for 5 %, or use the unit percent"
                found.error("unit", (*path, key), f"{label} is a ratio, and {key} is {value:g}", "a ratio lies between 0 and 1", step)
            if value is not None and item.get("unit") == "percent" and not 0 <= value <= 100:
                found.error("unit", (*path, key), f"{label} is in percent, and {key} is {value:g}", "", "correct it")
        window, every = number(item.get("window_s")), number(item.get("every_s"))
        if window and every and every > window:
            what = f"{label} is read every {every:g} s in a window of {window:g} s"
            found.error("window", (*path, "every_s"), what, "there would be one reading only", "make every_s smaller")
    return found


def _units(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Objectives and panels in a unit that measures something else than their metric's."""
    of_metric = {str(item.get("name")): str(item.get("unit")) for _p, item in items(variables.get("health_metrics")) if item.get("unit")}
    users = [(("service_objectives", position), item) for position, item in items(variables.get("service_objectives"))]
    for position, board in items(variables.get("monitoring_dashboards")):
        users += [(("monitoring_dashboards", position, "panels", n), panel) for n, panel in items(board.get("panels"))]  # type: ignore[misc]
    found = Findings(where)
    for path, item in users:
        own, other = str(item.get("unit", "")), of_metric.get(str(item.get("metric")), "")
        if own in UNITS and other in UNITS and own != other:
            same = UNITS[own] == UNITS[other]
            what = f"{path[0]} gives the metric {clip(item.get('metric'))!r} in {own}, and it is measured in {other}"
            why = "the numbers would be held against each other as they are" if same else "they measure different things"
            found.error("unit", (*path, "unit"), what, why, f"write it in {other}")
    return found
