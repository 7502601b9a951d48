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
  - sre.runbooks.attributes
  - sre.runbooks.files
  - sre.runbooks.files.encryption
attributes:
  check_mode:
    support: full
    details: Checks the set and everything that could stop the restore, and tells what would be done.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run restores anew.
options:
  set_folder:
    description: Folder of the backup set; M(sre.runbooks.backup_set_select) finds the best one. Needed unless O(set_manifest) is given.
    type: path
  set_manifest:
    description:
      - Manifest of a set that would have to be fetched first, as M(sre.runbooks.backup_set_select) gives it. For check mode alone, which
        then looks at everything but the set's files.
    type: dict
    default: {}
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

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.options import FILES_OPTIONS, store_from
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import describe_restore, restore_files
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def _wanted_set(folder: str, manifest: dict, check_mode: bool) -> BackupSet:
    if folder:
        return read_set(folder)
    if not (manifest and check_mode):
        raise BadInput("No backup set is named", next_step="give set_folder; set_manifest alone is enough for check mode only")
    return BackupSet(manifest["id"], manifest, is_here=False)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **FILES_OPTIONS,
            "set_folder": {"type": "path"},
            "set_manifest": {"type": "dict", "default": {}},
            "replace": {"type": "bool", "default": True},
            "from_other_server": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("paths", "volume")],
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        one = _wanted_set(options["set_folder"], options["set_manifest"], module.check_mode)
        store = store_from(options, str(one.manifest.get("store", "")))
        request = FilesRestore(store, one, options["replace"], options["from_other_server"])
        return describe_restore(request) if module.check_mode else restore_files(request)

    conclude(module, operation)


if __name__ == "__main__":
    main()
