# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a new profile. They are written to be read and completed by a person, so they are text with comments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .new_profile_runtimes import RUNTIMES

if TYPE_CHECKING:
    from .new_profile import Facts

_VARIABLES = "group_vars/all"


def content(facts: Facts) -> dict[str, str]:
    """The files by their path in the profile's folder."""
    files = {
        "hosts.ini": _hosts(facts),
        f"{_VARIABLES}/service.yml": _service(facts),
        f"{_VARIABLES}/checks.yml": _checks(facts),
        f"{_VARIABLES}/thresholds.yml": _thresholds(facts),
        f"{_VARIABLES}/severities.yml": _severities(facts),
        f"{_VARIABLES}/contacts.yml": _contacts(facts),
        f"{_VARIABLES}/monitoring.yml": _monitoring(facts),
        f"{_VARIABLES}/schedule.yml": _schedule(facts),
        f"{_VARIABLES}/secrets.yml": _secrets(facts),
    }
    if facts.database:
        files[f"{_VARIABLES}/backup.yml"] = _backup(facts, facts.database.database)
    return files


def _text(value: Any) -> str:
    """A value as YAML writes it in any place: JSON is a part of YAML."""
    return json.dumps(value, ensure_ascii=False)


def _variable(facts: Facts, what: str) -> str:
    return f"{facts.name.upper()}_{what}"


def _hosts(facts: Facts) -> str:
    groups = ["operator", "app", *(["postgresql"] if facts.database else []), *(["redis"] if facts.cache else [])]
    return "# Who does what. Everything is done from this machine; put real hosts here where it is not.\n" + "\n".join(
        f"[{group}]\nlocalhost\n" for group in groups
    )


def _service(facts: Facts) -> str:
    text = f"""---
# How the hosts are reached: this machine itself, with the Python that runs Ansible.
ansible_connection: local
ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"

service_name: {facts.name}
service_title: {_text(facts.title)}
service_environment: {facts.environment}
service_runtime: {facts.runtime}
{RUNTIMES[facts.runtime].variables % (_text(facts.place), _text(facts.workload))}
service_url: {_text(facts.service_url)}
service_endpoints:
  health: {_text("{{ service_url }}" + facts.health_path)}
"""
    if facts.database:
        text += f"""service_database_host: {_text(facts.database.host)}
service_database_port: {facts.database.port}
service_database_user: {_text(facts.database.user or "postgres")}
service_database_name: {_text(facts.database.database)}
"""
    if facts.cache:
        text += f"service_cache_host: {_text(facts.cache.host)}\nservice_cache_port: {facts.cache.port}\n"
    text += f"""
# What it is made of. Add what each part promises: availability (0.999), rto_s and rpo_s in seconds.
service_components:
  - {{name: service, title: {_text(facts.title)}, stateless: true}}
"""
    if facts.database:
        text += "  # It may be gone for four hours, and lose a day and the time that a backup takes.\n"
        text += "  - {name: database, title: PostgreSQL, rto_s: 14400, rpo_s: 93600}\n"
    text += "  - {name: cache, title: Cache}\n" if facts.cache else ""
    text += "  - {name: host, title: Host}\n"
    text += """
# What is promised to the users.
service_objectives:
  - {name: availability, title: Availability, check: service, objective: 0.999, better: higher, unit: ratio, window_days: 30,
     component: service}
"""
    if facts.prometheus_url:
        text += """  - {name: error_rate, title: Failed requests, metric: error_rate, objective: 0.01, better: lower, unit: ratio,
     window_days: 30, component: service}
"""
    return text + _logs(facts)


def _logs(facts: Facts) -> str:
    return f"""
# Where it logs; `path: /var/log/...` for files.
service_logs:
  - {{name: service, title: Log of the service, {RUNTIMES[facts.runtime].log}, format: auto}}
"""


def _checks(facts: Facts) -> str:
    after = "\n    depends_on: [database]" if facts.database else ""
    text = f"""---
# The questions that tell whether the service is well; `ansible-doc sre.runbooks.health_check` explains every key.
health_checks_service:
  - name: service
    title: The service is well
    component: service
    type: http
    url: "{{{{ service_endpoints.health }}}}"
    warn_latency_ms: 1000
    timeout_s: 10{after}
"""
    if facts.database:
        text += """  - name: database
    title: PostgreSQL takes connections
    component: database
    type: postgresql
    host: "{{ service_database_host }}"
    port: "{{ service_database_port }}"
    user: "{{ service_database_user }}"
    password: "{{ service_database_password }}"
    database: "{{ service_database_name }}"
    timeout_s: 10
"""
    if facts.cache:
        text += """  - name: cache
    title: The cache answers
    component: cache
    type: redis
    host: "{{ service_cache_host }}"
    port: "{{ service_cache_port }}"
    password: "{{ service_cache_password }}"
    timeout_s: 5
"""
    if facts.prometheus_url:
        text += """  - name: prometheus
    title: Prometheus is ready
    type: prometheus_server
    url: "{{ monitoring_prometheus_url }}"
    weight: 0.5
    timeout_s: 5
"""
    return (
        text
        + f"""# What runs it; add the line to health_checks once service_status says that the names are right:
#   - {{name: {facts.runtime}, component: service, {RUNTIMES[facts.runtime].check}}}
health_checks: "{{{{ health_checks_service }}}}"
"""
    )


def _thresholds(facts: Facts) -> str:
    text = """---
# What is measured, and from which number on it is a warning or critical (strict comparison).
health_metrics:
  - {name: disk, title: Disk usage, component: host, type: disk, path: /, unit: percent, warn_above: 80, fail_above: 90}
"""
    if facts.prometheus_url:
        text += """  - name: error_rate
    title: Failed requests
    component: service
    type: promql
    url: "{{ monitoring_prometheus_url }}"
    query: sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))
    empty: pass
    unit: ratio
    warn_above: 0.01
    fail_above: 0.05
"""
    return text


def _severities(facts: Facts) -> str:
    gone = ["service", *(["database"] if facts.database else [])]
    lesser = [*(["cache"] if facts.cache else []), *(["prometheus"] if facts.prometheus_url else [])]
    text = f"""---
# How grave it is, the gravest first, and how soon somebody answers (seconds; null: said in words).
incident_severities:
  - {{name: P1, title: Down, respond_within_s: 900, escalate_after_s: 1800, notify: critical}}
  - {{name: P2, title: Impaired, respond_within_s: 3600, escalate_after_s: 7200, notify: warning}}
  - {{name: P3, title: Needs attention, respond_within_s: null, response: next working day, notify: warning}}
incident_severity_rules:
  - {{severity: P1, when: nobody can use the service, any_check_of: [{", ".join(gone)}], verdict: [fail]}}
"""
    if facts.prometheus_url:
        text += "  - {severity: P2, when: one in twenty requests fails, metric: error_rate, verdict: [fail]}\n"
        text += "  - {severity: P3, when: more requests fail than promised, metric: error_rate, verdict: [warn]}\n"
    text += "  - {severity: P2, when: the disk is nearly full, metric: disk, verdict: [fail]}\n"
    if lesser:
        text += f"  - {{severity: P2, when: a part of it is gone, any_check_of: [{', '.join(lesser)}], verdict: [fail]}}\n"
    text += "  - {severity: P3, when: the disk fills up, metric: disk, verdict: [warn]}\n"
    return text + "  - {severity: P3, when: answers are slow, check: service, verdict: [warn]}\n"


def _contacts(facts: Facts) -> str:
    if not facts.contact:
        return """---
# Whom to call, and who is told by level; see docs/adopting_a_profile.md.
incident_contacts: []
notify_channels: {critical: [], warning: []}
"""
    return f"""---
# Whom to call. Add phone numbers with their country (+48 ...).
incident_contacts:
  - {{name: on call, title: On call, for: all incidents, email: {_text(facts.contact)}}}
# Who is told, by level; how a message gets there is in secrets.yml (notify_gateways).
notify_channels:
  critical: [{_text("email://" + facts.contact)}]
  warning: [{_text("email://" + facts.contact)}]
"""


def _monitoring(facts: Facts) -> str:
    text = "---\n# Where the monitoring is; empty for what there is none of.\n"
    text += f"monitoring_prometheus_url: {_text(facts.prometheus_url)}\n"
    panels = "      - {title: Disk usage, metric: disk, unit: percent}\n"
    if facts.prometheus_url:
        panels += "      - {title: Failed requests, metric: error_rate, unit: ratio}\n"
    return (
        text
        + f"""monitoring_alertmanager_url: ""
monitoring_grafana_url: ""
monitoring_dashboards:
  - name: overview
    title: Overview
    panels:
{panels}"""
    )


def _schedule(facts: Facts) -> str:
    text = """---
# When procedures run by themselves: `every 5 min`, `daily 09:00`, `Sun 02:00`, `first Sun 01:00`.
schedule_entries:
  - {procedure: morning_check, at: daily 09:00, time_zone: UTC}
  - {procedure: weekly_report, at: Mon 08:00, time_zone: UTC}
"""
    if facts.database:
        text += "  - {procedure: backup, at: daily 02:00, time_zone: UTC}\n  - {procedure: restore_drill, at: Sun 05:00, time_zone: UTC}\n"
    return text


def _secrets(facts: Facts) -> str:
    text = """---
# Look-ups only, never a secret itself: from the environment, or from Vault where there is one
# ("{{ lookup('community.hashi_vault.vault_kv2_get', ...) }}").
"""
    wanted = [
        *([("service_database_password", "DB_PASSWORD")] if facts.database else []),
        *([("service_cache_password", "CACHE_PASSWORD")] if facts.cache else []),
    ]
    for name, what in wanted:
        text += f"{name}: \"{{{{ lookup('ansible.builtin.env', '{_variable(facts, what)}') }}}}\"\n"
    gateway = _variable(facts, "EMAIL_GATEWAY")
    return (
        text
        + f"""# Apprise address with {{to}} in it, such as mailtos://user:password@mail.example.com?to={{to}}
notify_gateways:
  email: "{{{{ lookup('ansible.builtin.env', '{gateway}') }}}}"
"""
    )


def _backup(facts: Facts, database: str) -> str:
    return f"""---
# What is backed up where; `ansible-doc sre.runbooks.pg_backup` explains the keys. Add backup_offsite: copies elsewhere survive a fire.
backup_folder: /var/backups/{facts.name}
backup_stores:
  - kind: postgresql
    name: {_text(database)}
    component: database
    database: "{{{{ service_database_name }}}}"
    login_host: "{{{{ service_database_host }}}}"
    login_port: "{{{{ service_database_port }}}}"
    login_user: "{{{{ service_database_user }}}}"
    login_password: "{{{{ service_database_password }}}}"
    rto_s: 14400
    rpo_s: 93600
backup_keep_last: 7
backup_keep_days: 30
"""
