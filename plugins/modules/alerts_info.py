#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alerts_info
short_description: List the alerts that an Alertmanager knows
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Lists alerts by version 2 of Alertmanager's API, the gravest first; version 1 is gone since Alertmanager 0.27.
  - With O(prometheus_url) it also lists which alerts fired within the last O(history_s), as Prometheus remembers them.
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.web
options:
  url:
    description: Address of Alertmanager.
    type: str
    required: true
  states:
    description: Alerts in these states. V(suppressed) are silenced and inhibited ones.
    type: list
    elements: str
    choices: [active, suppressed, unprocessed]
    default: [active, suppressed]
  labels:
    description: Only alerts with exactly these labels.
    type: dict
    default: {}
  severities:
    description: Only alerts whose label C(severity) is one of these.
    type: list
    elements: str
    default: []
  since_s:
    description: Only alerts that began at most so many seconds ago.
    type: float
  limit:
    description: At most so many alerts.
    type: int
    default: 500
  prometheus_url:
    description: Address of the Prometheus whose alerts of the past are listed, too; empty for none.
    type: str
    default: ""
  history_s:
    description: How far back, in seconds.
    type: float
    default: 86400
seealso:
  - module: sre.runbooks.alert_silence
"""

EXAMPLES = r"""
- name: List the critical alerts of a service
  sre.runbooks.alerts_info:
    url: http://127.0.0.1:9093
    labels: {service: calendar-api}
    severities: [critical]
  register: alerts

- name: List what is active, and what fired within the last 24 hours
  sre.runbooks.alerts_info:
    url: "{{ monitoring_alertmanager_url }}"
    prometheus_url: "{{ monitoring_prometheus_url }}"
    states: [active]
"""

RETURN = r"""
alerts:
  description:
    - The alerts. Each has C(name), C(severity), C(priority), C(service), C(component), C(state), C(labels), C(annotations), C(starts_at)
      (UTC, ISO 8601), C(age_s) (seconds), C(silenced_by) and C(inhibited_by) (ids), C(receivers), and C(fingerprint).
  returned: success
  type: list
  elements: dict
total:
  description: Number of alerts, those beyond O(limit) included.
  returned: success
  type: int
truncated:
  description: Whether there are more than O(limit).
  returned: success
  type: bool
counts:
  description: Number of alerts by C(severity) and by C(state).
  returned: success
  type: dict
  sample: {severity: {critical: 1}, state: {active: 1, suppressed: 0, unprocessed: 0}}
summary:
  description: One sentence for all of them.
  returned: success
  type: str
history:
  description:
    - What fired, the newest first, each with C(name), C(severity), C(priority), C(labels) and C(last_fired_at) (UTC, ISO 8601; to a
      thousandth of O(history_s), 15 seconds at best, and empty for what fired for less than that).
  returned: with O(prometheus_url)
  type: list
  elements: dict
url:
  description: The address that was asked.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.alerts import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
