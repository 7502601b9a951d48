#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: rehearse bringing a PostgreSQL server back to a moment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pitr_restore_drill
short_description: Rehearse bringing a server back to a moment
version_added: "0.1.0"
description:
  - Restores the server from its archive into a folder of its own, replays the log where nobody can reach it, reads every row of the database, and
    removes all traces.
  - The live server is only asked to archive what it has.

author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
  - sre.runbooks.postgresql_data_folder
  - sre.runbooks.pitr
attributes:
  check_mode:
    support: full
    details: Looks at everything that could stop it; nothing is restored.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  restore_time:
    description:
      - The moment, with its zone, for example V(2026-11-21T02:14:00Z) or V(2026-11-21T03:14:00+01:00).
      - V(latest) for all that is archived.
    type: str
    default: latest
  database:
    description: Database whose rows are read and counted before anybody can use the restored server.
    type: str
    required: true
  replay_timeout_s:
    description: Seconds for the replay of the log.
    type: int
    default: 3600
  jobs:
    description: Parallel jobs of the reading.
    type: int
    default: 2
  work_folder:
    description: Folder with room for the restored data. By default the one beside the live data.
    type: path
seealso:
  - module: sre.runbooks.pitr_restore
"""

EXAMPLES = r"""
- name: Prove that the archive can be restored
  sre.runbooks.pitr_restore_drill:
    login_host: 127.0.0.1
    login_password: "{{ postgresql_password }}"
    data_folder: /var/lib/postgresql/15/main
    tool_folder: /usr/lib/postgresql/15/bin
    pitr: {stanza: reference, repository: {path: /var/backups/pgbackrest}}
    database: reference
"""

RETURN = r"""
backup:
  description: The backup that was restored, as M(sre.runbooks.pitr_backup) returns it.
  returned: success
  type: dict
restored_to:
  description: Time of the last commit that the restored server holds, UTC ISO 8601.
  returned: success, not in check mode
  type: str
row_counts:
  description: Rows of every table of the database.
  returned: success, not in check mode
  type: dict
comparison:
  description: What was read, and what could not be compared.
  returned: success, not in check mode
  type: dict
durations_s:
  description: Time of each step, in seconds.
  returned: success, not in check mode
  type: dict
restored_after_s:
  description: Time from the start of the module until every row was read, in seconds.
  returned: success, not in check mode
  type: float
notes:
  description: What else the reader should know, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.options import PITR_OPTION, archive_from
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, DATA_FOLDER_OPTIONS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **DATA_FOLDER_OPTIONS,
            "pitr": PITR_OPTION,
            "restore_time": {"type": "str", "default": "latest"},
            "database": {"type": "str", "required": True},
            "replay_timeout_s": {"type": "int", "default": 3600},
            "jobs": {"type": "int", "default": 2},
            "work_folder": {"type": "path"},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        return rehearse(
            archive_from(options),
            options["database"],
            options["restore_time"],
            work_folder=options["work_folder"] or "",
            replay_timeout_s=options["replay_timeout_s"],
            jobs=options["jobs"],
            dry_run=module.check_mode,
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
