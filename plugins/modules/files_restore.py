#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: restore files or a Docker volume from a backup set."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files_restore
short_description: Restore files or a Docker volume from a backup set
version_added: "0.1.0"
description:
  - Unpacks a set beside the files in use, compares every file with the set's list, and lets each path take its place in one step.
  - What is replaced is kept beside it as C(.<name>_before_<time>). The dot keeps it from programs that take all files of a folder.
  - A failure at any moment leaves the files in use as they are; what a killed run had begun to exchange is completed by the next.
  - The running containers of a volume are stopped for the exchange and started again, since they would go on in the replaced folder.
  - Programs that hold files open go on in the replaced ones until they are restarted.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.restored_set
  - sre.runbooks.files
  - sre.runbooks.files.encryption
options:
  replace:
    description:
      - Whether a folder becomes exactly what the set holds. With V(false), files that only the folder in use has are copied to the restored
        ones first.
    type: bool
    default: true
  from_other_server:
    description: Whether a set of other paths may be restored here, path by path in the same order, where their last names are the same.
    type: bool
    default: false
seealso:
  - module: sre.runbooks.files_restore_undo
  - module: sre.runbooks.files_restore_drill
"""

EXAMPLES = r"""
- name: Restore the configuration
  sre.runbooks.files_restore:
    paths:
      - /opt/insighthub/.env
      - /opt/insighthub/config
    replace: false
    encryption:
      identity_file: /run/keys/backup.txt
    set_folder: /var/backups/sre-runbooks/20261121T020000Z-configuration-archive-1f3a
"""

RETURN = r"""
kept_as:
  description: Path in use -> where what it replaced is kept; empty when there was nothing.
  returned: success
  type: dict
comparison:
  description: What was compared with the set's list, what differed (nothing, or the module fails) and what could not be compared.
  returned: success, not in check mode
  type: dict
cut_off_s:
  description: Time that the exchange took, for a volume the time for which its containers were stopped, in seconds.
  returned: success, not in check mode
  type: float
serving_after_s:
  description: Time from the start of the module until the restored files were in place, in seconds.
  returned: success, not in check mode
  type: float
serving_at:
  description: The moment at which they were, in seconds since 1970-01-01 UTC.
  returned: success, not in check mode
  type: float
durations_s:
  description: Time of each step, in seconds.
  returned: success, not in check mode
  type: dict
notes:
  description: What else the reader should know, in sentences.
  returned: success, not in check mode
  type: list
  elements: str
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import RESTORED_SET_OPTIONS, restored_set_from
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.options import FILES_OPTIONS, store_from
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import describe_restore, restore_files
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **FILES_OPTIONS,
            **RESTORED_SET_OPTIONS,
            "replace": {"type": "bool", "default": True},
            "from_other_server": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("paths", "volume")],
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        one = restored_set_from(options, module.check_mode)
        store = store_from(options, str(one.manifest.get("store", "")))
        request = FilesRestore(store, one, options["replace"], options["from_other_server"])
        return describe_restore(request) if module.check_mode else restore_files(request)

    conclude(module, operation)


if __name__ == "__main__":
    main()
