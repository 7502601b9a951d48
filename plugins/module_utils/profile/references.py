# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Names that a profile uses exist in the list that they belong to."""

from __future__ import annotations

import typing as t

from .finding import Finding, Findings, Path, Where, clip, items, mapping, near, texts

_LISTS: t.Mapping[str, str] = {
    "check": "health_checks",
    "metric": "health_metrics",
    "component": "service_components",
    "log": "service_logs",
    "log question": "service_log_questions",
    "contact": "incident_contacts",
    "script": "service_scripts",
    "store": "backup_stores",
    "severity": "incident_severities",
    "level": "notify_channels",
}
"""What a name can be of, and where these are listed."""
_CONDITION = {"check": "check", "any_check_of": "check", "metric": "metric"}
_ITEMS: t.Mapping[str, t.Mapping[str, str]] = {
    "health_checks": {"component": "component"},
    "health_metrics": {"component": "component"},
    "backup_stores": {"component": "component"},
    "service_objectives": {"component": "component", "check": "check", "metric": "metric"},
    "service_samples": {"check": "check"},
    "service_log_questions": {"log": "log"},
    "maintenance_log_rules": {"source": "log"},
    "incident_severities": {"notify": "level"},
    "incident_severity_rules": {"severity": "severity", **_CONDITION},
    "incident_escalation_levels": {"contact": "contact", "notify": "level"},
    "incident_on_call_checklist": {"checks": "check"},
    "deploy_rollback_when": {"metric": "metric"},
    "restore_proofs": {"store": "store"},
    "restore_files": {"store": "store"},
    "restore_recovery_steps": {"script": "script", "check": "check"},
    "maintenance_tasks": {"script": "script"},
    "backup_windows": {"stores": "store"},
}
"""Lists with names in their items: key -> what it names."""
_STEP = {
    "check": "check",
    "checks": "check",
    "metric": "metric",
    "log_question": "log question",
    "script": "script",
    "contact": "contact",
}
_OF_A_RUN = ("backup_store", "pitr_store", "recovery_store", "restore_store")
"""Variables of an entry of the schedule that name stores."""
_SINGLE = {"deploy_health_check": "check", "security_log_question": "log question"}


def mistakes(variables: t.Mapping[str, t.Any], where: Where, unresolved: t.Container[str] = ()) -> t.List[Finding]:
    """Every name that is in no list; nothing is said of lists that could not be evaluated."""
    known = {kind: _known(variables.get(variable)) for kind, variable in _LISTS.items()}
    found = Findings(where)
    for path, key, kind, name in _uses(variables):
        # Without any component a profile simply has no sections.
        if name and name not in known[kind] and (kind != "component" or known[kind]) and _LISTS[kind] not in unresolved:
            what = f"{path[0]} names the {kind} {clip(name)!r}, which {_LISTS[kind]} does not have{near(name, known[kind])}"
            found.error("no_such_name", (*path, key) if key else path, what, "", "correct the name")
    return found


def _known(value: t.Any) -> t.Set[str]:
    if isinstance(value, t.Mapping):
        return set(map(str, value))
    return {str(item["name"]) for _position, item in items(value) if isinstance(item.get("name"), (str, int))}


def _uses(variables: t.Mapping[str, t.Any]) -> t.Iterator[t.Tuple[Path, str, str, str]]:
    """Every use of a name: where, under which key, of what kind, the name."""
    for variable, keys in _ITEMS.items():
        for position, item in items(variables.get(variable)):
            yield from _of((variable, position), item, keys)
    for position, board in items(variables.get("monitoring_dashboards")):
        for panel_position, panel in items(board.get("panels")):
            yield from _of(("monitoring_dashboards", position, "panels", panel_position), panel, {"metric": "metric"})
    for position, ladder in items(variables.get("remediation_ladders")):
        yield from _of(("remediation_ladders", position, "when"), mapping(ladder.get("when")), _CONDITION)
        for step_position, step in items(ladder.get("steps")):
            yield from _of(("remediation_ladders", position, "steps", step_position), step, _STEP)
    for position, entry in items(variables.get("schedule_entries")):
        yield from _of(("schedule_entries", position, "variables"), _stores_of_a_run(entry), dict.fromkeys(_OF_A_RUN, "store"))
    for variable, kind in _SINGLE.items():
        if isinstance(variables.get(variable), str):
            yield (variable,), "", kind, variables[variable]


def _stores_of_a_run(entry: t.Mapping[str, t.Any]) -> t.Dict[str, t.List[str]]:
    return {name: texts(value) for name, value in mapping(entry.get("variables")).items() if name in _OF_A_RUN}


def _of(path: Path, item: t.Mapping[str, t.Any], keys: t.Mapping[str, str]) -> t.Iterator[t.Tuple[Path, str, str, str]]:
    for key, kind in keys.items():
        value = item.get(key)
        for name in [value] if isinstance(value, str) else texts(value):
            yield path, key, kind, name
