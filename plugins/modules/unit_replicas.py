#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: start, stop, restart and scale the units of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_replicas
short_description: Start, stop, restart or scale the units of a service that systemd runs
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - A service is one unit, or the instances of a template (C(app@.service)). All that an operation takes is done in one call, in order, and
    what it leads to is waited for - a unit counts as healthy when it has been active for O(settle_s) seconds and O(ready_checks) pass.
  - The first unit that does not become healthy ends the operation. The units behind it are not touched and go on serving, and the error
    names the cause with the unit's last lines of the journal.
  - Before a unit that runs is restarted, C(systemd-analyze) looks at its files. One that could not start again is not stopped.
  - Only root can change units.
requirements:
  - systemd 239 or later
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.unit
  - sre.runbooks.files_read
attributes:
  check_mode:
    support: full
    details: Makes the plan and changes nothing; RV(after) is the state that it would lead to.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: A restart is done whenever it is asked for. All other operations change nothing the second time.
options:
  operation:
    description:
      - V(start) starts those that do not run. V(stop) stops all, and leaves them enabled.
      - V(restart) restarts them as O(way) says. V(apply) lets systemd read changed files and restarts, one at a time, those that run since
        before one of their files changed (the unit, its drop-ins and environment files, and O(files)), and those that do not run.
      - V(scale) enables and starts further instances of a template, or stops and disables those with the highest names, until there are
        O(scale_to). Instances that do not become healthy are stopped and disabled again.
      - V(wait) only waits until they are healthy.
    type: str
    choices: [start, stop, restart, apply, scale, wait]
    required: true
  way:
    description:
      - V(rolling) restarts one unit after the other, the next only when the one before it is healthy. V(all) restarts all at once, V(one) only
        O(replica). V(down_and_up) stops all and starts them again.
    type: str
    default: rolling
  replica:
    description: The unit for O(way=one), by its name or that of the instance.
    type: str
    default: ""
  service:
    description: Name of the service for the result; by default O(unit).
    type: str
    default: ""
  scale_to:
    description: How many instances there shall be, at least 1, a number or a name of O(replicas_named). Empty only says how many there are.
    type: raw
    default: ""
  replicas_named:
    description: Numbers of instances by name, such as C(normal) and C(up).
    type: dict
    default: {}
  ready_checks:
    description:
      - Checks, as M(sre.runbooks.health_check) takes them, that must pass before a unit counts as healthy. They are asked on this host.
      - In their texts C(%i) stands for the name of the instance, for example in an address with its port.
    type: list
    elements: dict
    default: []
  proxy:
    description:
      - The proxy in front of the units, in the form of O(sre.runbooks.service_rolling_restart#module:proxy) without C(container). Before a unit
        is restarted alone, or scaled away, the proxy sends it no more requests and those in flight end; the next unit's turn comes when the
        proxy sends requests to this one again. Its servers are found by the ports at which the units listen.
      - What is taken out is noted in the state folder of the host (C(/var/lib/sre-runbooks)), so that the next run after one that was killed
        lets the proxy use it again.
    type: dict
    default: {}
  drain_timeout_s:
    description: Seconds that requests in flight may take to their end before the unit is stopped.
    type: float
    default: 30
  health_timeout_s:
    description: Seconds within which a unit must run steadily, pass O(ready_checks) and get requests, all together, once it is told to start.
    type: float
    default: 100
  settle_s:
    description: Seconds that it must have been active by then.
    type: float
    default: 1
seealso:
  - module: sre.runbooks.unit_limits
  - module: sre.runbooks.unit_exec
"""

EXAMPLES = r"""
- name: Restart the instances one after the other
  sre.runbooks.unit_replicas:
    unit: app@.service
    operation: restart
    ready_checks:
      - {name: ready, type: http, url: "http://127.0.0.1:80%i/ready"}
  become: true

- name: Let three instances run
  sre.runbooks.unit_replicas:
    unit: app@.service
    operation: scale
    scale_to: 3
  become: true
"""

RETURN = r"""
verb:
  description: What was asked for.
  returned: success
  type: str
runtime:
  description: Always V(systemd).
  returned: success
  type: str
service:
  description: Name of the service.
  returned: success
  type: str
before:
  description:
    - What ran, with C(wanted), C(running), C(healthy), C(is_well), C(conclusion) and C(replicas), each with C(name), C(state), C(health), C(image)
      (its program), C(started_at) (UTC), C(restarts), C(exit_status), C(limits) (C(memory_bytes), C(cpus)) and C(reason).
  returned: success
  type: dict
after:
  description: What runs now, or would run.
  returned: success
  type: dict
steps:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
conclusion:
  description: What runs, in one sentence.
  returned: success
  type: str
notes:
  description: What the reader should know.
  returned: success
  type: list
  elements: str
error:
  description: Besides what failed, C(done) (units with which it was over), C(untouched) (units behind the one that failed) and C(after).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.replicas import OPTIONS, operate


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
