#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: keep procedures away from a resource, and let them in again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: procedure_lock
short_description: Keep procedures away from a resource, and let them in again
version_added: "0.1.0"
description:
  - Takes, prolongs and gives back the lease that procedures take on a resource before they work on it.
  - Unlike the lease of a procedure it does not end with the C(ansible-playbook) process, but when it is released or runs out. That is
    what a change freeze or a piece of work by hand needs.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: Acquiring what one holds, and releasing what one does not hold, changes nothing. Renewing always does.
options:
  operation:
    description:
      - V(acquire) takes the lease, or fails and tells who has it.
      - V(renew) lets one's own lease last for O(duration_s) from now.
      - V(release) gives one's own lease back; somebody else's stays.
    type: str
    required: true
    choices: [acquire, renew, release]
  resource:
    description: What the lease is on, for example V(postgresql:reference).
    type: str
    required: true
  holder:
    description: By which name the lease is held. Only the same name can renew and release it.
    type: str
    required: true
  reason:
    description: What for. Others are told.
    type: str
    default: kept by hand
  duration_s:
    description: Seconds after which it runs out by itself.
    type: float
    default: 3600
  takeover:
    description: Holder whose lease shall be broken.
    type: str
    default: ""
seealso:
  - module: sre.runbooks.procedure_run_info
"""

EXAMPLES = r"""
- name: Keep all procedures away from the traffic during the sale
  sre.runbooks.procedure_lock:
    operation: acquire
    resource: traffic
    holder: sale
    reason: no switches during the sale
    duration_s: 28800
  delegate_to: localhost

- name: Let them in again
  sre.runbooks.procedure_lock:
    operation: release
    resource: traffic
    holder: sale
  delegate_to: localhost
"""

RETURN = r"""
lease:
  description:
    - The lease on the resource after the operation, with C(resource), C(holder), C(who), C(reason), C(acquired_at) and C(expires_at)
      (UTC, ISO 8601). Empty when there is none.
    - After V(release) it is somebody else's when it was not one's own.
  returned: success
  type: dict
notes:
  description: What the reader should know, such as a lease that was taken over.
  returned: success
  type: list
  elements: str
diff:
  description: The lease before and after.
  returned: when something changes
  type: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.controller import Controller
from ansible_collections.sre.runbooks.plugins.module_utils.lease import operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "operation": {"type": "str", "required": True, "choices": ["acquire", "renew", "release"]},
            "resource": {"type": "str", "required": True},
            "holder": {"type": "str", "required": True},
            "reason": {"type": "str", "default": "kept by hand"},
            "duration_s": {"type": "float", "default": 3600},
            "takeover": {"type": "str", "default": ""},
            "state_folder": {"type": "path"},
        },
        supports_check_mode=True,
    )

    def operation() -> t.Dict[str, t.Any]:
        result = operate(module.params, who=str(Controller.of(os.getpid())), check_mode=module.check_mode)
        for note in result["notes"]:
            module.warn(note)
        return result

    conclude(module, operation)


if __name__ == "__main__":
    main()
