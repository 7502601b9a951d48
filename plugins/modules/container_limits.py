#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: limits of containers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_limits
short_description: Limit the memory and processors of containers, all of a service at once
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Sets limits by C(docker update), without a restart. When one container refuses, all get their former limits again.
  - Memory and memory with swap always go together, since the engine refuses memory above the limit of memory with swap
    (U(https://github.com/moby/moby/issues/25460)). Where O(memory) would be above that limit and O(memory_swap) is not given, nothing is tried.
  - A limit below the memory that is used now is refused, because the kernel would end processes.
  - V(none) takes a limit away. The engine cannot take away one of processors that was set by their number; such a container gets as many
    as the host has, which counts as no limit.
  - All this lasts until a container is made anew. RV(compose_lines) are the lines that keep it.
requirements:
  - docker
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.compose_service
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  containers:
    description: Names of containers, instead of O(service).
    type: list
    elements: str
    default: []
  memory:
    description:
      - Most memory of each container, such as V(512m) or V(2g), at least V(6m). V(none), or V(-1) as Docker writes it, for no limit.
      - Without a limit of memory there is none of memory with swap either, unless O(memory_swap) names one.
    type: str
    default: ""
  memory_swap:
    description: Most memory and swap together. The same as O(memory) gives no swap. V(none), or V(-1), for no limit.
    type: str
    default: ""
  cpus:
    description: Most processors of each container, such as V(1.5), or V(none) for no limit.
    type: raw
seealso:
  - module: sre.runbooks.service_info
"""

EXAMPLES = r"""
- name: Give each replica of a Compose service 2 GiB without swap, and one processor
  sre.runbooks.container_limits:
    project_folder: /opt/paralegal
    service: app
    memory: 2g
    memory_swap: 2g
    cpus: 1.0

- name: The same for a container
  sre.runbooks.container_limits:
    containers: [calendar-api]
    memory: 2g
    memory_swap: 2g
    cpus: 1.0

- name: Take the limits of a Compose service away
  sre.runbooks.container_limits:
    project_folder: /opt/paralegal
    service: app
    memory: none
    cpus: none
"""

RETURN = r"""
before:
  description: Limits by name of the container, C(memory_bytes), C(memory_swap_bytes) and C(cpus); null for no limit.
  returned: success
  type: dict
after:
  description: The same after the change, or as it would be.
  returned: success
  type: dict
steps:
  description: What changed, or would, by container.
  returned: success
  type: list
  elements: str
compose_lines:
  description: Lines of a Compose file that keep these limits when the containers are made anew; none where nothing is limited.
  returned: success
  type: list
  elements: str
remark:
  description: How long the limits last, and what keeps them.
  returned: success
  type: str
diff:
  description: The limits before and after.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.limits import OPTIONS, operate


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
