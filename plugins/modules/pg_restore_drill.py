#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: rehearse the restore of a backup set elsewhere, and prove the set by it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_drill
short_description: Rehearse the restore of a PostgreSQL backup set
version_added: "0.1.0"
description:
  - Restores a set into a server of its own that only this module can reach, compares it with the set's manifest, and removes all traces.
  - A set that comes through is marked as proven; one that does not restore to what was backed up is marked as failed and reported.
  - No live server is touched, nor even asked.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.restored_set.rehearsed
options:
  work_folder:
    description:
      - Folder for the scratch server, with room for the restored data. By default the folder that holds the set, or
        C(/var/tmp) when the scratch server has an account that cannot enter that folder.
    type: path
  tool_folder:
    description: Folder of the PostgreSQL server's programs (initdb, pg_ctl, postgres). By default the search path.
    type: path
  account:
    description: Account for the scratch server when the module runs as root; by default C(postgres), else C(nobody).
    type: str
    default: ""
  jobs:
    description: Parallel jobs; V(0) for as many as there are processors, at most 8.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Prove a set by restoring it elsewhere
  sre.runbooks.pg_restore_drill:
    set_folder: /var/backups/sre-runbooks/20261121T020000Z-reference-logical-1f3a
    tool_folder: /usr/lib/postgresql/17/bin
"""

RETURN = r"""
restored_after_s:
  description: Time until the restored data could be used, in seconds.
  returned: success, not in check mode
  type: float
comparison:
  description: What was compared with the manifest, what differed (nothing, or the module fails) and what could not be compared.
  returned: success, not in check mode
  type: dict
durations_s:
  description: Time of each step, in seconds.
  returned: success, not in check mode
  type: dict
backup_set:
  description: The set, its state and its proofs.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import REHEARSED_SET_OPTIONS
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.rehearsal import rehearse


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **REHEARSED_SET_OPTIONS,
            "work_folder": {"type": "path"},
            "tool_folder": {"type": "path"},
            "account": {"type": "str", "default": ""},
            "jobs": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        one = read_set(options["set_folder"])
        if module.check_mode:
            one.require_whole()
            return {"changed": True, "backup_set": one.summary()}
        return rehearse(
            one,
            options["work_folder"] or "",
            options["tool_folder"] or "",
            account=options["account"],
            jobs=options["jobs"],
            run_id=options["run_id"],
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
