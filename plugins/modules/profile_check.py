#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: check whether a profile is right."""

from __future__ import annotations

DOCUMENTATION = r"""
module: profile_check
short_description: Check whether a profile is right
version_added: "0.1.0"
description:
  - Reads the files of an inventory's variables and evaluates them as the host of the task sees them.
  - Holds them against the schema of profiles (C(meta/profile.schema.json)), which says unknown keys and wrong types.
  - "Looks for what contradicts: names that are used and do not exist, dependencies in circles, thresholds in the wrong order, severity rules
    that overlap or cross, escalation levels with gaps, objectives that no schedule or deadline can meet, units that do not match."
  - Looks for secrets in clear, and tells what is missing for which procedure.
  - Runs on the controller wherever the task's host is, since the profile lies there. Secrets are masked in what it tells.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.profile
options:
  fail_on:
    description: Levels of findings that make the task fail; none for a task that only reports.
    type: list
    elements: str
    choices: [error, warning]
    default: [error]
"""

EXAMPLES = r"""
- name: Check the profile that is in use
  sre.runbooks.profile_check:
    folder: "{{ inventory_dir }}"
  register: profile

- name: Only report
  sre.runbooks.profile_check:
    folder: inventories/paralegal
    fail_on: []
"""

RETURN = r"""
errors:
  description: Number of findings that cannot be as they are written.
  returned: when the profile was read
  type: int
warnings_found:
  description: Number of findings that somebody should know.
  returned: when the profile was read
  type: int
table:
  description: One line for each finding, errors first (the first 300).
  returned: when the profile was read
  type: list
  elements: str
  sample: ["ERROR   local/group_vars/all/checks.yml:12: health_checks[0] has the unknown key 'ulr' (did you mean 'url'?). Next: correct the name."]
findings:
  description: The findings (the first 300).
  returned: when the profile was read
  type: list
  elements: dict
  contains:
    level:
      description: V(error) or V(warning).
      type: str
    kind:
      description: Short name of the rule that found it.
      type: str
    path:
      description: Where in the variables.
      type: str
    what:
      description: What is wrong.
      type: str
    why:
      description: Why that is wrong.
      type: str
    next_step:
      description: What to do.
      type: str
    where:
      description: File and line, where known.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.profile.operation import OPTIONS, operate


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True, no_log=True)
    given = dict(module.params)
    # The variables hold secrets, and do not come back with the result.
    module.params.clear()
    conclude(module, lambda: operate(given, module.check_mode))


if __name__ == "__main__":
    main()
