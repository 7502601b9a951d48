#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: take a backup set of a PostgreSQL database or server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup
short_description: Take a backup set of a PostgreSQL database or server
version_added: "0.1.0"
description:
  - Takes a new backup set, one folder with the dump, the global objects and C(manifest.json).
  - The manifest holds a SHA-256 of every file, taken while it was written, and for the logical method a fingerprint of every table
    (rows and row hashes) under the very snapshot of the dump, by which a restore is compared later.
  - The set is written under a temporary name, synchronised to disk and then renamed; what a killed run left half written is
    removed by the next.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
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
  database:
    description: Database to back up. For the physical method the one to be connected to; the whole server is copied.
    type: str
    required: true
  store:
    description: Name of the store in the profile; by default the database's.
    type: str
  backup_folder:
    description: Folder of the backup sets on this host.
    type: path
    required: true
  method:
    description:
      - V(logical) dumps one database with C(pg_dump).
      - V(physical) copies the whole server with C(pg_basebackup).
      - V(incremental) copies only what changed since the newest physical set of the store, and is restored together with it (PostgreSQL 17 and
        newer, with C(summarize_wal) on). Where that cannot be it copies all, and says why.
    type: str
    choices: [logical, physical, incremental]
    default: logical
  compression:
    description:
      - In the words of the tool, for example V(zstd:3), V(lz4), V(gzip:6), V(none).
      - V(auto) takes zstd level 1 where client and server can, gzip level 1 otherwise.
    type: str
    default: auto
  jobs:
    description: Parallel jobs; V(0) for as many as there are processors, at most 8.
    type: int
    default: 0
  role_passwords:
    description: Whether C(globals.sql) holds the roles' password hashes. Needs a superuser.
    type: bool
    default: false
  run_id:
    description: Run that the set belongs to.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Take a logical backup of the reference database
  sre.runbooks.pg_backup:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    database: reference
    backup_folder: /var/backups/sre-runbooks

- name: Copy the whole server through its container
  sre.runbooks.pg_backup:
    container: paralegal-postgres
    login_user: paralegal_user
    database: paralegal_prod
    method: physical
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
      description: The moment whose state it holds, UTC ISO 8601.
      type: str
duration_s:
  description: Time that the backup took, in seconds.
  returned: success, not in check mode
  type: float
notes:
  description: What else the reader should know, such as why a full set was taken.
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
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.backup import back_up, describe
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, connection_from


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "database": {"type": "str", "required": True},
            "store": {"type": "str"},
            "backup_folder": {"type": "path", "required": True},
            "method": {"type": "str", "choices": ["logical", "physical", "incremental"], "default": "logical"},
            "compression": {"type": "str", "default": "auto"},
            "jobs": {"type": "int", "default": 0},
            "role_passwords": {"type": "bool", "default": False, "no_log": False},
            "run_id": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        request = BackupRequest(
            connection=connection_from(options),
            database=options["database"],
            store=options["store"] or options["database"],
            backup_folder=options["backup_folder"],
            compression=options["compression"],
            jobs=options["jobs"],
            role_passwords=options["role_passwords"],
            expected_identifier=options["system_identifier"],
            run_id=options["run_id"],
        )
        return describe(request, options["method"]) if module.check_mode else back_up(request, options["method"])

    conclude(module, operation)


if __name__ == "__main__":
    main()
