#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: run a command as the program of a unit would."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_exec
short_description: Run a command as a unit of systemd runs its program
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - The command gets the unit's user and group, its working folder, and its environment, that of its environment files included, and nothing of
    the environment of the account that runs this.
  - It is an argument list; no shell sees it. It is ended at O(timeout_s), and of each of its outputs the last 64 KiB are kept.
  - Values of variables whose names say that they are secret, and what looks like a secret, are masked in what is returned.
  - The unit's other protections, such as C(ProtectSystem), its limits and its namespaces do not apply to the command.
requirements:
  - systemd 239 or later
  - setpriv of util-linux, where the unit has a user or group
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.unit
attributes:
  check_mode:
    support: full
    details: Says as whom and where the command would run; it is not run.
  diff_mode:
    support: none
    details: What a command changes is not known.
  idempotent:
    support: none
    details: The command is run each time.
options:
  replica:
    description: The instance; by default the first that runs, else the first.
    type: str
    default: ""
  command:
    description: The program and its arguments.
    type: list
    elements: str
    required: true
  timeout_s:
    description: Seconds after which the command is ended.
    type: float
    default: 60
seealso:
  - module: sre.runbooks.unit_replicas
"""

EXAMPLES = r"""
- name: Ask at which revision the database is
  sre.runbooks.unit_exec:
    unit: app@.service
    command: [/opt/app/bin/alembic, current]
  become: true
"""

RETURN = r"""
replica:
  description: The unit.
  returned: success
  type: str
user:
  description: The user that the command ran as.
  returned: success
  type: str
folder:
  description: Its working folder.
  returned: success
  type: str
stdout:
  description: The end of what it printed.
  returned: success, not in check mode
  type: str
stderr:
  description: The end of what it printed to standard error.
  returned: success, not in check mode
  type: str
exit_status:
  description: Its exit status. One other than 0 is a failure, and all of this is in RV(error) then.
  returned: success, not in check mode
  type: int
duration_s:
  description: Seconds that it took.
  returned: success, not in check mode
  type: float
cut:
  description: Whether it printed more than is returned.
  returned: success, not in check mode
  type: bool
notes:
  description: What a reader must know.
  returned: success
  type: list
  elements: str
steps:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
conclusion:
  description: One sentence.
  returned: success
  type: str
error:
  description: What failed.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.exec import OPTIONS, operate


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
