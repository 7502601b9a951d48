#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: find the backup set to restore."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set_select
short_description: Find the backup set to restore
version_added: "0.1.0"
description:
  - Takes the newest proven set, else the newest verified one, else the newest one whose checksums are right, and says why.
  - Every candidate's files are read and compared with its manifest before it is taken. A damaged set is marked as failed and passed over.
  - Where no set on this host will do, the newest off-site copy is fetched and checked.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.offsite
attributes:
  check_mode:
    support: full
    details: Nothing is fetched and no set is marked.
  diff_mode:
    support: none
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
    description: Only sets of this method.
    type: str
    default: ""
  set:
    description: Take this set and no other. Or, as V(before 2026-11-20T12:00:00Z), none that shows its store at that moment (UTC) or later.
    type: str
    default: ""
  prefer:
    description: V(proven) takes the most trusted set; V(newest) takes the newest one, for rehearsals.
    type: str
    choices: [proven, newest]
    default: proven
  system_identifier:
    description: Only sets from the PostgreSQL server with this system identifier.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Find the best set of the reference database
  sre.runbooks.backup_set_select:
    backup_folder: /var/backups/sre-runbooks
    store: reference
    method: logical
"""

RETURN = r"""
set_id:
  description: Name of the set.
  returned: success
  type: str
set_folder:
  description: Where it is; empty in check mode when it would have to be fetched.
  returned: success
  type: str
set_manifest:
  description: Its manifest, for a rehearsal of what comes next.
  returned: in check mode, when it would have to be fetched
  type: dict
location:
  description: Where it was found.
  returned: success
  type: str
  sample: here
reason:
  description: Why this one.
  returned: success
  type: str
passed_over:
  description: Sets that were not taken, each with the reason.
  returned: success
  type: list
  elements: str
backup_set:
  description: The set, its state and its proofs.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted, named
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import select
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import OFFSITE_OPTION, object_store_from
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "backup_folder": {"type": "path", "required": True},
            "store": {"type": "str", "default": ""},
            "method": {"type": "str", "default": ""},
            "set": {"type": "str", "default": ""},
            "prefer": {"type": "str", "choices": ["proven", "newest"], "default": "proven"},
            "system_identifier": {"type": "str", "default": ""},
            "offsite": OFFSITE_OPTION,
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        kind = {name: options[name] for name in ("store", "method", "system_identifier")}
        wanted = Wanted(**kind, newest=options["prefer"] == "newest", **named(options["set"]))
        return select(options["backup_folder"], wanted, object_store_from(options["offsite"]), dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
