#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: remove the collections that earlier restores replaced."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qdrant_restore_prune
short_description: Remove the Qdrant collections that earlier restores replaced
version_added: "0.1.0"
description:
  - Removes the collections and backup sets that restores and their undoing kept, but for those of the newest, and the collections and
    snapshots that killed runs left on the server. Only what bears the names that restores give is looked at.
  - A collection that serves under another alias is never removed.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.qdrant
attributes:
  check_mode:
    support: full
    details: Tells what would go.
  diff_mode:
    support: full
  idempotent:
    support: full
    details: Nothing is changed when there is nothing to remove.
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
  keep:
    description: What so many of the newest restores replaced stays.
    type: int
    default: 1
seealso:
  - module: sre.runbooks.qdrant_restore_undo
"""

EXAMPLES = r"""
- name: Keep what the last restore replaced and nothing older
  sre.runbooks.qdrant_restore_prune:
    url: http://127.0.0.1:6333
    api_key: "{{ qdrant_api_key }}"
    store: vectors
    backup_folder: /var/backups/sre-runbooks
    keep: 1
"""

RETURN = r"""
dropped:
  description: What went, the newest first.
  returned: success
  type: list
  elements: str
kept:
  description: What stays, the newest first.
  returned: success
  type: list
  elements: str
leftovers:
  description: Collections and snapshots of killed runs that went.
  returned: success
  type: list
  elements: str
freed_bytes:
  description: Size of the backup sets that went, in bytes. Qdrant does not tell the size of collections.
  returned: success
  type: int
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.options import CONNECTION_OPTIONS, server_from
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.replaced import prune


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "store": {"type": "str", "required": True},
            "backup_folder": {"type": "path", "required": True},
            "collections": {"type": "list", "elements": "str", "default": []},
            "keep": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        return prune(
            server_from(options),
            options["store"],
            options["backup_folder"],
            options["keep"],
            collections=options["collections"],
            expected_peer_id=options["peer_id"],
            dry_run=module.check_mode,
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
