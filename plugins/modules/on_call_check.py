#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: try everything that people on call rely on."""

from __future__ import annotations

DOCUMENTATION = r"""
module: on_call_check
short_description: Try everything that people on call rely on
version_added: "0.1.0"
description:
  - "Tries, read-only, what a profile names: credentials, endpoints, metrics, logs, contexts of the kubeconfig, contacts, channels, tools,
    procedures and the profile's own expressions; and tells when each procedure last succeeded."
  - Nothing is sent, called or changed. Of contacts and channels only the form is looked at, and whether there is a gateway.
  - A credential is tried where a check or the object store of backups uses it; of others it is only known that they have a value.
  - Runs on the controller wherever the task's host is, because that is where people on call work. Secrets are masked in what it tells.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.state
  - sre.runbooks.profile
options:
  profile:
    description: Name by which run records know the profile; empty for those of every profile.
    type: str
    default: ""
  proven_within_days:
    description:
      - Procedures that must have succeeded within so many days.
      - What the profile's schedule runs must have succeeded within twice the time between two runs.
    type: dict
    default: {}
  kinds:
    description: What is tried.
    type: list
    elements: str
    choices: [profile, credential, endpoint, metric, log, context, contact, channel, tool, procedure, proof]
    default: [profile, credential, endpoint, metric, log, context, contact, channel, tool, procedure, proof]
  timeout_s:
    description: Seconds for each question to a server.
    type: float
    default: 10
  fail_on:
    description: Verdicts that make the task fail; none for a task that only reports.
    type: list
    elements: str
    choices: [rotten, untested]
    default: [rotten]
  playbooks:
    description: Paths of the procedures' playbooks by name. The default is those of this collection.
    type: dict
    default: {}
  ansible_playbook:
    description: The program that reads playbooks. The default is the one that runs this task.
    type: path
    default: ansible-playbook
seealso:
  - module: sre.runbooks.profile_check
  - module: sre.runbooks.procedure_run_info
"""

EXAMPLES = r"""
- name: Try everything before the shift begins
  sre.runbooks.on_call_check:
    folder: "{{ inventory_dir }}"
    profile: paralegal
    proven_within_days:
      restore_drill: 14

- name: Look at contacts and tools alone
  sre.runbooks.on_call_check:
    folder: inventories/paralegal
    kinds: [contact, tool]
    fail_on: []
  register: on_call
"""

RETURN = r"""
counts:
  description: Number of items for each verdict, V(good), V(rotten) and V(untested).
  returned: when the profile was read
  type: dict
  sample: {good: 41, rotten: 2, untested: 5}
rotten:
  description: One line for each item that has rotted.
  returned: when the profile was read
  type: list
  elements: str
  sample: ["ROTTEN    credential postgresql_password: it is empty. Next: set it."]
table:
  description: One line for each item, the rotten ones first (the first 500).
  returned: when the profile was read
  type: list
  elements: str
results:
  description: What was tried (the first 500).
  returned: when the profile was read
  type: list
  elements: dict
  contains:
    kind:
      description: What kind of thing it is, as in O(kinds), or V(checklist).
      type: str
    name:
      description: Which one.
      type: str
    verdict:
      description: V(good), V(rotten) or V(untested).
      type: str
    reason:
      description: Why it is not good, or what it was proved by.
      type: str
    next_step:
      description: What to do about it.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.on_call.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True, no_log=True)
    given = dict(module.params)
    # The variables hold secrets, and do not come back with the result.
    module.params.clear()
    conclude(module, lambda: operate(given, module.check_mode))


if __name__ == "__main__":
    main()
