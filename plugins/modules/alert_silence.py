#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_silence
short_description: Silence alerts for a time, and end that again
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Creates, extends and expires silences in an Alertmanager. Each has an end, and the id of the run that made it in its comment.
  - It touches its own silences only - those by O(created_by), and where O(run_id) is given those of that run.
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.web
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: A silence that lasts for nearly as long as is asked, a tenth of O(duration_s) less at most, is left alone; later it is extended.
options:
  url:
    description: Address of Alertmanager.
    type: str
    required: true
  operation:
    description:
      - V(create) sees to it that the alerts are silenced for O(duration_s) from now on.
      - V(extend) does so only where they are silenced already, and fails where they are not.
      - V(expire) ends the silence now.
    type: str
    choices: [create, extend, expire]
    required: true
  labels:
    description: Labels of the alerts with their values.
    type: dict
    default: {}
  matchers:
    description: Further conditions on labels.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the label.
        type: str
        required: true
      value:
        description: Its value, or a regular expression that must match the whole of it.
        type: str
        required: true
      is_regex:
        description: Whether O(matchers[].value) is a regular expression.
        type: bool
        default: false
      is_equal:
        description: Whether it must fit, or must not.
        type: bool
        default: true
  silence_id:
    description: Id of the silence, instead of labels and matchers.
    type: str
    default: ""
  duration_s:
    description: How long from now on, in seconds; 30 days at most.
    type: float
    default: 3600
  comment:
    description: Why. Needed for V(operation=create).
    type: str
    default: ""
  run_id:
    description: Id of the run that silences.
    type: str
    default: ""
  created_by:
    description: Name under which silences are made.
    type: str
    default: sre.runbooks
seealso:
  - module: sre.runbooks.alerts_info
"""

EXAMPLES = r"""
- name: Silence the alerts of a service while it is deployed
  sre.runbooks.alert_silence:
    url: http://127.0.0.1:9093
    operation: create
    labels: {service: calendar-api}
    duration_s: 1800
    comment: Deployment of 2.4.0
    run_id: RUN-20260301T031500Z-deploy-1a2b

- name: End the silence of the deployment
  sre.runbooks.alert_silence:
    url: http://127.0.0.1:9093
    operation: expire
    labels: {service: calendar-api}
    run_id: RUN-20260301T031500Z-deploy-1a2b
"""

RETURN = r"""
action:
  description: What was done, V(create), V(extend), V(expire) or V(none).
  returned: success
  type: str
silence:
  description:
    - The silence, with C(id), C(matchers), C(starts_at) and C(ends_at) (UTC, ISO 8601), C(state), C(created_by), C(comment), C(run_id).
    - In check mode as it is before; empty where there is none.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.silences import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
