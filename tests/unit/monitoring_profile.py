# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A profile for tests of monitoring: metrics in both directions, rules that grade them, levels of escalation, channels of several kinds."""

from __future__ import annotations

from typing import Any

ERROR_RATE: dict[str, Any] = {
    "name": "error_rate",
    "title": "Error rate",
    "component": "api",
    "type": "promql",
    "query": 'sum(rate(http_requests_total{status=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))',
    "unit": "ratio",
    "warn_above": 0.05,
    "fail_above": 0.15,
}
CACHE: dict[str, Any] = {
    "name": "cache_hit_rate",
    "type": "json",
    "url": "http://127.0.0.1/metrics",
    "value": "cache_hit_rate",
    "promql": "sum(rate(cache_hits_total[5m])) / sum(rate(cache_lookups_total[5m]))",
    "unit": "ratio",
    "warn_below": 0.85,
    "fail_below": 0.7,
}
QUOTA: dict[str, Any] = {"name": "quota", "type": "json", "url": "http://127.0.0.1/", "value": "quota", "unit": "ratio", "warn_above": 0.8}
SEVERITIES: list[dict[str, Any]] = [
    {"name": "P1", "title": "Down", "respond_within_s": 300, "escalate_after_s": 0, "notify": "critical"},
    {"name": "P2", "title": "Impaired", "respond_within_s": 1800, "escalate_after_s": 7200, "notify": "critical"},
    {"name": "P3", "title": "Minor", "respond_within_s": 7200, "escalate_after_s": None, "notify": "warning"},
    {"name": "P4", "title": "Cosmetic", "respond_within_s": None, "escalate_after_s": None, "notify": "warning"},
]
RULES: list[dict[str, Any]] = [
    {"severity": "P1", "when": "more than a quarter fails", "metric": "error_rate", "above": 0.25},
    {"severity": "P2", "when": "many fail", "metric": "error_rate", "verdict": ["fail"]},
    {"severity": "P3", "when": "some fail", "metric": "error_rate", "verdict": ["warn"]},
    {"severity": "P4", "when": "hardly any fails", "metric": "error_rate", "below": 0.05},
    {"severity": "P2", "when": "the cache is useless", "metric": "cache_hit_rate", "verdict": ["fail"]},
]
LEVELS: list[dict[str, Any]] = [
    {"level": 1, "title": "On call", "after_s": 0},
    {"level": 2, "title": "Team lead", "after_s": 900, "contact": "lead"},
    {"level": 3, "title": "Manager", "after_s": 3600, "contact": "manager"},
]
CONTACTS: list[dict[str, Any]] = [
    {"name": "lead", "email": "lead@example.com", "phone": "+1-xxx-xxx-xxxx"},
    {"name": "manager", "phone": "+1 (555) 010-9999"},
]


def profile(**changes: Any) -> dict[str, Any]:
    """The profile as the options of the module, with changes."""
    return {
        "service_name": "calendar_api",
        "service_title": "Calendar",
        "health_metrics": [ERROR_RATE, CACHE, QUOTA],
        "incident_severities": SEVERITIES,
        "incident_severity_rules": RULES,
        "incident_escalation_levels": LEVELS,
        "incident_contacts": CONTACTS,
        "notify_channels": {"critical": ["slack://team-alerts", "sms://+1234567890"], "warning": ["email://ops@example.com"]},
        **changes,
    }
