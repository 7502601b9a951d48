#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: keep the record of a recovery."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_state
short_description: Keep the record of a recovery, with its phases and gates
version_added: "0.1.0"
description:
  - A recovery has phases. Those after a disaster are V(assess), V(infrastructure), V(data), V(verify), V(resume); those after a corruption
    V(stop_writes), V(scope), V(restore), V(verify), V(resume).
  - The record says which phases are done, so that a run that was killed, that failed or that nobody let go on is taken up at that phase.
  - Before a phase somebody says go, by a variable, at a prompt or by making the file C(go-<phase>) in the folder of the recovery. Silence is
    never a go.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: Writes nothing, and lets every gate through.
  diff_mode:
    support: none
    details: Changes nothing of the service; the record is evidence.
  idempotent:
    support: full
    details: A phase that is done stays done.
options:
  operation:
    description:
      - V(open) takes up the newest recovery of the service that is not over, or begins one. It fails when what counts as done was done for
        other stores, or long ago.
      - V(look) tells whether a phase has to be done, and whether it is let through already.
      - V(gate) waits until somebody lets the phase begin, and fails when nobody does.
      - V(enter) and V(leave) write down that a phase begins and that it is done.
      - V(restores) tells which stores are left to restore, as steps for M(sre.runbooks.recovery_run), and V(restored) what became of them.
      - V(fail) writes down that the phase that was under way has failed.
      - V(close) measures and completes the recovery.
    type: str
    required: true
    choices: [open, look, gate, enter, restores, restored, leave, fail, close]
  kind:
    description: What the recovery is from.
    type: str
    choices: [corruption, disaster]
  service:
    description: Name of the service.
    type: str
    default: ""
  recovery:
    description: Id of the recovery, as V(open) returned it.
    type: str
    default: ""
  phase:
    description: The phase in question.
    type: str
    default: ""
  run_id:
    description: Id of the run that carries out the phase.
    type: str
    default: ""
  set:
    description:
      - With V(open) which sets are restored, in the form of O(sre.runbooks.backup_set_select#module:set). By default the best ones; in a
        recovery that is taken up, what it began with.
      - With V(leave) the set that the phase has chosen, by its name.
    type: str
    default: ""
  take_up:
    description: Id of the recovery to take up, however old it is. It may have been for more stores.
    type: str
    default: ""
  take_up_within_s:
    description: A recovery that is not named is taken up only when something was done in it within so many seconds.
    type: float
    default: 43200
  again:
    description: Phases that are to be done again, with all behind them.
    type: list
    elements: str
    default: []
  begin_anew:
    description: Whether recoveries that are not over are given up, and another one begun.
    type: bool
    default: false
  since:
    description: When the service went down, UTC ISO 8601; from then on recovery times are measured. Default is the begin of the recovery.
    type: str
    default: ""
  gates:
    description: Phases that begin only when somebody says go; by default every one.
    type: list
    elements: str
  confirmed:
    description: Phases that were confirmed beforehand; V(all) for every one.
    type: list
    elements: str
    default: []
  answer:
    description: What was typed at the prompt; V(go) lets the phase begin, anything else does not.
    type: str
    default: ""
  wait_s:
    description: How many seconds a gate waits for somebody to say go.
    type: float
    default: 0
  told:
    description: What a phase found or did, in sentences.
    type: list
    elements: str
    default: []
  problem:
    description: Why the phase failed.
    type: str
    default: ""
  settings:
    description: Further variables of every restore.
    type: dict
    default: {}
  components:
    description: The components of the service (C(service_components)); of them C(name), C(rto_s) and C(external) are used.
    type: list
    elements: dict
    default: []
  stores:
    description: The stores that are recovered, of C(backup_stores); of them C(name), C(database), C(component) and C(rto_s) are used.
    type: list
    elements: dict
    default: []
  secrets:
    description: Values that must not appear in the record, whatever they are called.
    type: list
    elements: raw
    default: []
seealso:
  - module: sre.runbooks.recovery_run
  - module: sre.runbooks.procedure_run
"""

EXAMPLES = r"""
- name: Take up the recovery that is not over, or begin one
  sre.runbooks.recovery_state:
    operation: open
    kind: disaster
    service: paralegal
  register: recovery

- name: Wait up to an hour until somebody lets the data be restored
  sre.runbooks.recovery_state:
    operation: gate
    recovery: "{{ recovery.recovery }}"
    phase: data
    wait_s: 3600
"""

RETURN = r"""
recovery:
  description: Id of the recovery.
  returned: success
  type: str
  sample: REC-20261121T090000Z-paralegal-1f3a
folder:
  description: Folder with its record.
  returned: success
  type: str
since:
  description: From when on recovery times are measured.
  returned: success
  type: str
set:
  description: The set that is restored, or words for it; empty for the best one of each store.
  returned: success
  type: str
phases:
  description: Each phase with C(name), C(status), C(began_at), C(finished_at), C(run_id), C(told), C(problem) and C(set).
  returned: success
  type: list
  elements: dict
stores:
  description: What is known of the stores' restores, by name.
  returned: success
  type: dict
todo:
  description: Whether the phase has to be done.
  returned: success
  type: bool
confirmed_by:
  description: What lets the phase begin; empty when nothing does yet.
  returned: with the operations look and gate
  type: str
how_to:
  description: What somebody has to do to let the phase begin.
  returned: with the operation look
  type: str
steps:
  description: Restores that are left to do.
  returned: with the operation restores
  type: list
  elements: dict
told:
  description: A sentence for each store.
  returned: with the operation restored
  type: list
  elements: str
left:
  description: Stores that are not restored.
  returned: with the operation restored
  type: list
  elements: str
measurements:
  description: Recovery times by name (C(rto_<component>_s), C(rto_s), C(waited_s)), in seconds.
  returned: with the operation close
  type: dict
targets:
  description: What they may be at most, by name.
  returned: with the operation close
  type: dict
times:
  description: A sentence for each component.
  returned: with the operation close
  type: list
  elements: str
notes:
  description: What was taken up, given up or is done again.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.recovery.operation import CONSTRAINTS, OPTIONS, operate


def main() -> None:
    """Entry point."""
    # Nothing of the arguments goes to the system log: stores and records of runs come with them.
    specification = {name: dict(option) for name, option in OPTIONS.items()}
    module = AnsibleModule(argument_spec=specification, supports_check_mode=True, no_log=True, **CONSTRAINTS)
    parameters = dict(module.params)
    for name in ("stores", "components", "settings"):
        module.params[name] = f"{len(parameters[name])} entries"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
