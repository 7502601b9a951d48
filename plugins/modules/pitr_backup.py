#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: take a physical backup into a server's archive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pitr_backup
short_description: Take a physical backup into a server's archive
version_added: "0.1.0"
description:
  - Takes a full, differential or incremental backup of the whole server with pgBackRest, and lets it remove what no rule keeps.
  - Afterwards writes an empty commit into the server's log and has it archived, so that moments can be told apart on a quiet server too.
  - What a killed run left half done is cleaned up, or resumed, by the next.

author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
  - sre.runbooks.postgresql_data_folder
  - sre.runbooks.pitr
attributes:
  check_mode:
    support: full
    details: Looks at everything that could stop the backup, and tells what would be done.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run takes a new backup.
options:
  type:
    description:
      - V(auto) takes the least that is due by O(full_every_days) and O(differential_every_days).
      - Without a full backup any is full.
    type: str
    choices: [auto, full, differential, incremental]
    default: auto
  full_every_days:
    description: For O(type=auto), days between full backups.
    type: float
    default: 7
  differential_every_days:
    description: For O(type=auto), days between differential backups; V(0) for none.
    type: float
    default: 1
seealso:
  - module: sre.runbooks.pitr_setup
  - module: sre.runbooks.pg_backup
"""

EXAMPLES = r"""
- name: Take the backup that is due
  sre.runbooks.pitr_backup:
    login_host: 127.0.0.1
    login_password: "{{ postgresql_password }}"
    data_folder: /var/lib/postgresql/15/main
    tool_folder: /usr/lib/postgresql/15/bin
    pitr: {stanza: reference, repository: {path: /var/backups/pgbackrest}}
"""

RETURN = r"""
backup:
  description: The new backup.
  returned: success, not in check mode
  type: dict
  contains:
    label:
      description: pgBackRest's name for it.
      type: str
    type:
      description: V(full), V(diff) or V(incr).
      type: str
    started_at:
      description: When it began, UTC ISO 8601.
      type: str
    finished_at:
      description: When it was complete, UTC ISO 8601. Moments after it can be restored from it.
      type: str
    size_bytes:
      description: Size of the server's files, in bytes.
      type: int
    added_bytes:
      description: What it added to the repository, in bytes.
      type: int
    builds_on:
      description: Label of the backup that it builds on; empty for a full one.
      type: str
    timeline:
      description: The server's timeline.
      type: int
    has_page_errors:
      description: Whether pages of the server had wrong checksums.
      type: bool
removed:
  description: Labels of the backups that no rule keeps and that were removed.
  returned: success, not in check mode
  type: list
  elements: str
duration_s:
  description: Time that the backup took, in seconds.
  returned: success, not in check mode
  type: float
size_bytes:
  description: What it added to the repository, in bytes.
  returned: success, not in check mode
  type: int
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
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.take import take
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, DATA_FOLDER_OPTIONS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **DATA_FOLDER_OPTIONS,
            "pitr": PITR_OPTION,
            "type": {"type": "str", "choices": ["auto", "full", "differential", "incremental"], "default": "auto"},
            "full_every_days": {"type": "float", "default": 7},
            "differential_every_days": {"type": "float", "default": 1},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        return take(
            archive_from(options),
            options["type"],
            full_every_days=options["full_every_days"],
            differential_every_days=options["differential_every_days"],
            dry_run=module.check_mode,
        )

    conclude(module, operation)


if __name__ == "__main__":
    main()
