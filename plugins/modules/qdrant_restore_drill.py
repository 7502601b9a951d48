#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: rehearse the restore of a backup set of Qdrant, and prove the set by it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qdrant_restore_drill
short_description: Rehearse the restore of a Qdrant backup set
version_added: "0.1.0"
description:
  - Recovers each collection of a set into one of its own (C(<name>_rehearsal_<time>)), compares it with the manifest, and removes it.
  - A set that comes through is marked as proven; one that does not restore to what was backed up is marked as failed and reported.
  - O(url) may be the live server, whose collections are not touched, or better another one with the same minor version.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.restored_set.rehearsed
  - sre.runbooks.qdrant
options:
  backup_folder:
    description: Folder of the backup sets on this host, by default the one that holds the set.
    type: path
seealso:
  - module: sre.runbooks.qdrant_backup
  - module: sre.runbooks.qdrant_restore
"""

EXAMPLES = r"""
- name: Prove a set by restoring it beside everything else
  sre.runbooks.qdrant_restore_drill:
    url: http://127.0.0.1:6333
    api_key: "{{ qdrant_api_key }}"
    set_folder: /var/backups/sre-runbooks/20261121T020000Z-vectors-snapshot-1f3a
"""

RETURN = r"""
restored_after_s:
  description: Time until the restored data could be used, in seconds.
  returned: success, not in check mode
  type: float
backup_set:
  description: The set, its state and its proofs.
  returned: success
  type: dict
comparison:
  description: What was compared with the manifest, what differed (nothing, or the module fails) and what could not be compared.
  returned: success, not in check mode
  type: dict
durations_s:
  description: Time of each step, in seconds.
  returned: success, not in check mode
  type: dict
notes:
  description: What else the reader should know, in sentences.
  returned: success, not in check mode
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import REHEARSED_SET_OPTIONS
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.options import CONNECTION_OPTIONS, server_from
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.rehearsal import rehearse


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **REHEARSED_SET_OPTIONS,
            "backup_folder": {"type": "path"},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        home = options["backup_folder"] or os.path.dirname(os.path.abspath(options["set_folder"]))
        one = read_set(options["set_folder"])
        return rehearse(server_from(options), one, home, run_id=options["run_id"], dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
