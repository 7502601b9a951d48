# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What PostgreSQL's own means say of a set, beyond the checksums of its files."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ..backup_set.sets import BackupSet
from ..command import Command, Place, run
from ..errors import CommandFailed, ToolMissing


def tool_problems(one: BackupSet, tool_folder: str = "") -> t.List[str]:
    """Let the tool that would restore a set read its table of contents.

    Logical sets: `pg_restore --list` must name every table that the manifest counts. Physical sets: `backup_manifest` must carry its
    own right checksum (manual, 69.1: Manifest-Checksum, SHA-256 over all that precedes its line).

    Returns:
        One sentence for each problem; empty when all is well.

    Raises:
        ToolMissing: pg_restore is not there, or older than the set.
    """
    return _logical(one, tool_folder) if one.manifest["method"] == "logical" else _physical(one)


def _logical(one: BackupSet, tool_folder: str) -> t.List[str]:
    place = Place(tool_folder=tool_folder)
    try:
        listing = run(Command([place.program("pg_restore"), "--list", one.path(one.manifest["dump"]["path"])], place=place)).stdout
    except CommandFailed as error:
        if "unsupported version" in error.why:
            raise ToolMissing(
                "pg_restore is older than the dump",
                where=tool_folder or "the search path of this host",
                why=error.why,
                next_step="install the client programs of the server that was backed up, or name their folder (tool_folder of the store)",
            ) from error
        return [f"pg_restore cannot read the dump: {error.why}"]
    expected = sum(1 for table in one.manifest["fingerprint"]["tables"].values() if table["hash"] is not None)
    found = sum(1 for line in listing.splitlines() if " TABLE DATA " in line)
    return [] if found >= expected else [f"the dump holds the data of {found} tables, the manifest counts {expected}"]


def _physical(one: BackupSet) -> t.List[str]:
    path = one.path("base", "backup_manifest")
    if not os.path.exists(path):
        return []
    with open(path, "rb") as stream:
        text = stream.read()
    start = text.rfind(b'"Manifest-Checksum"')
    if start < 0:
        return ["backup_manifest carries no checksum"]
    found = hashlib.sha256(text[:start]).hexdigest()
    return [] if found.encode() in text[start:] else ["backup_manifest does not have the checksum that it carries"]
