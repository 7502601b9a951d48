# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What restores of files replaced and kept: put back, or removed."""

from __future__ import annotations

import os
import typing as t

from ..errors import BadInput
from ..files import tree_bytes
from ..restoring.kept import parted, removal, stamp_at_end
from ..restoring.result import told
from .request import FilesStore
from .swap import (
    WORDS,
    Member,
    beside,
    complete_interrupted,
    derived_from,
    exchange_paths,
    free_stamp,
    nobody_else_at,
    remove,
    remove_leftovers,
)


def undo(store: FilesStore, replaced: str = "", *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Put back what the newest restore of the store replaced; what was in use is kept as `.<name>_undone_<time>`.

    Args:
        store: The store.
        replaced: The restore to undo, by the time that the kept names end with, or by one such name; empty for the newest.
        dry_run: Whether only to say what would be done.

    Returns:
        `put_back`, `kept_as` (path -> name), `cut_off_s`, `notes`, `plan`.

    Raises:
        BadInput: There is none to put back.
    """
    lives = [os.path.realpath(path) for path in store.sources()]
    times = sorted({at for live in lives for at in derived_from(live, "before")}, reverse=True)
    chosen = next((at for at in times if not replaced or replaced.endswith(at)), "")
    if not chosen:
        raise BadInput(
            f"Nothing that a restore replaced is kept{' as ' + replaced if replaced else ''}",
            where=", ".join(lives),
            why="there are " + (", ".join(times) or "none"),
            next_step="restore an earlier backup set instead (restore_set=...)",
        )
    now = free_stamp(lives)
    kept = {live: derived_from(live, "before").get(chosen, "") for live in lives}
    members = [Member(live, other, beside(live, "undone", now) if os.path.lexists(live) else "") for live, other in kept.items() if other]
    result = {
        "changed": True,
        "put_back": {member.live: member.other for member in members},
        "kept_as": {member.live: member.kept_as for member in members},
        "notes": [f"{live} was not there before that restore, and stays as it is" for live, other in kept.items() if not other],
        **told([f"let {member.other} take the place of {member.live} again" for member in members]),
    }
    if dry_run:
        return result
    with nobody_else_at(lives):
        notes = complete_interrupted(lives)
        gone = [member.other for member in members if not os.path.lexists(member.other)]
        if gone:
            raise BadInput("It is no longer there", where=", ".join(gone), why="; ".join(notes), next_step="run the procedure again")
        cut_off_s = exchange_paths(members, store.volume)
    return {**result, "notes": [*notes, *t.cast("t.List[str]", result["notes"])], "cut_off_s": round(cut_off_s, 3)}


def prune(store: FilesStore, keep: int, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Remove what restores replaced, but for the newest.

    Args:
        store: The store.
        keep: So many restores' replaced files stay.
        dry_run: Whether only to say what would be done.

    Returns:
        `changed`, `dropped`, `kept` (paths, the newest first), `freed_bytes`, `plan`.

    Raises:
        BadInput: `keep` is negative.
        LeaseHeld: A restore of these paths is running.
    """
    lives = [os.path.realpath(path) for path in store.sources()]
    with nobody_else_at([live for live in lives if os.path.isdir(os.path.dirname(live))]):
        if not dry_run:
            complete_interrupted(lives)
        found = [path for live in lives for word in WORDS for path in derived_from(live, word).values()]
        kept, superfluous = parted(found, keep, stamp_at_end)
        sizes = {path: tree_bytes(path) if os.path.isdir(path) else os.lstat(path).st_size for path in superfluous}
        leftovers = remove_leftovers(lives, dry_run=dry_run)
        if not dry_run:
            for path in superfluous:
                remove(path)
    return {**removal("remove", superfluous, kept, sizes), "changed": bool(superfluous or leftovers)}
