#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: list backup sets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set_info
short_description: List backup sets and how far each is proven
version_added: "0.1.0"
description:
  - Lists the finished backup sets of a folder, and with O(offsite) the copies there, the newest first. Manifests are read, files are not.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.offsite
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  idempotent:
    support: full
options:
  backup_folder:
    description: Folder of the backup sets on this host.
    type: path
    required: true
  store:
    description: Only sets of this store.
    type: str
    default: ""
  method:
    description: Only sets of this method, for example V(logical) or V(physical).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: List the sets of the reference database
  sre.runbooks.backup_set_info:
    backup_folder: /var/backups/sre-runbooks
    store: reference
"""

RETURN = r"""
backup_sets:
  description: The sets, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Name of the set.
      type: str
    state:
      description: V(written), V(verified), V(proven) or V(failed).
      type: str
    size_bytes:
      description: Size in bytes.
      type: int
    consistent_at:
      description: The moment whose state it holds, UTC ISO 8601.
      type: str
    damage:
      description: What is wrong with its manifest or proofs.
      type: list
      elements: str
service_sets:
  description: Which sets were taken together, the newest first, as M(sre.runbooks.backup_service_set) wrote it down, whatever their stores.
  returned: success
  type: list
  elements: dict
offsite_sets:
  description: The copies off-site, as RV(backup_sets), without a folder.
  returned: with O(offsite)
  type: list
  elements: dict
offsite_service_sets:
  description: Which sets were taken together, as it is written down off-site.
  returned: with O(offsite)
  type: list
  elements: dict
total_bytes:
  description: Size of all of them, in bytes.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import information
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import OFFSITE_OPTION, object_store_from
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "backup_folder": {"type": "path", "required": True},
            "store": {"type": "str", "default": ""},
            "method": {"type": "str", "default": ""},
            "offsite": OFFSITE_OPTION,
        },
        supports_check_mode=True,
    )
    options = module.params
    wanted = Wanted(store=options["store"], method=options["method"])
    conclude(module, lambda: information(options["backup_folder"], wanted, object_store_from(options["offsite"])))


if __name__ == "__main__":
    main()
