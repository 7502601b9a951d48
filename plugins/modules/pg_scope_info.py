#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: how far a live database is from a backup set."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_scope_info
short_description: Tell which tables of a live PostgreSQL database differ from a backup set
version_added: "0.1.0"
description:
  - Counts and hashes every table of the live database and compares it with the manifest of a logical backup set. A table that cannot be
    read does not keep the others from being read.
  - Tables that are missing, cannot be read or have fewer rows are suspect. Rows that were added or changed say nothing by themselves,
    because the service went on after the backup.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  idempotent:
    support: full
options:
  database:
    description: The live database.
    type: str
    required: true
  set_folder:
    description: Folder of the backup set; M(sre.runbooks.backup_set_select) finds the best one.
    type: path
  set_manifest:
    description: Manifest of a set that is not here, as M(sre.runbooks.backup_set_select) gives it in check mode.
    type: dict
    default: {}
  table_timeout_s:
    description: Seconds that one table may take, after which it counts as unreadable; 0 for no limit.
    type: float
    default: 0
seealso:
  - module: sre.runbooks.pg_fingerprint_info
  - module: sre.runbooks.backup_set_select
"""

EXAMPLES = r"""
- name: Find out which tables were hit
  sre.runbooks.pg_scope_info:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    database: reference
    set_folder: "{{ selected.set_folder }}"
  register: scope
"""

RETURN = r"""
tables:
  description:
    - Every table with C(label), C(rows_before), C(rows_now), C(problem) and C(state), the worst first. The state is V(unreadable),
      V(missing), V(fewer rows), V(changed), V(grown), V(new) or V(same).
  returned: success
  type: list
  elements: dict
counts:
  description: How many tables are in which state.
  returned: success
  type: dict
suspect:
  description: Tables that are missing, unreadable, or have fewer rows.
  returned: success
  type: list
  elements: str
summary:
  description: What was found, in a sentence.
  returned: success
  type: str
lines:
  description: A line for each table that differs, the worst first.
  returned: success
  type: list
  elements: str
notes:
  description: What was not compared.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, connection_from
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.scope import information


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "database": {"type": "str", "required": True},
            "set_folder": {"type": "path"},
            "set_manifest": {"type": "dict", "default": {}},
            "table_timeout_s": {"type": "float", "default": 0.0},
        },
        supports_check_mode=True,
    )
    conclude(module, lambda: information(connection_from(module.params), module.params))


if __name__ == "__main__":
    main()
