# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which tool looks at a backup set after its checksums: that of its store."""

from __future__ import annotations

import typing as t

from .backup_set.sets import BackupSet
from .errors import BadInput
from .postgresql.tool_check import tool_problems as postgresql_problems
from .qdrant.archive import tool_problems as qdrant_problems
from .redis.rehearsal import tool_problems as redis_problems


def problems_by_tool(one: BackupSet, tool_folder: str = "") -> t.List[str]:
    """What the tool of a set's store says of it.

    Args:
        one: The set.
        tool_folder: Folder of the tools; empty for the search path.

    Returns:
        One sentence for each problem; empty when all is well, or when the set is of plain files, which have no tool.

    Raises:
        ToolMissing: The tool is not there, or is older than the set.
        BadInput: The set is of a kind that is not known here.
    """
    kind = one.manifest.get("kind")
    if one.manifest.get("method") == kind:
        return []  # sealed of files that something else wrote
    if kind == "postgresql":
        return postgresql_problems(one, tool_folder)
    if kind == "redis":
        return redis_problems(one, tool_folder)
    if kind == "qdrant":
        return qdrant_problems(one)
    if kind in ("files", "volume"):
        return []
    raise BadInput(
        f"Sets of the kind {kind!r} cannot be verified",
        where=one.folder,
        why="no tool is known that reads them",
        next_step="verify it with the version of this collection that made it",
    )
