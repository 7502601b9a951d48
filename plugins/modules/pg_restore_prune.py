#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: drop what earlier restores replaced and kept."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_prune
short_description: Drop the databases that earlier restores replaced
version_added: "0.1.0"
description:
  - Drops the databases called C(<name>_before_<time>) and C(<name>_undone_<time>), or removes the data folders called so, but for the newest.
  - One that somebody is connected to, or that a server runs in, is an error before anything is dropped.
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
    support: full
options:
  database:
    description: Name of the database in use.
    type: str
    required: true
  method:
    description: Whether the restores replaced databases, or the server's data folder.
    type: str
    choices: [logical, physical]
    default: logical
  keep:
    description: How many replaced ones stay, the newest first.
    type: int
    default: 1
seealso:
  - module: sre.runbooks.pg_restore
  - module: sre.runbooks.pg_restore_undo
"""

EXAMPLES = r"""
- name: Drop what restores of the reference database replaced, but for the newest
  sre.runbooks.pg_restore_prune:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    database: reference
"""

RETURN = r"""
dropped:
  description: The databases, or data folders, that were dropped, the newest first.
  returned: success
  type: list
  elements: str
kept:
  description: Those that stay, the newest first.
  returned: success
  type: list
  elements: str
freed_bytes:
  description: Size of what was dropped, in bytes.
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
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import (
    CONNECTION_OPTIONS,
    DATA_FOLDER_OPTIONS,
    connection_from,
    service_from,
)
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.replaced import prune_databases, prune_folders


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **DATA_FOLDER_OPTIONS,
            "database": {"type": "str", "required": True},
            "method": {"type": "str", "choices": ["logical", "physical"], "default": "logical"},
            "keep": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        if options["method"] == "physical":
            return prune_folders(service_from(options), options["keep"], dry_run=module.check_mode)
        return prune_databases(
            connection_from(options),
            options["database"],
            options["keep"],
            expected_identifier=options["system_identifier"],
            dry_run=module.check_mode,
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
