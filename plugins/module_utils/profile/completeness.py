# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is missing in a profile, and which procedure it is missing for."""

from __future__ import annotations

import typing as t

from .finding import Finding, Findings, Where, items, mapping

_CONSEQUENCES: t.Sequence[t.Tuple[str, str]] = (
    ("service_title", "reports call the service by its short name"),
    ("service_environment", "load_test cannot tell whether this is production, and asks for confirmation"),
    ("service_components", "reports and the status page have one section for everything"),
    ("service_objectives", "slo_report has nothing to measure against"),
    ("service_logs", "morning_check, evening_summary and log_report read no logs"),
    ("health_metrics", "metrics_gate, alert_check and capacity_report have nothing to measure"),
    ("incident_severities", "nothing that goes wrong gets a severity"),
    ("incident_severity_rules", "nothing that goes wrong gets a severity"),
    ("incident_contacts", "nobody is named who can be called"),
    ("notify_channels", "alert_check and monitoring_setup have nobody to tell"),
    ("monitoring_alertmanager_url", "morning_check will not list alerts, and silences cannot be set"),
    ("monitoring_dashboards", "monitoring_setup makes no dashboards"),
    ("backup_stores", "backup, restore and restore_drill have nothing to work on"),
    ("schedule_entries", "no procedure runs by itself"),
    ("load_test_requests", "load_test has nothing to send"),
)
"""Variables that a profile may do without, and what is lost then."""
_ONLY_ASKED = frozenset(("confirm", "procedure_target"))
"""Variables that people give when they start a procedure."""


def missing(variables: t.Mapping[str, t.Any], procedures: t.Mapping[str, t.Mapping[str, t.Any]], where: Where) -> t.List[Finding]:
    """A warning for every variable that a procedure needs or would use, and the profile does not have or leaves empty."""
    wanted: t.Dict[str, t.List[str]] = {}
    for procedure, entry in procedures.items():
        for name in entry.get("required_variables") or ():
            if str(name) not in _ONLY_ASKED and _empty(variables.get(str(name))):
                wanted.setdefault(str(name), []).append(procedure)
    found = Findings(where)
    told = dict(_CONSEQUENCES)
    for name, users in wanted.items():
        if name not in told:
            what = f"No {name}: {', '.join(users)} cannot run"
            found.warning("missing", (name,), what, "", f"add {name} when you want to run it")
    for name, consequence in _CONSEQUENCES:
        if _empty(variables.get(name)):
            found.warning("missing", (name,), f"No {name}: {consequence}", "", f"add {name}")
    return found + _further(variables, where)


def _further(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """What a profile needs because of what else it has."""
    found = Findings(where)
    by_promql = any(item.get("type") == "promql" for _position, item in items(variables.get("health_metrics")))
    if by_promql and _empty(variables.get("monitoring_prometheus_url")):
        what = "No monitoring_prometheus_url: metrics of type promql cannot be read"
        found.warning("missing", ("monitoring_prometheus_url",), what, "", "add monitoring_prometheus_url")
    if not _empty(variables.get("backup_stores")) and not mapping(variables.get("backup_offsite")):
        what = "No backup_offsite: backups stay on the host that they are made on"
        found.warning("missing", ("backup_stores",), what, "a fire takes both", "add an object store")
    scheduled = {str(entry.get("procedure")) for _position, entry in items(variables.get("schedule_entries"))}
    stores = [item for _position, item in items(variables.get("backup_stores")) if item.get("kind") == "postgresql"]
    for procedure, why in (("backup", "nothing is backed up by itself"), ("restore_drill", "no backup is ever proved by a restore")):
        if stores and scheduled and procedure not in scheduled:
            found.warning("missing", ("schedule_entries",), f"The schedule does not run {procedure}", why, "add it")
    return found


def _empty(value: t.Any) -> bool:
    return value is None or value in ("", [], {}, ())
