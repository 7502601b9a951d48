#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: tell which moments a server's archive can give back, and how far it lags behind."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pitr_info
short_description: Tell which moments can be restored
version_added: "0.1.0"
description:
  - Reads the archive of a server, also when the server and its data are lost, and asks the server about its archiving when it answers.
  - The newest moment is read from the archived log itself, the last commit in it, not from the time at which a file arrived.

author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
  - sre.runbooks.postgresql_data_folder
  - sre.runbooks.pitr
attributes:
  check_mode:
    support: full
    details: It only reads.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  verify:
    description:
      - Whether to let pgBackRest read every file of every backup and of the log, and to look for gaps in the log. Fails when something is not
        what was written.
    type: bool
    default: false
seealso:
  - module: sre.runbooks.pitr_restore
"""

EXAMPLES = r"""
- name: See which moments can be restored
  sre.runbooks.pitr_info:
    login_host: 127.0.0.1
    login_password: "{{ postgresql_password }}"
    data_folder: /var/lib/postgresql/15/main
    tool_folder: /usr/lib/postgresql/15/bin
    pitr: {stanza: reference, repository: {path: /var/backups/pgbackrest}}
"""

RETURN = r"""
is_set_up:
  description: Whether there is an archive.
  returned: success, without verify
  type: bool
oldest_restorable_at:
  description: The oldest moment that can be restored, UTC ISO 8601; empty when there is none.
  returned: success, without verify
  type: str
newest_restorable_at:
  description: The newest moment in whole seconds that can be restored, UTC ISO 8601; empty when there is none.
  returned: success, without verify
  type: str
rpo_s:
  description:
    - Seconds of work that would be lost if the server were lost now; null when it cannot be told.
    - Counted from the first commit that is not archived, or, when the server's own log is gone, from the last one that is.
  returned: success, without verify
  type: float
archive_timeout_s:
  description: Seconds after which the server hands a segment to the archive though it is not full; of the profile when it does not answer.
  returned: when there is an archive
  type: int
archive_problem:
  description: Why nothing can be built on the archive, as when archiving has stopped; empty when all is well.
  returned: when there is an archive
  type: str
backups:
  description: The backups, the oldest first.
  returned: success
  type: list
  elements: dict
segments:
  description: How many segments of the log are archived.
  returned: success, with verify
  type: int
problems:
  description: What is wrong; empty, or the module fails.
  returned: with verify
  type: list
  elements: str
missing_segment:
  description: The first log segment that is missing though later ones are there; empty when there is none.
  returned: success, without verify
  type: str
server_answers:
  description: Whether the server could be asked.
  returned: success, without verify
  type: bool
archive_failing:
  description: Whether its last attempt to archive failed.
  returned: when the server answers
  type: bool
last_archived_at:
  description: When a segment was last archived, UTC ISO 8601.
  returned: when the server answers
  type: str
last_failed_at:
  description: When archiving last failed, UTC ISO 8601.
  returned: when the server answers
  type: str
waiting_segments:
  description: Segments that wait to be archived.
  returned: when the server answers
  type: int
unarchived_bytes:
  description: Bytes of the log that are not archived.
  returned: when the server answers
  type: int
notes:
  description: What else the reader should know, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.look import information, verify
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.options import PITR_OPTION, archive_from
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, DATA_FOLDER_OPTIONS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **DATA_FOLDER_OPTIONS,
            "pitr": PITR_OPTION,
            "verify": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        archive = archive_from(options)
        return verify(archive) if options["verify"] else information(archive)

    conclude(module, operation)


if __name__ == "__main__":
    main()
