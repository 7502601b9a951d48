#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: put back the collections that a restore replaced."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qdrant_restore_undo
short_description: Put back the Qdrant collections that a restore replaced
version_added: "0.1.0"
description:
  - Leads the aliases back to the collections that a restore replaced, in one request, and recovers the backup set that the restore took
    into the collections that have no alias. All that one restore replaced goes back together.
  - The restored state is kept in its turn, as the alias C(<name>_undone_<time>) or as a set of the store C(<store>_before_restore).
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.qdrant
attributes:
  check_mode:
    support: full
    details: Tells what would be put back.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run changes places anew.
options:
  store:
    description: Name of the store in the profile.
    type: str
    required: true
  backup_folder:
    description: Folder of the backup sets on this host.
    type: path
    required: true
  collections:
    description: The store's collections, as the service knows them. Empty for all.
    type: list
    elements: str
    default: []
  replaced:
    description:
      - What to put back, an alias, the name of a set, or the time at the end of either. By default what the newest restore replaced.
    type: str
    default: ""
  run_id:
    description: Run that this belongs to.
    type: str
    default: ""
seealso:
  - module: sre.runbooks.qdrant_restore
  - module: sre.runbooks.qdrant_restore_prune
"""

EXAMPLES = r"""
- name: Take the last restore back
  sre.runbooks.qdrant_restore_undo:
    url: http://127.0.0.1:6333
    api_key: "{{ qdrant_api_key }}"
    store: vectors
    backup_folder: /var/backups/sre-runbooks
"""

RETURN = r"""
put_back:
  description: What serves again, with commas between several.
  returned: success
  type: str
kept_as:
  description: By what the restored state is kept, with commas between several.
  returned: success
  type: str
cut_off_s:
  description: Time for which clients could not rely on the collections, in seconds.
  returned: success, not in check mode
  type: float
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.options import CONNECTION_OPTIONS, server_from
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.replaced import undo


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "store": {"type": "str", "required": True},
            "backup_folder": {"type": "path", "required": True},
            "collections": {"type": "list", "elements": "str", "default": []},
            "replaced": {"type": "str", "default": ""},
            "run_id": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        return undo(
            server_from(options),
            options["store"],
            options["backup_folder"],
            collections=options["collections"],
            replaced=options["replaced"],
            expected_peer_id=options["peer_id"],
            run_id=options["run_id"],
            dry_run=module.check_mode,
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
