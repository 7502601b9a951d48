#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notification_send
short_description: Send one message to many channels
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Sends a message through Apprise to all channels at the same time. One that fails keeps no other from getting it, and each has its own
    result. Addresses and gateways are secrets and never shown.
requirements:
  - apprise 2.2 or later
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
    details: Sends nothing; tells to which channels there is a way.
  diff_mode:
    support: none
    details: A message has no state.
  idempotent:
    support: none
    details: A message that is sent again arrives again.
options:
  title:
    description: Subject, on one line.
    type: str
    required: true
  body:
    description: Text.
    type: str
    default: ""
  kind:
    description: What the message is about; some channels show it by a colour.
    type: str
    choices: [info, success, warning, failure]
    default: info
  channels:
    description:
      - Where it goes, V(kind://address), such as V(slack://team-alerts), V(email://on-call@example.com), or an address of Apprise.
    type: list
    elements: str
  level:
    description: Level of O(notify_channels) to whose channels it goes, instead of O(channels).
    type: str
  notify_channels:
    description: Channels by level.
    type: dict
  gateways:
    description:
      - How channels of a kind are reached, by kind - an address of Apprise with C({to}) where the channel's address belongs, such as
        V(mailtos://account:password@mail.example.com?from=alerts@example.com&to={to}).
    type: dict
    default: {}
  timeout_s:
    description: Seconds after which a channel is given up.
    type: float
    default: 20
  fail_on:
    description: When the task fails - V(all) when no channel was reached, V(any) when one was not, or V(none).
    type: str
    choices: [none, all, any]
    default: all
"""

EXAMPLES = r"""
- name: Tell the team
  sre.runbooks.notification_send:
    title: Backup of paralegal_prod is late
    body: The newest set is older than an hour.
    kind: warning
    channels:
      - slack://team-alerts
      - email://on-call@example.com
    gateways:
      slack: "{{ lookup('ansible.builtin.env', 'NOTIFY_SLACK_URL') }}"
      email: "{{ lookup('ansible.builtin.env', 'NOTIFY_EMAIL_URL') }}"
  delegate_to: localhost

- name: Tell those who are told of critical matters
  sre.runbooks.notification_send:
    title: The service is down
    level: critical
    notify_channels: "{{ notify_channels }}"
    gateways: "{{ notify_gateways }}"
    fail_on: none
"""

RETURN = r"""
deliveries:
  description:
    - One entry for each channel, in their order - C(channel) (without secrets), C(sent) (null in check mode, when there is a way to it),
      C(reason) why not, C(duration_ms) in milliseconds.
  returned: success
  type: list
  elements: dict
  sample: [{channel: "slack://team-alerts", sent: true, reason: "", duration_ms: 210.5}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.notify.operation import CONSTRAINTS, OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    # A channel may be an address with a secret in it: the arguments neither go to the system log nor come back with the result.
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True, no_log=True, **CONSTRAINTS)
    parameters = dict(module.params)
    for name in ("channels", "notify_channels", "gateways"):
        module.params[name] = "not shown"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
