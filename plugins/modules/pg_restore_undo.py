#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: put the database that a restore replaced back into its place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_undo
short_description: Put back the database that a restore replaced
version_added: "0.1.0"
description:
  - Lets the newest C(<name>_before_<time>), or the one named, change places with the database in use, by one transaction of renames.
  - The database that was in use is kept as C(<name>_undone_<time>).
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
  - sre.runbooks.postgresql_data_folder
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run goes back by one restore; without a replaced database it fails.
options:
  database:
    description: Name of the database in use.
    type: str
    required: true
  method:
    description: Whether the restore to undo replaced a database, or the server's data folder.
    type: str
    choices: [logical, physical]
    default: logical
  replaced:
    description: Which replaced database, or data folder, to put back. By default the newest.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Undo the last restore of the reference database
  sre.runbooks.pg_restore_undo:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    database: reference
"""

RETURN = r"""
put_back:
  description: The replaced database that serves again.
  returned: success
  type: str
kept_as:
  description: Name under which the database that served until now is kept; empty when there was none.
  returned: success
  type: str
cut_off_s:
  description: Time for which clients could not work, in seconds.
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
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import (
    CONNECTION_OPTIONS,
    DATA_FOLDER_OPTIONS,
    connection_from,
    service_from,
)
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import undo_folder
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.undo import undo


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **DATA_FOLDER_OPTIONS,
            "database": {"type": "str", "required": True},
            "method": {"type": "str", "choices": ["logical", "physical"], "default": "logical"},
            "replaced": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        if options["method"] == "physical":
            return undo_folder(service_from(options), options["replaced"], dry_run=module.check_mode)
        return undo(
            connection_from(options),
            options["database"],
            replaced=options["replaced"],
            expected_identifier=options["system_identifier"],
            dry_run=module.check_mode,
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
