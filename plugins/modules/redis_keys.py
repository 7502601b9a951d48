#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: remove keys of a Redis or Valkey server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_keys
short_description: Remove keys of a Redis or Valkey server
version_added: "0.1.0"
description:
  - V(clear) counts the keys of a pattern first, and removes them by C(SCAN) and C(UNLINK), so few at a time that no other client is held up.
    C(KEYS) is never used.
  - V(flush) empties one database, always after a safety copy, since a Redis server may hold state, not only a cache.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.redis
attributes:
  check_mode:
    support: full
    details: Counts the keys and looks at what the safety copy needs; nothing is removed.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  operation:
    description: Remove the keys of O(pattern), or all of O(database).
    type: str
    choices: [clear, flush]
    required: true
  database:
    description: Number of the database.
    type: int
    required: true
  pattern:
    description: Pattern of the names, as C(SCAN) understands it. One that fits every key is refused.
    type: str
  type:
    description: Type of the values, for example V(string) or V(hash). By default any.
    type: str
    default: ""
  largest_count:
    description: When more keys than these fit, nothing is removed.
    type: int
    default: 1000000
  store:
    description: Name of the store, for the safety copy.
    type: str
    default: ""
  backup_folder:
    description: Where the safety copy goes. Without it V(clear) takes none, and V(flush) is refused.
    type: path
  rdb_file:
    description: The server's RDB file, as it is seen where the server is. By default the server is asked.
    type: path
  run_id:
    description: Run that the safety copy belongs to.
    type: str
    default: ""
seealso:
  - module: sre.runbooks.redis_keys_info
"""

EXAMPLES = r"""
- name: Clear the answers that are kept
  sre.runbooks.redis_keys:
    port: 16379
    password: "{{ cache_password }}"
    operation: clear
    database: 0
    pattern: "cache:*"
    largest_count: 50000
"""

RETURN = r"""
matching:
  description: Keys that fit before.
  returned: success
  type: int
removed:
  description: Keys that were removed.
  returned: success, not in check mode
  type: int
left:
  description: Keys that fit afterwards; they came meanwhile.
  returned: when keys were removed
  type: int
duration_s:
  description: Time that the removal took, in seconds.
  returned: when keys were removed
  type: float
longest_command_ms:
  description: The longest that one command took, in milliseconds, as seen from here.
  returned: when keys were removed
  type: float
backup_set:
  description: The safety copy.
  returned: when one was taken
  type: dict
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.redis.backup import BackupRequest
from ansible_collections.sre.runbooks.plugins.module_utils.redis.keys import KeysRequest, clear, flush
from ansible_collections.sre.runbooks.plugins.module_utils.redis.options import CONNECTION_OPTIONS, server_from


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "operation": {"type": "str", "choices": ["clear", "flush"], "required": True},
            "database": {"type": "int", "required": True},
            "pattern": {"type": "str", "no_log": False},
            "type": {"type": "str", "default": ""},
            "largest_count": {"type": "int", "default": 1_000_000},
            "store": {"type": "str", "default": ""},
            "backup_folder": {"type": "path"},
            "rdb_file": {"type": "path"},
            "run_id": {"type": "str", "default": ""},
        },
        required_if=[("operation", "clear", ["pattern"]), ("operation", "flush", ["backup_folder", "store"])],
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        server, folder = server_from(options), options["backup_folder"]
        request = KeysRequest(server, options["database"], options["pattern"] or "*", options["type"], options["largest_count"])
        store, path = options["store"] or "redis", options["rdb_file"] or ""
        copy = BackupRequest(server, store, folder, rdb_file=path, run_id=options["run_id"]) if folder else None
        if options["operation"] == "flush" and copy:
            return flush(request, copy, dry_run=module.check_mode)
        return clear(request, copy, dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
