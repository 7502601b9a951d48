#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: limit what the units of a service may use."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_limits
short_description: Limit the memory and processors of the units of a service that systemd runs
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Writes a drop-in with the limits, for a template one for all its instances, lets systemd read it, and sees by C(systemctl show) that the
    limits hold. They take effect at once; no unit is restarted.
  - C(systemd-analyze) looks at the drop-in before it is put in place. A memory limit below what a unit uses now is refused.
  - Where a limit does not take effect, or a unit ends within O(settle_s) seconds, the former drop-in is put back, and a unit that ended is
    started again.
  - Limits that are not named stay as they are. Only root can set limits.
requirements:
  - systemd 239 or later
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.unit
attributes:
  check_mode:
    support: full
    details: Looks at what is used and at the drop-in that would be written; nothing is changed.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  limits:
    description:
      - C(memory) is what a unit may use at most, such as V(2g) (powers of 1024), C(memory_high) where the kernel begins to slow it down,
        C(memory_swap) is memory and swap together, C(cpus) a number of processors such as V(1.5).
      - V(none) takes a limit away, also one that the unit's own file sets. Without C(memory), how much swap may be used stays as it is.
      - C(memory_request) and C(cpu_request) are for Kubernetes and mean nothing here.
    type: dict
    required: true
  service:
    description: Name of the service for the result; by default O(unit).
    type: str
    default: ""
  settle_s:
    description: Seconds for which the units are watched afterwards.
    type: float
    default: 1
seealso:
  - module: sre.runbooks.unit_replicas
"""

EXAMPLES = r"""
- name: Let each instance use two gigabytes and one processor at most
  sre.runbooks.unit_limits:
    unit: app@.service
    limits: {memory: 2g, memory_swap: 2g, cpus: 1.0}
  become: true

- name: Let them use as much memory as there is
  sre.runbooks.unit_limits:
    unit: app@.service
    limits: {memory: none}
  become: true
"""

RETURN = r"""
verb:
  description: Always V(limits).
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
path:
  description: The drop-in.
  returned: success
  type: str
before:
  description: What ran, with the limits in bytes and processors, as RV(sre.runbooks.unit_replicas#module:before).
  returned: success
  type: dict
after:
  description: What runs now; in check mode what ran.
  returned: success
  type: dict
steps:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
conclusion:
  description: The limits, in one sentence.
  returned: success
  type: str
notes:
  description: What the reader should know.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.limits import OPTIONS, operate


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
