#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: take a backup set of a Qdrant server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qdrant_backup
short_description: Take a backup set of a Qdrant server
version_added: "0.1.0"
description:
  - Lets the server make a snapshot of each collection, or one of the whole storage, brings it off the server, compares its SHA-256 with the
    one that the server tells, and removes it from the server.
  - The manifest holds the configuration, the payload indexes, the aliases and the exact number of points of each collection, and a digest of
    the first points, taken before and after the snapshot. A restore is compared by them.
  - The set is written under a temporary name, synchronised to disk and then renamed. What a killed run left, here or on the server, is
    removed by the next; snapshots that others made are never touched.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.qdrant
attributes:
  check_mode:
    support: full
    details: Looks at everything that could stop the backup, and tells what would be done.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run takes a new set.
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
    description: Collections to back up, by name or by an alias that the service uses. Empty for all.
    type: list
    elements: str
    default: []
  full_storage:
    description:
      - Whether to take one snapshot of the whole storage instead of one of each collection. It needs room for all collections at once on the
        server. Excludes O(collections).
    type: bool
    default: false
  sample_points:
    description: So many points of each collection, the first by id, are read with payload and vectors for the comparison; V(-1) for all.
    type: int
    default: 1000
  run_id:
    description: Run that this belongs to.
    type: str
    default: ""
seealso:
  - module: sre.runbooks.qdrant_restore
  - module: sre.runbooks.qdrant_restore_drill
"""

EXAMPLES = r"""
- name: Back up the collection of the statutes
  sre.runbooks.qdrant_backup:
    url: http://127.0.0.1:6333
    api_key: "{{ qdrant_api_key }}"
    store: vectors
    collections: [statutes_prod]
    backup_folder: /var/backups/sre-runbooks
"""

RETURN = r"""
backup_set:
  description: The new set.
  returned: success, not in check mode
  type: dict
  contains:
    id:
      description: Its name.
      type: str
    folder:
      description: Where it is.
      type: str
    state:
      description: How far it is proven, V(written) for a new set.
      type: str
    size_bytes:
      description: Sum of the sizes of its files, in bytes.
      type: int
    consistent_at:
      description: The moment before which all that was written is in it, UTC ISO 8601.
      type: str
duration_s:
  description: Time that the backup took, in seconds.
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

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.backup import BackupRequest, back_up, describe
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.options import CONNECTION_OPTIONS, server_from


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "store": {"type": "str", "required": True},
            "backup_folder": {"type": "path", "required": True},
            "collections": {"type": "list", "elements": "str", "default": []},
            "full_storage": {"type": "bool", "default": False},
            "sample_points": {"type": "int", "default": 1000},
            "run_id": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        request = BackupRequest(
            server=server_from(options),
            store=options["store"],
            backup_folder=options["backup_folder"],
            collections=options["collections"],
            full_storage=options["full_storage"],
            sample_points=options["sample_points"],
            expected_peer_id=options["peer_id"],
            run_id=options["run_id"],
        )
        return describe(request) if module.check_mode else back_up(request)

    conclude(module, operation)


if __name__ == "__main__":
    main()
