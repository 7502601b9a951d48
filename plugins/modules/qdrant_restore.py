#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: restore collections of a Qdrant server from a backup set."""

from __future__ import annotations

DOCUMENTATION = r"""
module: qdrant_restore
short_description: Restore collections of a Qdrant server from a backup set
version_added: "0.1.0"
description:
  - Recovers each collection of the set, with C(priority=snapshot), into a new one beside the live one (C(<name>_restoring_<time>)) and compares
    number of points, configuration, payload indexes and the first points' content with the manifest. Only then the live ones are touched.
  - Where the service knows a collection by an alias, all aliases are moved in one request, and the replaced collection is kept under the
    alias C(<name>_before_<time>).
  - Where the service knows the collection itself, which Qdrant cannot rename, a backup set of it is taken first (store
    C(<store>_before_restore)), then the snapshot is recovered into it and compared again; when that fails, the former content is put back.
  - A failure at any moment leaves the live collections serving; what a killed run leaves behind is removed by the next.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.restored_set
  - sre.runbooks.qdrant
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
    description: Collections of the set to restore. Empty for all that are in it.
    type: list
    elements: str
    default: []
  from_other_server:
    description: Whether the set may come from a server with another peer id. One without any collection takes every set.
    type: bool
    default: false
  run_id:
    description: Run that this belongs to.
    type: str
    default: ""
seealso:
  - module: sre.runbooks.qdrant_restore_undo
  - module: sre.runbooks.qdrant_restore_drill
"""

EXAMPLES = r"""
- name: Restore the collections of a set
  sre.runbooks.qdrant_restore:
    url: http://127.0.0.1:6333
    api_key: "{{ qdrant_api_key }}"
    store: vectors
    backup_folder: /var/backups/sre-runbooks
    set_folder: /var/backups/sre-runbooks/20261121T020000Z-vectors-snapshot-1f3a
"""

RETURN = r"""
collections:
  description: The restored collections, as the service knows them.
  returned: success
  type: list
  elements: str
kept_as:
  description: Aliases and backup sets by which the replaced collections are kept, with commas between them; empty when there were none.
  returned: success
  type: str
cut_off_s:
  description: Time for which clients could not rely on the collections, in seconds.
  returned: success, not in check mode
  type: float
serving_after_s:
  description: Time from the start of the module until all restored collections served, in seconds.
  returned: success, not in check mode
  type: float
serving_at:
  description: The moment at which they served, in seconds since 1970-01-01 UTC.
  returned: success, not in check mode
  type: float
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
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import RESTORED_SET_OPTIONS, restored_set_from
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.options import CONNECTION_OPTIONS, server_from
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.restore import RestoreRequest, describe_restore, restore


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "store": {"type": "str", "required": True},
            **RESTORED_SET_OPTIONS,
            "backup_folder": {"type": "path", "required": True},
            "collections": {"type": "list", "elements": "str", "default": []},
            "from_other_server": {"type": "bool", "default": False},
            "run_id": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        request = RestoreRequest(
            server=server_from(options),
            store=options["store"],
            backup_set=restored_set_from(options, module.check_mode),
            backup_folder=options["backup_folder"],
            collections=options["collections"],
            from_other_server=options["from_other_server"],
            expected_peer_id=options["peer_id"],
            run_id=options["run_id"],
        )
        return describe_restore(request) if module.check_mode else restore(request)

    conclude(module, operation)


if __name__ == "__main__":
    main()
