# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What restores of a Redis server replaced and kept in its data folder: putting it back, and removing it."""

from __future__ import annotations

import os
import typing as t
from contextlib import nullcontext

from ..errors import BadInput
from ..files import remove_tree, tree_bytes
from ..restoring.kept import parted, removal, stamp_at_end
from ..restoring.result import told
from .client import Server
from .discovery import Wishes, find
from .exchange import complete_interrupted, exchange_files, nobody_else_in, undone_folder
from .restore import folders_called


def undo(server: Server, wishes: Wishes, replaced: str = "", *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Put the files that a restore replaced back into their place; the restored ones are kept as `undone_<time>`.

    Args:
        server: The server.
        wishes: What the profile says of its files.
        replaced: Which kept folder to put back, its path or its name; empty for the newest `before_<time>`.
        dry_run: Whether only to say what would be done.

    Returns:
        `put_back`, `kept_as`, `plan`, and `cut_off_s` (seconds) unless it was a dry run.

    Raises:
        BadInput: There is none to put back.
    """
    found = find(server, wishes)
    service, folder = found.service, found.service.data_folder
    kept = folders_called(folder, "before")
    wanted = os.path.join(folder, replaced) if replaced else ""
    if not kept or (wanted and wanted not in kept):
        raise BadInput(
            f"No replaced data {replaced or 'of the server'} is kept",
            where=folder,
            why="there are " + (", ".join(kept) or "none"),
            next_step="restore an earlier backup set instead (restore_set=...)",
        )
    put_back = wanted or kept[0]
    kept_as = undone_folder(folder)
    result = {
        "changed": True,
        "put_back": put_back,
        "kept_as": kept_as,
        **told([f"stop the server, let the files in {put_back} take their place again, start it; the others are kept as {kept_as}"]),
    }
    if dry_run:
        return result
    with nobody_else_in(folder):
        note = complete_interrupted(service)
        cut_off_s = exchange_files(service, put_back, kept_as, found.files.entries())
    return {**result, "cut_off_s": round(cut_off_s, 3), "notes": [note] if note else []}


def prune(server: Server, wishes: Wishes, keep: int, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Remove what restores replaced but for the newest.

    Args:
        server: The server.
        wishes: What the profile says of its files.
        keep: How many stay.
        dry_run: Whether only to say what would be done.

    Returns:
        `dropped`, `kept` (paths, the newest first), `freed_bytes`, `plan`.

    Raises:
        BadInput: `keep` is negative.
        LeaseHeld: A restore is running.
    """
    service = find(server, wishes).service
    folder = service.data_folder
    with nullcontext() if dry_run else nobody_else_in(folder):
        note = "" if dry_run else complete_interrupted(service)
        kept, superfluous = parted(folders_called(folder, "before", "undone"), keep, stamp_at_end)
        sizes = {path: tree_bytes(path) for path in superfluous}
        if not dry_run:
            for path in superfluous:
                remove_tree(path)
    result = removal("remove the replaced data", superfluous, kept, sizes)
    return {**result, "changed": True, "plan": [note, *result["plan"]]} if note else result
