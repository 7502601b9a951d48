#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: copy a backup set off-site."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set_offsite
short_description: Copy a backup set to an object store
version_added: "0.1.0"
description:
  - Copies a set with C(rclone), compares the checksums there, and uploads the manifest last. A copy without a manifest is an interrupted
    upload, which no restore takes and the next run completes.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.offsite
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  offsite:
    required: true
  backup_folder:
    description: Folder of the backup sets on this host.
    type: path
    required: true
  set:
    description: Name of the set.
    type: str
    required: true
  download_check:
    description: Whether to compare by reading everything back, instead of by the checksums that the object store keeps.
    type: bool
    default: false
  only_proofs:
    description: Whether only to bring what has been proven of the set since to the copy that is there. Does nothing where there is none.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Copy a set off-site
  sre.runbooks.backup_set_offsite:
    backup_folder: /var/backups/sre-runbooks
    set: 20261121T020000Z-reference-logical-1f3a
    offsite:
      endpoint: https://s3.example.com
      bucket: backups
      access_key: "{{ offsite_access_key }}"
      secret_key: "{{ offsite_secret_key }}"
"""

RETURN = r"""
location:
  description: Where the copy is.
  returned: success
  type: str
bytes:
  description: Size of what was copied, in bytes; 0 when the copy was there already.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import upload_proof
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import copy_offsite, open_set
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import OFFSITE_OPTION, object_store_from
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "backup_folder": {"type": "path", "required": True},
            "set": {"type": "str", "required": True},
            "offsite": {**OFFSITE_OPTION, "required": True},
            "download_check": {"type": "bool", "default": False},
            "only_proofs": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        store = object_store_from(options["offsite"])
        one = open_set(options["backup_folder"], options["set"])
        if options["only_proofs"]:
            return upload_proof(store, one, dry_run=module.check_mode)
        return copy_offsite(store, one, download_check=options["download_check"], dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
