# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out one operation on files in a process of its own, so that a test can kill it. Arguments: a JSON file (see operation.py)."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import FilesStore
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import restore_files
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore


def carry_out(wanted: dict[str, t.Any]) -> object:
    """The operation that `wanted` describes."""
    store = FilesStore("files", tuple(wanted["paths"]))
    if wanted["operation"] == "backup":
        return back_up(FilesBackup(store, wanted["backup_folder"]))
    return restore_files(FilesRestore(store, read_set(wanted["set_folder"])))


def main() -> int:
    """Entry point."""
    wanted = json.loads(Path(sys.argv[1]).read_text())
    os.close(wanted["began_fd"])
    try:
        print(json.dumps(carry_out(wanted), default=str))
    except RunbookError as error:
        print(json.dumps({"kind": error.kind, "message": error.message}))
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
