#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: the fingerprint of a database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_fingerprint_info
short_description: Count and hash every table of a PostgreSQL database
version_added: "0.1.0"
description:
  - Gives the number of rows and the sum of row hashes of every table, under one snapshot. Two databases with the same fingerprint hold the
    same rows; the order of rows does not matter.
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
    description: Database to look at.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Remember what is in the database
  sre.runbooks.pg_fingerprint_info:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    database: reference
  register: before
"""

RETURN = r"""
tables:
  description: For every table its number of rows and the sum of its row hashes; materialised views are only counted.
  returned: success
  type: dict
rows:
  description: Number of rows in all.
  returned: success
  type: int
sequences:
  description: Positions of the sequences.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.fingerprint import information
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, connection_from


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**CONNECTION_OPTIONS, "database": {"type": "str", "required": True}}, supports_check_mode=True)
    options = module.params
    conclude(module, lambda: information(connection_from(options), options["database"], options["system_identifier"]))


if __name__ == "__main__":
    main()
