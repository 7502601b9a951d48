#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_evaluate
short_description: Raise and resolve the alerts of a service that has no Prometheus
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Compares the results of M(sre.runbooks.metrics_gate) and M(sre.runbooks.health_check) with those of its last run. What became bad is
    raised once, what became graver or milder is told again, what goes on is escalated, what is well again is resolved once.
  - A result that is V(unknown) resolves nothing. When it goes on, it is an alert of its own.
  - What is to be told goes to the channels of the severity that the profile's rules give it. It is written down before it is sent and
    crossed off channel by channel, so that a killed run forgets nobody; a channel may then get a message twice.
requirements:
  - apprise 2.2 or later, where something is to be sent
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: Keeps nothing and sends nothing; says what would be told.
  diff_mode:
    support: full
  idempotent:
    support: full
    details: The same results once more raise nothing new; only the count of evaluations goes on.
options:
  service_name:
    description: Name of the service.
    type: str
    required: true
  service_title:
    description: What a reader calls it.
    type: str
    default: ""
  metrics:
    description: Results of metrics, C(metrics) of M(sre.runbooks.metrics_gate).
    type: list
    elements: dict
    default: []
  checks:
    description: Results of checks, C(results) of M(sre.runbooks.health_check).
    type: list
    elements: dict
    default: []
  incident_severities:
    description: The severities of incidents, the gravest first.
    type: list
    elements: dict
    default: []
  incident_severity_rules:
    description: What makes an incident how grave.
    type: list
    elements: dict
    default: []
  incident_escalation_levels:
    description: Who is told when it goes on.
    type: list
    elements: dict
    default: []
  incident_contacts:
    description: Who the contacts of O(incident_escalation_levels) are.
    type: list
    elements: dict
    default: []
  notify_channels:
    description: Channels by level. Where there are none at all, alerts are only kept.
    type: dict
    default: {}
  gateways:
    description: How channels of a kind are reached, in the form of O(sre.runbooks.notification_send#module:gateways).
    type: dict
    default: {}
  messages:
    description: >-
      Words by metric and verdict, for example V({error_rate: {fail: "Error rate critical: {value:.1%}"}}).
    type: dict
    default: {}
  alerts:
    description: What to do, by metric (C(next_step), C(procedure)), in the form of
      O(sre.runbooks.monitoring_config#module:monitoring_alerts).
    type: dict
    default: {}
  raise_after:
    description: Evaluations in a row that must be bad before an alert is raised.
    type: int
    default: 1
  resolve_after:
    description: Evaluations in a row that must be good before it is resolved.
    type: int
    default: 1
  unknown_after:
    description: Evaluations in a row without an answer after which that is an alert.
    type: int
    default: 3
  send:
    description: Whether anybody is told.
    type: bool
    default: true
  timeout_s:
    description: Seconds after which a channel is given up.
    type: float
    default: 20
seealso:
  - module: sre.runbooks.notification_send
"""

EXAMPLES = r"""
- name: Measure
  sre.runbooks.metrics_gate:
    metrics: "{{ health_metrics }}"
    fail_on: []
  register: measured

- name: Raise and resolve alerts
  sre.runbooks.alert_evaluate:
    service_name: insighthub
    metrics: "{{ measured.metrics }}"
    incident_severities: "{{ incident_severities }}"
    incident_severity_rules: "{{ incident_severity_rules }}"
    notify_channels: "{{ notify_channels }}"
    gateways: "{{ notify_gateways }}"
"""

RETURN = r"""
alerts:
  description:
    - The alerts that are up, the gravest first, each with C(key), C(name), C(component), C(state), C(severity), C(priority), C(message),
      C(age_s) (seconds) and C(escalated_to) (level).
  returned: success
  type: list
  elements: dict
events:
  description: What was new, each with C(kind) (V(raised), V(changed), V(escalated), V(resolved)), C(key), C(message), C(levels),
    C(severity), C(priority).
  returned: success
  type: list
  elements: dict
notifications:
  description: The messages, each with C(title), C(levels), C(reached) (whether anybody got it) and C(deliveries).
  returned: success
  type: list
  elements: dict
waiting:
  description: Number of messages that have not reached everybody yet and are tried again.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.evaluate import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    # A channel may be an address with a secret in it: the arguments neither go to the system log nor come back with the result.
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True, no_log=True)
    parameters = dict(module.params)
    for name in ("notify_channels", "gateways"):
        module.params[name] = "not shown"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
