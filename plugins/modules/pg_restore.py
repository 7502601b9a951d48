#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: restore a database from a backup set and put it in its place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore
short_description: Restore a PostgreSQL database from a backup set
version_added: "0.1.0"
description:
  - Restores a logical set into a new database beside the live one, compares it with the set's manifest, and lets it take the live
    one's place by one transaction of renames.
  - Restores a physical set into a new data folder beside the live one, lets C(pg_verifybackup) check every file, starts it once by itself, and
    lets it take the live one's place while the server is stopped for a moment.
  - Clients are cut off for a fraction of a second. The replaced database, or data folder, is kept as C(<name>_before_<time>).
  - A failure at any moment leaves the live database serving; what a killed run leaves behind is dropped by the next.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.restored_set
  - sre.runbooks.postgresql
  - sre.runbooks.postgresql_data_folder
options:
  database:
    description: Name of the database to restore.
    type: str
    required: true
  from_other_server:
    description: Whether the set may come from a server with another system identifier.
    type: bool
    default: false
  jobs:
    description: Parallel jobs; V(0) for as many as there are processors, at most 8.
    type: int
    default: 0
  toast_compression:
    description:
      - How the restored database stores long values (TOAST). V(auto) takes lz4 where the server was built with it, which restores documents
        much faster; columns with a method of their own keep it. V(server) leaves it to the server's default.
      - What the values hold is the same either way.
    type: str
    choices: [auto, server]
    default: auto
  analyze:
    description: Whether to gather planner statistics once the database serves.
    type: bool
    default: true
seealso:
  - module: sre.runbooks.pg_restore_undo
  - module: sre.runbooks.pg_restore_drill
"""

EXAMPLES = r"""
- name: Restore the reference database
  sre.runbooks.pg_restore:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    database: reference
    set_folder: /var/backups/sre-runbooks/20261121T020000Z-reference-logical-1f3a
"""

RETURN = r"""
database:
  description: The restored database.
  returned: success
  type: str
kept_as:
  description: Name under which the replaced database is kept; empty when there was none.
  returned: success
  type: str
cut_off_s:
  description: Time for which clients could not work during the swap, in seconds.
  returned: success, not in check mode
  type: float
serving_after_s:
  description: Time from the start of the module until the restored database served, in seconds.
  returned: success, not in check mode
  type: float
serving_at:
  description: The moment at which the restored database served, in seconds since 1970-01-01 UTC.
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
  description: What else the reader should know, in sentences, for example that planner statistics could not be gathered.
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
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import (
    CONNECTION_OPTIONS,
    DATA_FOLDER_OPTIONS,
    connection_from,
    service_from,
)
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore import RestoreRequest, describe_restore, restore_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import FolderRequest, describe_folder, restore_folder


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **DATA_FOLDER_OPTIONS,
            "database": {"type": "str", "required": True},
            **RESTORED_SET_OPTIONS,
            "from_other_server": {"type": "bool", "default": False},
            "jobs": {"type": "int", "default": 0},
            "toast_compression": {"type": "str", "choices": ["auto", "server"], "default": "auto"},
            "analyze": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        one = restored_set_from(options, module.check_mode)
        if one.manifest.get("method") == "physical":
            folder_request = FolderRequest(service_from(options), one, options["system_identifier"], options["from_other_server"])
            return describe_folder(folder_request) if module.check_mode else restore_folder(folder_request)
        request = RestoreRequest(
            connection=connection_from(options),
            database=options["database"],
            backup_set=one,
            jobs=options["jobs"],
            expected_identifier=options["system_identifier"],
            from_other_server=options["from_other_server"],
            analyze=options["analyze"],
            toast_compression=options["toast_compression"],
        )
        return describe_restore(request) if module.check_mode else restore_logically(request)

    conclude(module, operation)


if __name__ == "__main__":
    main()
