#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: bring a PostgreSQL server back to a moment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pitr_restore
short_description: Bring a PostgreSQL server back to a moment
version_added: "0.1.0"
description:
  - Restores the newest backup before the moment into a new data folder beside the live one, replays the log up to the moment where nobody can
    reach the server, reads every row of the database, and lets the folder take the live one's place while the server is stopped for a moment.
  - A moment before the oldest backup or after the archived log is refused before anything is done, with what can be had.
  - A live server is first asked to archive what it has; nothing else is asked of it until it is stopped.
  - The replaced data folder is kept as C(<folder>_before_<time>); M(sre.runbooks.pg_restore_undo) with the physical method puts it back.

author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
  - sre.runbooks.postgresql_data_folder
  - sre.runbooks.pitr
attributes:
  check_mode:
    support: full
    details: Looks at everything that could stop the restore, and tells what would be done.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run restores anew.
options:
  restore_time:
    description:
      - The moment, with its zone, for example V(2026-11-21T02:14:00Z) or V(2026-11-21T03:14:00+01:00).
      - V(latest) for all that is archived.
    type: str
    required: true
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
  timeline:
    description: The timeline to follow; V(0) for the live server's own history, or the newest one when that is lost.
    type: int
    default: 0
seealso:
  - module: sre.runbooks.pg_restore_undo
  - module: sre.runbooks.pitr_info
  - module: sre.runbooks.pitr_restore_drill
"""

EXAMPLES = r"""
- name: Bring the server back to the minute before the accident
  sre.runbooks.pitr_restore:
    login_host: 127.0.0.1
    login_password: "{{ postgresql_password }}"
    data_folder: /var/lib/postgresql/15/main
    tool_folder: /usr/lib/postgresql/15/bin
    pitr: {stanza: reference, repository: {path: /var/backups/pgbackrest}}
    database: reference
    restore_time: "2026-11-21T02:14:00Z"
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
kept_as:
  description: Name under which the replaced data folder is kept; empty when there was none.
  returned: success
  type: str
cut_off_s:
  description: Time for which clients could not work, in seconds.
  returned: success, not in check mode
  type: float
serving_after_s:
  description: Time from the start of the module until the restored server served, in seconds.
  returned: success, not in check mode
  type: float
serving_at:
  description: The moment at which the restored server served, in seconds since 1970-01-01 UTC.
  returned: success, not in check mode
  type: float
database:
  description: The database that was read.
  returned: success, not in check mode
  type: str
notes:
  description: What else the reader should know, in sentences.
  returned: success
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
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.options import PITR_OPTION, archive_from
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.restore import describe_restore, restore_to
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, DATA_FOLDER_OPTIONS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **DATA_FOLDER_OPTIONS,
            "pitr": PITR_OPTION,
            "restore_time": {"type": "str", "required": True},
            "database": {"type": "str", "required": True},
            "replay_timeout_s": {"type": "int", "default": 3600},
            "jobs": {"type": "int", "default": 2},
            "timeline": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        archive = archive_from(options)
        if module.check_mode:
            return describe_restore(archive, options["restore_time"], options["timeline"])
        return restore_to(
            archive,
            options["database"],
            options["restore_time"],
            timeline=options["timeline"],
            replay_timeout_s=options["replay_timeout_s"],
            jobs=options["jobs"],
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
