#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: bring the replicas of a Compose service to what a list says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_replicas_set
short_description: Bring the replicas of a service of Docker Compose to what a list says
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Takes a list of replicas as M(sre.runbooks.service_info) tells them. What has the state V(running) there runs afterwards and is healthy,
    what has another is stopped, what is not in the list is removed, and what is gone is made anew from the present Compose file.
  - So a change that failed is undone with the list from before it, and a service is stopped with a list in which nothing runs.
    M(community.docker.docker_compose_v2) with the state V(stopped) would first make containers anew whose configuration has changed, and
    does as many as the Compose file says.
  - An engine that is just starting again is waited for.
requirements:
  - docker with Docker Compose
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.compose_service
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  replicas:
    description:
      - Replicas as in the state that M(sre.runbooks.service_info) tells; C(name) and C(state) count.
      - Those with a C(health) other than V(healthy) are not waited for.
    type: list
    elements: dict
    required: true
  health_timeout_s:
    description: Seconds within which the engine must answer and what shall run must be healthy.
    type: float
    default: 100
  stop_timeout_s:
    description: Seconds that a replica has to end by itself.
    type: int
    default: 10
seealso:
  - module: sre.runbooks.service_info
"""

EXAMPLES = r"""
- name: Bring back what ran before
  sre.runbooks.service_replicas_set:
    project_folder: /opt/paralegal
    service: app
    replicas: "{{ before.state.replicas }}"
"""

RETURN = r"""
steps:
  description: What was done, or would be, as sentences.
  returned: success
  type: list
  elements: str
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
