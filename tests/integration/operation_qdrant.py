# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out one operation on a Qdrant server in a process of its own, so that a test can kill it, as operation.py does for PostgreSQL."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.backup import BackupRequest, back_up
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.http import Http
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.restore import RestoreRequest, restore
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.server import Server


def carry_out(wanted: dict[str, t.Any]) -> object:
    """The operation that `wanted` describes."""
    server, folder = Server(Http(wanted["url"], wanted["api_key"])), wanted["backup_folder"]
    if wanted["operation"] == "backup":
        return back_up(BackupRequest(server, "vectors", folder, wanted["collections"], full_storage=wanted.get("full_storage", False)))
    return restore(RestoreRequest(server, "vectors", read_set(wanted["set_folder"]), folder))


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
