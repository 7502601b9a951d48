#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: schedule_config
short_description: Let cron, systemd, AWX or Semaphore run what the schedule of a profile says
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Makes from the entries of a schedule what the scheduler of this host needs, puts it in place, and removes what the entries no longer need.
    Only files that it has made itself are changed or removed.
  - For cron this is a drop-in file in O(cron_folder), for systemd a timer (with C(Persistent=true)) and a service for each entry, which
    C(systemd-analyze) sees before they are put in place. For AWX and Semaphore it is a file with what their interfaces take.
  - What cron and systemd start begins a run when one is due that has not begun, takes a lease on the entry, ends the run at its time limit,
    and keeps its output and what became of it. So nothing runs twice at a time or twice for one moment, whatever fires.
  - Times are those of the entry's time zone. What the clocks skip is run as much later, what they repeat is run once.
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  entries:
    description:
      - What runs by itself, each with C(procedure), C(at), and if need be C(name), C(time_zone), C(variables), C(enabled), C(grace_s), C(timeout_s).
      - C(at) is written like V(every 5 min), V(daily 09:00), V(Mon-Fri 09:00, 18:00), V(Sun 02:00), V(first Sun 01:00), V(last Fri 20:00),
        V(day 1 03:00), V(last day 23:00).
      - Without entries everything that was made for the profile is removed.
    type: list
    elements: dict
    default: []
  profile:
    description: Name of the profile.
    type: str
    required: true
  scheduler:
    description: Who runs them. V(auto) is systemd where it is process 1, else cron.
    type: str
    choices: [auto, cron, systemd, awx, semaphore]
    default: auto
  inventory:
    description: The inventory of the runs.
    type: path
  playbook_folder:
    description: Folder of the playbooks. By default they are found by their full names, C(sre.runbooks.<name>).
    type: path
  ansible_playbook:
    description: The program C(ansible-playbook). By default that of the search path.
    type: path
  python:
    description: The Python that starts runs. By default the one that runs this module.
    type: path
  collections_path:
    description: Folders that hold C(ansible_collections), with colons between them, where they are none of Ansible's and Python's own.
    type: str
    default: ""
  working_folder:
    description: Working folder of the runs, for example of an C(ansible.cfg).
    type: path
  account:
    description: Account that runs them. By default the one that sets up the schedule.
    type: str
    default: ""
  environment_file:
    description: File of environment variables (C(NAME=value) a line) that runs get, such as the secrets of the profile. Only its owner may read it.
    type: path
  cron_folder:
    description: Folder of cron's drop-in files.
    type: path
    default: /etc/cron.d
  unit_folder:
    description: Folder of systemd's units.
    type: path
    default: /etc/systemd/system
  output_file:
    description: File for what AWX or Semaphore take. The default is V(awx.json) or V(semaphore.json) beside the other files of the schedule.
    type: path
  template:
    description: Name of the job templates of AWX and Semaphore.
    type: str
    default: "{profile} {procedure}"
  procedures:
    description:
      - The catalogue of procedures; an entry for none of them, or for one that destroys, is refused. The default is that of this collection.
    type: dict
    default: {}
  grace_s:
    description: Seconds after its moment at which a run that has not begun counts as missed, for entries without their own.
    type: float
    default: 900
  timeout_s:
    description: Seconds after which a run is ended, for entries without their own.
    type: float
    default: 14400
seealso:
  - module: sre.runbooks.schedule_info
"""

EXAMPLES = r"""
- name: Let systemd or cron run what the profile says
  sre.runbooks.schedule_config:
    profile: paralegal
    inventory: /srv/runbooks/inventories/paralegal
    environment_file: /etc/sre-runbooks/paralegal.env
    entries:
      - {procedure: backup, at: daily 02:00, time_zone: Europe/Warsaw}
      - {procedure: restore_drill, at: first Sun 05:00, time_zone: Europe/Warsaw}
      - {procedure: schedule_check, at: every 15 min}

- name: Let nothing run by itself any more
  sre.runbooks.schedule_config:
    profile: paralegal
    entries: []
"""

RETURN = r"""
scheduler:
  description: Who runs the entries.
  returned: success
  type: str
entries:
  description: The entries, each with C(name), C(procedure), C(at), C(enabled) and its C(next_runs) (UTC, ISO 8601).
  returned: success
  type: list
  elements: dict
table:
  description: One line for each entry.
  returned: success
  type: list
  elements: str
files:
  description: All files of the schedule.
  returned: success
  type: list
  elements: str
written:
  description: Files that were written, or would be.
  returned: success
  type: list
  elements: str
removed:
  description: Files that were removed, or would be.
  returned: success
  type: list
  elements: str
started:
  description: Timers that were not running and were started, or would be.
  returned: success
  type: list
  elements: str
content:
  description: For AWX a list of schedules, for Semaphore a dictionary of templates and schedules, as they are in the file. Else null.
  returned: success
  type: raw
obsolete:
  description:
    - Schedules of AWX that were made before and are no longer wanted, also where another scheduler is to run them now, each with C(name)
      and C(unified_job_template).
  returned: success
  type: list
  elements: dict
notes:
  description: What the reader should know.
  returned: success
  type: list
  elements: str
diff:
  description: What changes, by file.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.set_up import OPTIONS, operate


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
