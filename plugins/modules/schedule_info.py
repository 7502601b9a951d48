#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: schedule_info
short_description: Tell whether every run of a schedule took place
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Holds the entries of a schedule against what is on record of their runs, as M(sre.runbooks.schedule_config) had them started, or as
    AWX and Semaphore started them, where the run records are.
  - A run that has not begun within its grace is missed. What was due before the entry was set up is not.
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.state
options:
  entries:
    description: What runs by itself, in the form of the option O(sre.runbooks.schedule_config#module:entries).
    type: list
    elements: dict
    default: []
  profile:
    description: Name of the profile.
    type: str
    required: true
  grace_s:
    description: Seconds after its moment at which a run that has not begun counts as missed, for entries without their own.
    type: float
    default: 900
  timeout_s:
    description: Seconds that a run may take, for entries without their own.
    type: float
    default: 14400
  except_procedures:
    description: Procedures that are left out, such as the one that asks.
    type: list
    elements: str
    default: []
  without_record:
    description: Procedures that leave no run record. The default is those of this collection's playbooks.
    type: list
    elements: str
    default: []
seealso:
  - module: sre.runbooks.schedule_config
"""

EXAMPLES = r"""
- name: See whether every run took place
  sre.runbooks.schedule_info:
    profile: paralegal
    entries: "{{ schedule_entries }}"
  delegate_to: localhost
  register: schedule
"""

RETURN = r"""
entries:
  description:
    - The entries, the worst first, each with C(name), C(procedure), C(at), C(verdict), C(why), C(next_step), C(missed) (how many runs),
      C(missed_since), C(last_started_at), C(last_status), C(last_run_id), C(log), C(next_run). Moments are UTC, ISO 8601.
    - C(verdict) is V(on_time), V(running), V(waiting) (not due yet), V(off), V(missed), V(failed), or V(unknown) (not set up as the
      profile says).
  returned: success
  type: list
  elements: dict
counts:
  description: How many entries have each verdict.
  returned: success
  type: dict
bad:
  description: Names of the entries that are missed, failed or unknown.
  returned: success
  type: list
  elements: str
news:
  description: What of this was not told yet, or is over, one line each.
  returned: success
  type: list
  elements: str
table:
  description: One line for each entry.
  returned: success
  type: list
  elements: str
all_over:
  description: Whether all is well.
  returned: success
  type: bool
told_file:
  description: File that says what was told last.
  returned: success
  type: str
told_content:
  description: What is to be in it once RV(news) have been told.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.watch import OPTIONS, operate


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
