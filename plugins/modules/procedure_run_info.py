#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: tell which procedures ran, and which resources are held."""

from __future__ import annotations

DOCUMENTATION = r"""
module: procedure_run_info
short_description: Tell which procedures ran, and which resources are held
version_added: "0.1.0"
description:
  - Reads the records of runs, the newest first, and the leases.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.state
options:
  run_id:
    description: Only this run.
    type: str
    default: ""
  procedure:
    description: Only runs of this procedure.
    type: str
    default: ""
  status:
    description: Only runs that ended so, or still go on.
    type: str
    choices: [running, succeeded, failed, abandoned]
  limit:
    description: At most so many runs.
    type: int
    default: 20
seealso:
  - module: sre.runbooks.procedure_run
"""

EXAMPLES = r"""
- name: Look up the last restore that succeeded
  sre.runbooks.procedure_run_info:
    procedure: restore
    status: succeeded
    limit: 1
  delegate_to: localhost
  register: last_restore
"""

RETURN = r"""
runs:
  description: Records of runs, as in their C(record.json), the newest first.
  returned: success
  type: list
  elements: dict
leases:
  description: All leases, each with C(resource), C(holder), C(who), C(reason), C(acquired_at) and C(expires_at) (UTC, ISO 8601).
  returned: success
  type: list
  elements: dict
unreadable:
  description: Ids of runs whose record cannot be read.
  returned: success
  type: list
  elements: str
state_folder:
  description: Where was looked.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.procedure_lookup import look_up


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "run_id": {"type": "str", "default": ""},
            "procedure": {"type": "str", "default": ""},
            "status": {"type": "str", "choices": ["running", "succeeded", "failed", "abandoned"]},
            "limit": {"type": "int", "default": 20},
            "state_folder": {"type": "path"},
        },
        supports_check_mode=True,
    )
    conclude(module, lambda: look_up(module.params))


if __name__ == "__main__":
    main()
