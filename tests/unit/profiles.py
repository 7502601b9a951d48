# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A profile that is right in every way, for tests that make it wrong in one."""

from __future__ import annotations

import copy
import typing as t
from pathlib import Path

import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.profile.finding import Finding
from ansible_collections.sre.runbooks.plugins.module_utils.profile.operation import check

PROCEDURES: dict[str, dict[str, t.Any]] = {
    "backup": {"changes": "changes", "required_variables": ["backup_stores", "backup_folder"]},
    "restore": {"changes": "destroys", "required_variables": ["backup_stores", "confirm"]},
    "pitr_backup": {"changes": "changes", "required_variables": ["backup_stores"]},
    "restore_drill": {"changes": "changes", "required_variables": ["backup_stores"]},
    "morning_check": {"changes": "reads", "required_variables": ["health_checks"]},
    "alert_check": {"changes": "reads", "required_variables": []},
}
ROLES: dict[str, dict[str, t.Any]] = {
    "backup_folder": {"type": "path", "required": True},
    "backup_keep_last": {"type": "int", "default": 7},
    "backup_keep_days": {"type": "int", "default": 30},
    "backup_keep_daily": {"type": "int", "default": 0},
    "backup_offsite": {"type": "dict", "default": {}},
    "health_timeout_s": {"type": "float", "default": 10},
    "load_test_requests": {"type": "list", "elements": "dict"},
}
GOOD = """
service_name: shop
service_title: Shop
service_environment: production
service_url: http://127.0.0.1:8000
service_components:
  - {name: api, title: API, availability: 0.99, rto_s: 3600, rpo_s: 0, stateless: true}
  - {name: database, title: PostgreSQL, availability: 0.99, rto_s: 3600, rpo_s: 7200}
service_objectives:
  - {name: errors, title: Errors, metric: error_rate, objective: 0.01, better: lower, unit: ratio, window_days: 30, component: api}
service_logs:
  - {name: app, title: Application, path: /var/log/shop.log, format: auto}
health_checks:
  - {name: api, title: API, component: api, type: http, url: "http://127.0.0.1:8000/health", depends_on: [database]}
  - {name: database, title: Database, component: database, type: postgresql, host: 127.0.0.1}
health_metrics:
  - {name: error_rate, title: Errors, component: api, type: json, url: "http://127.0.0.1:8000/metrics", value: error_rate, unit: ratio,
     warn_above: 0.01, fail_above: 0.05}
incident_severities:
  - {name: P1, title: Down, respond_within_s: 900, escalate_after_s: 1800, notify: critical}
  - {name: P2, title: Impaired, respond_within_s: 3600, escalate_after_s: null, notify: warning}
incident_severity_rules:
  - {severity: P1, when: down, any_check_of: [api, database], verdict: [fail]}
  - {severity: P1, when: half fail, metric: error_rate, above: 0.5}
  - {severity: P2, when: some fail, metric: error_rate, verdict: [fail]}
incident_escalation_levels:
  - {level: 1, name: L1, title: On call, after_s: 0, until_s: 900, contact: on call}
  - {level: 2, name: L2, title: Lead, after_s: 900, until_s: null, contact: on call}
incident_contacts:
  - {name: on call, title: On call, for: everything, email: on-call@shop.org, phone: "+48 123 456 789"}
notify_channels: {critical: ["email://on-call@shop.org"], warning: ["email://on-call@shop.org"]}
monitoring_prometheus_url: http://127.0.0.1:9090
monitoring_alertmanager_url: http://127.0.0.1:9093
monitoring_dashboards:
  - {name: overview, title: Overview, panels: [{title: Errors, metric: error_rate, unit: ratio}]}
backup_folder: /var/backups/shop
backup_keep_last: 7
backup_keep_days: 30
backup_offsite: {bucket: shop}
backup_stores:
  - {name: shop, kind: postgresql, component: database, database: shop, rto_s: 3600, rpo_s: 7200}
load_test_requests: [{name: front, path: /}]
schedule_entries:
  - {procedure: backup, at: every 1 h}
  - {procedure: restore_drill, at: Sun 05:00, time_zone: UTC}
  - {procedure: alert_check, at: every 5 min}
"""


def good() -> dict[str, t.Any]:
    """The variables of the good profile, to be changed."""
    return t.cast("dict[str, t.Any]", yaml.safe_load(GOOD))


def write(folder: Path, variables: t.Mapping[str, t.Any], file: str = "all.yml") -> Path:
    """Write variables as a file of the group `all`."""
    path = folder / "inventory" / "group_vars" / "all" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(copy.deepcopy(dict(variables)), sort_keys=False, allow_unicode=True))
    return folder / "inventory"


def found(folder: Path, variables: t.Mapping[str, t.Any], **unresolved: str) -> list[Finding]:
    """What is found in a profile with these variables."""
    written = write(folder, variables)
    return check(str(written), variables, unresolved=unresolved, role_options=ROLES, procedures=PROCEDURES)


def lines(folder: Path, variables: t.Mapping[str, t.Any]) -> list[str]:
    """The same as text."""
    return [finding.line for finding in found(folder, variables)]
