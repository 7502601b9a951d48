#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: write a report on a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_report
short_description: Write a report on a service, as a page, as Markdown and as JSON
version_added: "0.1.0"
description:
  - Arranges what was just asked, what the profile promises and what the history remembers as one report, and writes it three times with the
    same figures, into C(reports/<service>) of the state folder. An index page lists all of them.
  - The page needs nothing else (no script, no network) and reads well on a phone, on paper and in the dark.
  - What was not handed over is said to be "not configured", and what could not be measured stays V(unknown); neither passes for good.
  - The module itself never fails because of what it reports; look at RV(verdict).
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: The report is made, so that RV(verdict) and RV(next_steps) are true, but not written.
  diff_mode:
    support: none
    details: Changes nothing of the service; reports are evidence.
  idempotent:
    support: full
    details: Every run leaves a report of its moment and never reports a change.
options:
  kind:
    description: Which report.
    type: str
    required: true
    choices: [capacity_report, evening_summary, morning_check, performance_report, recovery_report, slo_report, weekly_report]
  service:
    description: Name of the service, as in its history.
    type: str
    required: true
  title:
    description: Its title for readers. Default is the name.
    type: str
    default: ""
  environment:
    description: For example V(production).
    type: str
    default: ""
  objectives:
    description:
      - What the service promises, as in C(service_objectives) of the profile. Each has C(title), C(check) or C(metric), C(objective), and perhaps
        C(better) (V(higher) or V(lower)), C(unit) and C(window_days).
    type: list
    elements: dict
    default: []
  until:
    description: End of the window, UTC ISO 8601. Default is now.
    type: str
    default: ""
  window_s:
    description: Length of the window in seconds; 0 for the usual one of the kind (15 hours for the morning, a day, a week, 30 days).
    type: float
    default: 0
  checks:
    description: The checks of the profile (C(health_checks)); of them titles, types and limits are used.
    type: list
    elements: dict
    default: []
  metrics:
    description: The metrics of the profile (C(health_metrics)); of them titles, units and thresholds are used.
    type: list
    elements: dict
    default: []
  health:
    description: Result of M(sre.runbooks.health_check).
    type: dict
  metric_results:
    description: Result of M(sre.runbooks.metrics_gate).
    type: dict
  logs:
    description: Result of M(sre.runbooks.log_scan).
    type: dict
  log_questions:
    description:
      - The profile's questions to its logs (C(service_log_questions)); those are shown whose C(used_by) names this report, and in the evening
        and the week those of C(security).
    type: list
    elements: dict
    default: []
  log_sources:
    description: The logs of the profile (C(service_logs)); of files on this host is looked at whether they are rotated.
    type: list
    elements: dict
    default: []
  largest_log_mb:
    description: Size in megabytes from which on a log should have been rotated; 0 for no such size.
    type: float
    default: 0
  alerts:
    description: Result of M(sre.runbooks.alerts_info).
    type: dict
  backups:
    description: Result of M(sre.runbooks.backup_set_info).
    type: dict
  stores:
    description: The stores that are backed up (C(backup_stores)); of them C(name), C(component), C(rto_s) and C(rpo_s) are used.
    type: list
    elements: dict
    default: []
  components:
    description: The components of the service (C(service_components)); the recovery report holds what they promise against what is measured.
    type: list
    elements: dict
    default: []
  schedule:
    description: When procedures run by themselves (C(schedule_entries)); the recovery report takes from it how often each store is backed up.
    type: list
    elements: dict
    default: []
  backup_windows:
    description: When stores are backed up by something else (C(backup_windows)).
    type: list
    elements: dict
    default: []
  keep:
    description: The rules of retention, C(last), C(days), C(daily), C(weekly) and C(monthly).
    type: dict
    default: {}
  archives:
    description: Results of M(sre.runbooks.pitr_info) by name of the store.
    type: dict
    default: {}
  tasks:
    description: What a person is to do besides, shown at the end of the morning, the evening and the week.
    type: list
    elements: str
    default: []
  severity:
    description: The gravest severity whose rule is true; none when nothing is.
    type: dict
  contacts:
    description: Whom to call (C(incident_contacts)).
    type: list
    elements: dict
    default: []
  escalation_levels:
    description: Who is called when the first one does not solve it (C(incident_escalation_levels)).
    type: list
    elements: dict
    default: []
  capacity:
    description:
      - What can be full, each with C(metric) or C(check), and perhaps C(limit) and C(title).
      - Without it all checks and metrics of type V(disk) and V(memory), and C(connections_percent) of V(postgresql).
    type: list
    elements: dict
    default: []
  reading_valid_s:
    description:
      - How long a reading vouches for at most, in seconds. Time that no reading vouches for is neither up nor down, and lowers the coverage.
    type: float
    default: 900
  minimum_coverage:
    description: Share of a window (0 to 1) that must have been measured before an objective can count as kept.
    type: float
    default: 0.9
  burn_rates:
    description: How fast an error budget may burn before the report warns.
    type: list
    elements: dict
    default: []
    suboptions:
      window_s:
        description: Over how many seconds it is looked at.
        type: float
        required: true
      warn_above:
        description: Burn rate above which it warns; 1 spends all of the budget in the objective's window.
        type: float
        required: true
  trend_minimum_readings:
    description: Readings that a trend needs; with fewer no date is given.
    type: int
    default: 20
  trend_minimum_days:
    description: Days that they must span.
    type: float
    default: 3
  trend_horizon_factor:
    description: How far ahead a date is given, in times of the days that were observed.
    type: float
    default: 3
  keep_days:
    description: Reports that are older, in days, are removed; 0 keeps all.
    type: float
    default: 400
  secrets:
    description: Values that must not appear in the report, whatever they are called.
    type: list
    elements: raw
    default: []
seealso:
  - module: sre.runbooks.health_check
  - module: sre.runbooks.procedure_run
"""

EXAMPLES = r"""
- name: Write the service level report of the last 30 days
  sre.runbooks.service_report:
    kind: slo_report
    service: paralegal
    objectives:
      - {title: API gateway, check: api, objective: 0.999, window_days: 30}
      - {title: Failed requests, metric: error_rate, objective: 0.01, unit: ratio, window_days: 30}
    burn_rates:
      - {window_s: 3600, warn_above: 14.4}
  register: report

- name: Say where it is
  ansible.builtin.debug:
    msg: "{{ report.verdict }}: {{ report.html }}"
"""

RETURN = r"""
verdict:
  description: The worst of the sections' verdicts, in the order V(fail), V(unknown), V(warn), V(pass).
  returned: success
  type: str
  sample: warn
headline:
  description: What the report comes to, in a few sentences.
  returned: success
  type: str
next_steps:
  description: What to do now, in order.
  returned: success
  type: list
  elements: str
severity:
  description: The severity that the report shows; null for none.
  returned: success
  type: dict
sections:
  description: C(title), C(verdict) (null where a section only tells) and C(summary) of each section.
  returned: success
  type: list
  elements: dict
html:
  description: Path of the page; in check mode of the page that would be written.
  returned: success
  type: str
  sample: /var/lib/sre-runbooks/reports/paralegal/20261121T090000Z_morning_check.html
markdown:
  description: Path of the Markdown file.
  returned: success
  type: str
json:
  description: Path of the JSON file.
  returned: success
  type: str
index:
  description: Path of the page that lists all reports.
  returned: success
  type: str
removed:
  description: Names of the old files that were removed.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.report.operation import OPTIONS, operate


def main() -> None:
    """Entry point."""
    # Nothing of the arguments goes to the system log: nobody knows yet which of them are secret.
    module = AnsibleModule(argument_spec={name: dict(option) for name, option in OPTIONS.items()}, supports_check_mode=True, no_log=True)
    parameters = dict(module.params)
    # Nor do they come back with the result; what is to be seen of them is in the report, without credentials.
    for name, value in parameters.items():
        if isinstance(value, (dict, list)):
            module.params[name] = f"{len(value)} entries"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
