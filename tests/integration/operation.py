# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out one operation of the library in a process of its own, so that a test can kill it. Arguments: a JSON file.

Prints the result as JSON; ends with 3 and the message as JSON when the operation raised a RunbookError. Where the JSON file names a
descriptor (`began_fd`), it is closed when the operation itself begins: everything is imported by then.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t
from dataclasses import replace
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance import MaintenanceRequest, maintain
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance_plan import Rules
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.model import Archive, Repository
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.restore import restore_to
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.take import take
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.backup import back_up
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.exchange import Service
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore import RestoreRequest, restore_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import FolderRequest, restore_folder
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.swap import swap


def carry_out(wanted: dict[str, t.Any]) -> object:
    """The operation that `wanted` describes."""
    if wanted["operation"].startswith("pitr_"):
        return _pitr(wanted)
    connection = Connection(**{**wanted["connection"], "place": Place(**wanted["connection"]["place"])})
    if wanted["operation"] == "backup":
        return back_up(BackupRequest(connection, wanted["database"], "reference", wanted["backup_folder"]), wanted.get("method", "logical"))
    if wanted["operation"] == "maintain":
        return maintain(MaintenanceRequest(connection, wanted["database"], Rules(waste_bytes=100_000)))
    if wanted["operation"] == "swap":
        return swap(connection, [tuple(pair) for pair in wanted["renames"]])
    one = read_set(wanted["set_folder"])
    if one.manifest.get("method") == "physical":
        return restore_folder(FolderRequest(Service(**wanted["service"]), one))
    return restore_logically(RestoreRequest(replace(connection), wanted["database"], one, analyze=False))


def _pitr(wanted: dict[str, t.Any]) -> object:
    words = dict(wanted["archive"])
    connection = Connection(**{**words.pop("connection"), "place": Place(tool_folder=words["service"]["tool_folder"])})
    archive = Archive(
        service=Service(**words.pop("service")), connection=connection, repository=Repository(**words.pop("repository")), **words
    )
    return take(archive, "full") if wanted["operation"] == "pitr_take" else restore_to(archive, wanted["database"], wanted["restore_time"])


def main() -> int:
    """Entry point."""
    wanted = json.loads(Path(sys.argv[1]).read_text())
    if "began_fd" in wanted:
        os.close(wanted["began_fd"])
    try:
        print(json.dumps(carry_out(wanted), default=str))
    except RunbookError as error:
        print(json.dumps({"kind": error.kind, "message": error.message}))
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
