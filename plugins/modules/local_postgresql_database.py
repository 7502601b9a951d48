#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: a database of a person's own stack."""

from __future__ import annotations

DOCUMENTATION = r"""
module: local_postgresql_database
short_description: Make, fill or drop a database of a stack on this host
version_added: "0.1.0"
description:
  - Makes a database with its owner and runs SQL scripts in it, each in one transaction; or drops it, clients and all.
  - Meant for stacks on a person's own machine and for drills. A restore never goes through it, see M(sre.runbooks.pg_restore).
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A script without O(scripts[].unless) is run every time.
options:
  name:
    description: The database.
    type: str
    required: true
  state:
    description: Whether it shall exist.
    type: str
    choices: [present, absent]
    default: present
  owner:
    description: Role that owns it when it is made; made with O(owner_password) when it is missing.
    type: str
    default: ""
  owner_password:
    description: Password of O(owner). Set anew when the owner cannot log in with it.
    type: str
    default: ""
  scripts:
    description: SQL scripts to run in it, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      file:
        description: Path of the script on the host.
        type: path
        required: true
      role:
        description: Role to run it as.
        type: str
        default: ""
      unless:
        description: Query that says, by returning a row, that the script need not be run.
        type: str
        default: ""
      variables:
        description: C(psql) variables for it. They are seen on its command line.
        type: dict
        default: {}
"""

EXAMPLES = r"""
- name: Make the application's database
  sre.runbooks.local_postgresql_database:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    name: reference
    owner: reference_app
    owner_password: "{{ application_password }}"
    scripts:
      - file: /home/me/service/schema.sql
        role: reference_app
        unless: SELECT 1 FROM pg_class WHERE relname = 'cases'
"""

RETURN = r"""
done:
  description: What was, or in check mode would be, done.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, connection_from
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.provision import Script, Wanted, drop, provide
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.server_info import guard_identity, server_info

SCRIPT_OPTIONS = {
    "file": {"type": "path", "required": True},
    "role": {"type": "str", "default": ""},
    "unless": {"type": "str", "default": ""},
    "variables": {"type": "dict", "default": {}},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "owner": {"type": "str", "default": ""},
            "owner_password": {"type": "str", "default": "", "no_log": True},
            "scripts": {"type": "list", "elements": "dict", "default": [], "options": SCRIPT_OPTIONS},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> t.Dict[str, t.Any]:
        connection = connection_from(options)
        guard_identity(server_info(connection), options["system_identifier"], connection)
        if options["state"] == "absent":
            done = drop(connection, options["name"], dry_run=module.check_mode)
        else:
            scripts = [Script(**script) for script in options["scripts"]]
            wanted = Wanted(options["name"], options["owner"], options["owner_password"], scripts)
            done = provide(connection, wanted, dry_run=module.check_mode)
        return {"changed": bool(done), "done": done}

    conclude(module, operation)


if __name__ == "__main__":
    main()
