#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: note which backup sets belong together."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_service_set
short_description: Note which backup sets of a service belong together
version_added: "0.1.0"
description:
  - Each store has a backup set of its own. This module writes down, in C(services/) of the backup folder and with a checksum, which of
    them were taken together, whose moment they show, what was held meanwhile, and which stores failed.
  - The record is C(consistent) when writes were held before the first set's moment and until after the last one's.
  - M(sre.runbooks.backup_set_info) lists the records.
  - With O(offsite) the record is copied there too.
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
    support: none
    details: Each backup of a service has a record of its own.
options:
  backup_folder:
    description: Folder of the backup sets on this host.
    type: path
    required: true
  service:
    description: Name of the service.
    type: str
    required: true
  members:
    description:
      - For each store that was backed up C(store), C(kind), C(method), C(set), C(host), C(consistent_at) and C(size_bytes), and C(elsewhere)
        when the set lies on another host than this record.
    type: list
    elements: dict
    default: []
  failures:
    description: For each store that was not, C(store) and C(why).
    type: list
    elements: dict
    default: []
  held:
    description: Names of what was held meanwhile.
    type: list
    elements: str
    default: []
  held_at:
    description: When it was held, UTC ISO 8601.
    type: str
    default: ""
  released_at:
    description: When it was released, UTC ISO 8601.
    type: str
    default: ""
  run_id:
    description: Run that this belongs to.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Note which sets belong together
  sre.runbooks.backup_service_set:
    backup_folder: /var/backups/sre-runbooks
    service: paralegal
    members:
      - store: paralegal_prod
        kind: postgresql
        method: logical
        set: 20261121T020000Z-paralegal_prod-logical-1f3a
        host: db1
        consistent_at: "2026-11-21T02:00:00Z"
        size_bytes: 1048576
"""

RETURN = r"""
service_set:
  description: The record, with its C(path).
  returned: success
  type: dict
  contains:
    id:
      description: Its name.
      type: str
    complete:
      description: Whether all stores were backed up.
      type: bool
    consistent:
      description: Whether all sets show the same moment.
      type: bool
    consistent_at:
      description: The moment that they show, or the last one when they show several; UTC ISO 8601.
      type: str
    spread_s:
      description: Seconds between the first set's moment and the last one's.
      type: float
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import note_service_set
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import OFFSITE_OPTION, object_store_from
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.service_sets import describe
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "backup_folder": {"type": "path", "required": True},
            "service": {"type": "str", "required": True},
            "members": {"type": "list", "elements": "dict", "default": []},
            "failures": {"type": "list", "elements": "dict", "default": []},
            "held": {"type": "list", "elements": "str", "default": []},
            "held_at": {"type": "str", "default": ""},
            "released_at": {"type": "str", "default": ""},
            "run_id": {"type": "str", "default": ""},
            "offsite": OFFSITE_OPTION,
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> t.Dict[str, t.Any]:
        record = describe(
            options["service"],
            options["members"],
            options["failures"],
            held=options["held"],
            held_at=options["held_at"],
            released_at=options["released_at"],
            run_id=options["run_id"],
        )
        store = object_store_from(options["offsite"])
        return note_service_set(options["backup_folder"], record, store, dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
