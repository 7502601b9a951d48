#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: bring the replicas of a Compose service to what a list says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_replicas_set
short_description: Bring the replicas of a service of Docker Compose to what a list says, or all of them to what is asked for
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Takes a list of replicas as M(sre.runbooks.service_info) tells them. What has the state V(running) there runs afterwards and is healthy,
    what has another is stopped, what is not in the list is removed, and what is gone is made anew from the present Compose file.
    So a change that failed is undone with the list from before it.
  - Or it stops or restarts all that there are (O(all)), or makes and starts those that are missing from a number (O(scale_to)).
    M(community.docker.docker_compose_v2) with the state V(stopped) would first make containers anew whose configuration has changed, and
    does as many as the Compose file says.
  - What a rolling action that was killed has left (a server that is drained, a container that is stopped or set aside) is put right first. When
    nothing is asked for, this is all that is done. While the proxy cannot be asked, its servers stay noted for the next run.
  - An engine that is just starting again is waited for; one that this account may not use is not.
requirements:
  - docker with Docker Compose
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.compose_service
  - sre.runbooks.service_rolling
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: A restart is always one.
options:
  replicas:
    description:
      - Replicas as in the state that M(sre.runbooks.service_info) tells; C(name) and C(state) count.
      - Those with a C(health) other than V(healthy) are not waited for.
    type: list
    elements: dict
  all:
    description: What is done with all replicas at once, of all services of the project where no O(service) is named.
    type: str
    choices: [restarted, stopped]
  scale_to:
    description:
      - How many replicas of the service run at least, a number or a name of O(replicas_named); those that are too many are left for
        M(sre.runbooks.service_replicas_remove). Empty for as many as there are.
    type: raw
    default: ""
  replicas_named:
    description: Numbers of replicas by name, such as C(normal) and C(up).
    type: dict
    default: {}
  health_timeout_s:
    description: Seconds within which the engine must answer and what shall run must be healthy.
    type: float
    default: 100
seealso:
  - module: sre.runbooks.service_info
"""

EXAMPLES = r"""
- name: Bring back what ran before
  sre.runbooks.service_replicas_set:
    project_folder: /opt/paralegal
    service: app
    replicas: "{{ before.state.replicas }}"

- name: Stop all replicas, and keep their containers
  sre.runbooks.service_replicas_set:
    project_folder: /opt/paralegal
    service: app
    all: stopped

- name: Let five replicas run
  sre.runbooks.service_replicas_set:
    project_folder: /opt/paralegal
    service: app
    scale_to: 5
"""

RETURN = r"""
steps:
  description: What was done, or would be, as sentences.
  returned: success
  type: list
  elements: str
notes:
  description: What the reader should know.
  returned: success
  type: list
  elements: str
before:
  description: What ran before, as M(sre.runbooks.service_info) tells it.
  returned: success
  type: dict
repaired:
  description:
    - What there was when that had been put right which a killed run had left, or would be; what a failed change goes back to.
      In an error it is C(error.repaired).
  returned: success
  type: dict
count:
  description: The number of replicas that O(scale_to) means; null where it is empty.
  returned: success
  type: int
state:
  description: What runs now, as M(sre.runbooks.service_info) tells it.
  returned: success
  type: dict
conclusion:
  description: What runs now, in one sentence without its full stop.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.replicas import OPTIONS, operate


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
