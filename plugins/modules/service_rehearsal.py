#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: try the present configuration of a Compose service beside what serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_rehearsal
short_description: Try the present configuration of a service of Docker Compose beside what serves
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Reads the Compose files with their variables, sees that the image is on this host, and tells which replicas were made from another
    configuration or another image, or started before one of O(files) changed.
  - Starts one replica with the present configuration, waits until it is healthy, and removes it. It has no published ports and not the service's
    name, so no request reaches it. A mistake in the configuration is found before anything that serves is touched.
  - A service that writes to a volume and runs as one replica is not tried, since two of it could ruin the volume, nor one with an address of
    its own; RV(why_not) says so.
requirements:
  - docker with Docker Compose
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.compose_service
  - sre.runbooks.files_read
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: Starts nothing.
  diff_mode:
    support: none
    details: Leaves nothing changed.
  idempotent:
    support: full
    details: Leaves nothing changed.
options:
  health_timeout_s:
    description: Seconds within which the replica must be healthy.
    type: float
    default: 100
  stop_timeout_s:
    description: Seconds that it has to end by itself when it was tried.
    type: int
    default: 10
  only_when_outdated:
    description: Whether it is tried only where at least one replica is RV(outdated).
    type: bool
    default: false
seealso:
  - module: sre.runbooks.service_info
"""

EXAMPLES = r"""
- name: See whether a replica with the new environment file becomes healthy
  sre.runbooks.service_rehearsal:
    project_folder: /opt/paralegal
    environment_file: .env.prod
    service: app
    health_timeout_s: 60
"""

RETURN = r"""
image:
  description: Image of the service.
  returned: success
  type: str
outdated:
  description:
    - Names of the replicas that were made from another configuration, or from an image that has been replaced since, or have former O(files).
  returned: success
  type: list
  elements: str
rehearsed:
  description: Whether a replica was tried, and became healthy.
  returned: success
  type: bool
healthy_after_s:
  description: Seconds until it was healthy; null where none was tried.
  returned: success
  type: float
why_not:
  description: Why none was tried; empty where one was.
  returned: success
  type: str
renewable:
  description:
    - Whether M(sre.runbooks.service_rolling_restart) can make the replicas anew, which keeps each until its successor is well; null with
      O(only_when_outdated).
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rehearsal import OPTIONS, operate


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
