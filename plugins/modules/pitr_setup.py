#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: make a PostgreSQL server archive its log, so that any moment can be restored."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pitr_setup
short_description: Make a PostgreSQL server archive its log for point in time
version_added: "0.1.0"
description:
  - Writes pgBackRest's configuration, makes the stanza, lets the server archive its log there, and sees that a segment arrives.
  - The server's settings are changed last; when something fails before, it is as it was.
  - Archiving by other means is never replaced unless that is said, nor is the server restarted.

author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
  - sre.runbooks.postgresql_data_folder
  - sre.runbooks.pitr
attributes:
  check_mode:
    support: full
    details: Looks at everything that could stop it, and tells what would be done.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  restart:
    description: Whether the server may be restarted, which switching on C(archive_mode) needs.
    type: bool
    default: false
  replace_archiving:
    description: Whether an C(archive_command) of other means may be replaced.
    type: bool
    default: false
seealso:
  - module: sre.runbooks.pitr_backup
  - module: sre.runbooks.pitr_info
"""

EXAMPLES = r"""
- name: Archive the log of the reference server
  sre.runbooks.pitr_setup:
    login_host: 127.0.0.1
    login_password: "{{ postgresql_password }}"
    data_folder: /var/lib/postgresql/15/main
    tool_folder: /usr/lib/postgresql/15/bin
    pitr: {stanza: reference, repository: {path: /var/backups/pgbackrest}}
    restart: true
"""

RETURN = r"""
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
restarted:
  description: Whether the server was restarted.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.options import PITR_OPTION, archive_from
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.setup import set_up
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, DATA_FOLDER_OPTIONS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **DATA_FOLDER_OPTIONS,
            "pitr": PITR_OPTION,
            "restart": {"type": "bool", "default": False},
            "replace_archiving": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        return set_up(
            archive_from(options),
            restart=options["restart"],
            replace_archiving=options["replace_archiving"],
            dry_run=module.check_mode,
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
