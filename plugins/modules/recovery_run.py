#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: run the steps of a recovery."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_run
short_description: Run commands, playbooks and procedures of a recovery, each with a deadline
version_added: "0.1.0"
description:
  - Runs programs of your own (Terraform, scripts, playbooks) and procedures of this collection on the controller, several at once if wanted;
    programs also on a host of the inventory.
  - A step that does not end in time is ended, with everything that it has started on this machine; servers that a procedure started to stay
    are left alone. On another host its program is ended by C(timeout), at its deadline.
  - Playbooks get the inventory, the extra variables and the vault's passwords of the run around them, but not its confirmation. They have
    no terminal. The variables travel in a file that only the account can read, and that is removed at the end.
  - What a step prints goes into a file in the folder of the recovery.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: partial
    details: Playbooks and procedures run in check mode themselves. Commands are only told, as nobody knows what they would do.
  diff_mode:
    support: none
    details: What a playbook would change is in the file with its output.
  idempotent:
    support: N/A
    details: As far as the steps are.
options:
  steps:
    description: What to run, in order.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Short name, for messages and the file with its output.
        type: str
        required: true
      title:
        description: What it does, for readers. Default is the name.
        type: str
        default: ""
      command:
        description: Program and arguments; there is no shell.
        type: list
        elements: str
      playbook:
        description: Path of a playbook.
        type: path
      procedure:
        description: Name of a procedure of this collection.
        type: str
      on_host:
        description: Host of the inventory on which the command runs, as Ansible reaches it. Default is the controller.
        type: str
      variables:
        description: Extra variables of the playbook or procedure.
        type: dict
        default: {}
      environment:
        description: Further variables of the environment.
        type: dict
        default: {}
      folder:
        description: Working folder. Default is that of the run, on a host that of its account.
        type: path
      deadline_s:
        description: Seconds after which it is ended. Default is O(deadline_s).
        type: float
  recovery:
    description: Id of the recovery that it belongs to, as M(sre.runbooks.recovery_state) returned it.
    type: str
    required: true
  deadline_s:
    description: Seconds after which a step is ended that names no deadline of its own.
    type: float
    default: 3600
  at_once:
    description: How many steps may run at the same time.
    type: int
    default: 1
  stop_at_failure:
    description: Whether no further step begins after one that failed. Those under way go on.
    type: bool
    default: true
  secrets:
    description: Values that must not appear in the result, whatever they are called.
    type: list
    elements: raw
    default: []
  ansible_playbook:
    description: How playbooks are called. Given by the controller.
    type: list
    elements: str
    default: []
  playbooks:
    description: Paths of the procedures' playbooks. Given by the controller.
    type: dict
    default: {}
  on_host_playbook:
    description: Path of the playbook that runs a command on a host. Given by the controller.
    type: path
  hosts:
    description: The hosts of the inventory. Given by the controller.
    type: list
    elements: str
    default: []
  extra_vars:
    description: Extra variables of the run. Given by the controller.
    type: dict
    default: {}
  vault_secrets:
    description: Passwords of the vault by label. Given by the controller.
    type: dict
    default: {}
seealso:
  - module: sre.runbooks.recovery_state
"""

EXAMPLES = r"""
- name: Provide the machines again, then configure them
  sre.runbooks.recovery_run:
    recovery: "{{ recovery.recovery }}"
    steps:
      - {name: machines, command: [terraform, apply, -auto-approve, -input=false], folder: /srv/infrastructure, deadline_s: 1800}
      - {name: configuration, playbook: /srv/infrastructure/site.yml}
      - {name: proxy, command: [systemctl, reload, haproxy], on_host: proxy1, deadline_s: 60}

- name: Restore two stores at the same time
  sre.runbooks.recovery_run:
    recovery: "{{ recovery.recovery }}"
    at_once: 2
    stop_at_failure: false
    steps:
      - {name: cases, procedure: restore, variables: {restore_store: cases, confirm: cases}}
      - {name: cache, procedure: restore, variables: {restore_store: cache, confirm: cache}}
"""

RETURN = r"""
steps:
  description: Each step with C(name), C(title), C(said), C(skipped), and when it ran C(ok), C(status), C(duration_s), C(problem) and C(log).
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.recovery.runs import OPTIONS, operate


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec={name: dict(option) for name, option in OPTIONS.items()}, supports_check_mode=True, no_log=True)
    conclude(module, lambda: operate(dict(module.params), module.check_mode))


if __name__ == "__main__":
    main()
