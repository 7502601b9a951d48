#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: take a backup set of a Redis or Valkey server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_backup
short_description: Take a backup set of a Redis or Valkey server
version_added: "0.1.0"
description:
  - Takes a new set that holds the server's data as one RDB file, with its SHA-256 taken while it was written, and the number of keys of
    every database.
  - Either the server saves (C(BGSAVE)) and its file is read once C(rdb_last_bgsave_status) and C(LASTSAVE) say that it is complete, or the
    server sends the file as to a replica. A file that is still being written is never read, nor one of an earlier save.
  - A failure leaves nothing behind; what a killed run leaves is removed by the next.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.redis
attributes:
  check_mode:
    support: full
    details: Looks at everything that could stop the backup.
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
    description: Folder of the sets.
    type: path
    required: true
  method:
    description:
      - V(rdb) lets the server save, and reads its file. V(stream) asks for the data as a replica does, which works over the network.
      - V(auto) takes V(rdb) where the server's file can be read from here, otherwise V(stream).
    type: str
    choices: [auto, rdb, stream]
    default: auto
  rdb_file:
    description: The server's RDB file, as it is seen where the server is. By default the server is asked.
    type: path
  save_timeout_s:
    description: Seconds for the server's save.
    type: int
    default: 3600
  run_id:
    description: Run that the set belongs to.
    type: str
    default: ""
seealso:
  - module: sre.runbooks.redis_restore
"""

EXAMPLES = r"""
- name: Back up the cache
  sre.runbooks.redis_backup:
    host: 127.0.0.1
    port: 16379
    password: "{{ cache_password }}"
    store: cache
    backup_folder: /var/backups/sre-runbooks
"""

RETURN = r"""
backup_set:
  description: The new set, with C(id), C(folder), C(state), C(size_bytes) and its times.
  returned: success, not in check mode
  type: dict
duration_s:
  description: Time that it took, in seconds.
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
from ansible_collections.sre.runbooks.plugins.module_utils.redis.backup import BackupRequest, back_up, describe
from ansible_collections.sre.runbooks.plugins.module_utils.redis.options import CONNECTION_OPTIONS, server_from


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "store": {"type": "str", "required": True},
            "backup_folder": {"type": "path", "required": True},
            "method": {"type": "str", "choices": ["auto", "rdb", "stream"], "default": "auto"},
            "rdb_file": {"type": "path"},
            "save_timeout_s": {"type": "int", "default": 3600},
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
            method=options["method"],
            rdb_file=options["rdb_file"] or "",
            timeout_s=options["save_timeout_s"],
            run_id=options["run_id"],
        )
        return describe(request) if module.check_mode else back_up(request)

    conclude(module, operation)


if __name__ == "__main__":
    main()
