#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: prove a backup set of files by unpacking it elsewhere."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files_restore_drill
short_description: Prove a backup set of files by unpacking it elsewhere
version_added: "0.1.0"
description:
  - Unpacks a set of files, or of a volume, into a folder of its own, compares every file with the set's list, marks the set as proven, and
    removes the folder. Nothing in use is touched.
  - A set that does not restore to what was backed up is marked as failed.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.restored_set.rehearsed
  - sre.runbooks.files.encryption
options:
  work_folder:
    description: Folder with room for the files. By default the folder that holds the set.
    type: path
  tool_folder:
    description: Folder of GNU C(tar) and C(zstd) (or C(gzip)). By default the search path.
    type: path
"""

EXAMPLES = r"""
- name: Prove a set by unpacking it elsewhere
  sre.runbooks.files_restore_drill:
    set_folder: /var/backups/sre-runbooks/20261121T020000Z-configuration-archive-1f3a
    encryption:
      identity_file: /run/keys/backup.txt
"""

RETURN = r"""
restored_after_s:
  description: Time until the files were unpacked, in seconds.
  returned: success, not in check mode
  type: float
comparison:
  description: What was compared with the set's list, what differed (nothing, or the module fails) and what could not be compared.
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
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.options import ENCRYPTION_OPTION, encryption_from
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.tools import Tools
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **REHEARSED_SET_OPTIONS,
            "work_folder": {"type": "path"},
            "tool_folder": {"type": "path"},
            "encryption": ENCRYPTION_OPTION,
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        one = read_set(options["set_folder"])
        if module.check_mode:
            one.require_whole()
            return {"changed": True, "backup_set": one.summary()}
        tools = Tools(options["tool_folder"] or "", encryption_from(options["encryption"]))
        return rehearse(one, tools, options["work_folder"] or "", run_id=options["run_id"])

    conclude(module, operation)


if __name__ == "__main__":
    main()
