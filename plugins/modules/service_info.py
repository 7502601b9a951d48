#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: what runs of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_info
short_description: Say what runs of a service, and wait until it is well
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Tells every replica of a service with its state, health, limits, and why it is not well.
  - With O(wait_s) it waits until all replicas run and are healthy, and fails where waiting does not help, for example because one has ended.
  - Where nothing judges the health of a replica, it counts as healthy after it has gone on running for a second of the waiting.
  - The containers of Docker Compose are found by their labels, so that the state is told also when the Compose files cannot be read.
  - What M(sre.runbooks.service_rolling_restart) has left beside the replicas when it was killed is no replica. Of a whole project a container
    that has ended with status 0, and is not started again by the engine, has finished and is not waited for.
requirements:
  - docker, for the runtime V(compose)
  - systemd 239 or later, for the runtime V(systemd)
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.compose_service
  - sre.runbooks.unit
  - sre.runbooks.state
options:
  runtime:
    description: What runs the service.
    type: str
    choices: [compose, systemd]
    required: true
  wanted:
    description: How many replicas shall run; by default as many as there are.
    type: int
  wait_s:
    description: Seconds to wait until all replicas run and are healthy. With V(0) the state of the moment is told, whatever it is.
    type: float
    default: 0
seealso:
  - module: sre.runbooks.health_check
"""

EXAMPLES = r"""
- name: See what runs
  sre.runbooks.service_info:
    runtime: compose
    project_folder: /opt/paralegal
    service: app

- name: See which instances of a template run
  sre.runbooks.service_info:
    runtime: systemd
    unit: app@.service

- name: Wait until three replicas are healthy
  sre.runbooks.service_info:
    runtime: compose
    project_folder: /opt/paralegal
    service: app
    wanted: 3
    wait_s: 100
"""

RETURN = r"""
state:
  description:
    - What runs, with C(wanted), C(running) and C(healthy) (numbers of replicas), C(is_well), C(conclusion) (one sentence), and C(replicas).
    - Each of these has C(name), C(state), C(health), C(image), C(started_at) (UTC, ISO 8601), C(restarts), C(exit_status), C(address), C(reason),
      C(has_finished), C(sentence) (name and state for a reader), and C(limits) with C(memory_bytes) and C(cpus).
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.info import OPTIONS, operate


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
