#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: begin a procedure, and finish it with its record."""

from __future__ import annotations

DOCUMENTATION = r"""
module: procedure_run
short_description: Begin a procedure, and finish it with its record
version_added: "0.1.0"
description:
  - The frame of a procedure. V(begin) asks for confirmation, takes the lease and opens the record of the run; V(finish) completes the
    record, writes the reports and gives the lease back; V(fail) does so for a run in which a step failed, and then fails with that
    step's own message.
  - The role P(sre.runbooks.procedure#role) calls it; use that in playbooks.
  - When a run begins, earlier runs that were killed are marked as abandoned and their leases are freed; V(clean_up) does that alone.
  - An action plugin of the same name does the work on the controller itself when the task is delegated to it.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: Writes nothing. Tells whether the lease is free, and fails as the real run would when another run holds it.
  diff_mode:
    support: none
    details: Changes nothing of the service.
  idempotent:
    support: none
    details: Each run leaves a record. As that is no change of the service, RV(ignore:changed) is V(false).
options:
  operation:
    description: What to do.
    type: str
    required: true
    choices: [begin, finish, fail, clean_up]
  procedure:
    description: Short name of the procedure. Needed for O(operation=begin).
    type: str
  title:
    description: What it does, in one line. The default is the title in the collection's catalogue.
    type: str
    default: ""
  profile:
    description: Name of the service's inventory.
    type: str
    default: ""
  target:
    description: Name of what it is done to; with O(destroys) the name that must be confirmed.
    type: str
    default: ""
  resources:
    description: What to take leases on, for example V(postgresql:reference).
    type: list
    elements: str
    default: []
  reason:
    description: Why it is done. The default is O(title).
    type: str
    default: ""
  who:
    description: The person or robot. The default is the user and host that run the playbook.
    type: str
    default: ""
  incident:
    description: Id of the incident that the run belongs to.
    type: str
    default: ""
  lease_s:
    description: Seconds after which the lease runs out by itself.
    type: float
    default: 14400
  takeover:
    description: Id of the run whose lease shall be broken.
    type: str
    default: ""
  destroys:
    description: Whether the procedure replaces or destroys something, so that O(target) must be confirmed. The default is what the catalogue says.
    type: bool
  confirmed:
    description: The name that the user confirmed.
    type: str
    default: ""
  run_id:
    description:
      - For O(operation=begin) the id that the run shall have, when no run has it yet.
      - Otherwise the run to end; by default the innermost that this C(ansible-playbook) process has begun.
    type: str
    default: ""
  schedule:
    description:
      - The entry of the schedule for which the run was started, with C(name), C(at), C(time_zone). A lease on the entry is taken, too.
      - With C(look) true nothing is begun on a day that C(at) does not mean, and the result has C(skip) true.
    type: dict
    default: {}
  results:
    description:
      - Steps, each with its C(name), the C(result) that it registered, and perhaps a C(summary).
      - Instead of the C(result), C(fact) names the variable that holds it; then each host of the play has a step of its own.
    type: list
    elements: dict
    default: []
  measurements:
    description: Numbers by name; the name ends with the unit, for example V(rto_s).
    type: dict
    default: {}
  targets:
    description: What the measurements should be at most, by name.
    type: dict
    default: {}
  decisions:
    description: Sentences that say what was decided during the run, and why.
    type: list
    elements: str
    default: []
  failed_result:
    description: Result of the task that failed.
    type: dict
    default: {}
  failed_task:
    description: Name of the task that failed.
    type: str
    default: ""
  failed_host:
    description: The host on which it failed. The action plugin fills this in.
    type: str
    default: ""
  secrets:
    description: Values that must not appear in the record.
    type: list
    elements: raw
    default: []
  controller:
    description: The process that runs the playbook. The action plugin fills this in.
    type: dict
  versions:
    description: Versions in use. The action plugin fills this in.
    type: dict
    default: {}
  timeline:
    description: What the callback plugin P(sre.runbooks.progress#callback) noted. The action plugin fills this in.
    type: list
    elements: dict
    default: []
seealso:
  - module: sre.runbooks.procedure_run_info
  - module: sre.runbooks.procedure_lock
"""

EXAMPLES = r"""
- name: Begin the restore of a database
  sre.runbooks.procedure_run:
    operation: begin
    procedure: restore
    target: reference
    resources: ["postgresql:reference"]
    confirmed: reference
  delegate_to: localhost

- name: Finish it
  sre.runbooks.procedure_run:
    operation: finish
    measurements:
      rto_s: 12.5
    targets:
      rto_s: 3600
  delegate_to: localhost
"""

RETURN = r"""
run_id:
  description: Id of the run; empty in check mode.
  returned: success
  type: str
  sample: RUN-20260301T031500Z-restore-5f3a
state_folder:
  description: The state folder that is used.
  returned: for O(operation=begin)
  type: str
leases:
  description: Resources on which the run holds a lease; in check mode those that are free.
  returned: for O(operation=begin)
  type: list
  elements: str
record:
  description: Path of the record in JSON; empty in check mode.
  returned: success, outside check mode for O(operation=finish)
  type: str
report:
  description: Path of the report in Markdown.
  returned: for O(operation=finish) outside check mode
  type: str
report_html:
  description: Path of the report as a page for a browser.
  returned: for O(operation=finish) outside check mode
  type: str
status:
  description: How the run ended.
  returned: for O(operation=finish)
  type: str
duration_s:
  description: Seconds from begin to end.
  returned: for O(operation=finish) outside check mode
  type: float
measurements:
  description: Each measurement with C(value), C(target), C(unit), C(better) and C(met).
  returned: for O(operation=finish)
  type: dict
notes:
  description: What the reader should know, such as a lease that was taken over. Shown as warnings.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.procedure import OPTIONS, REQUIRED_IF, operate


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=OPTIONS, required_if=REQUIRED_IF, supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
