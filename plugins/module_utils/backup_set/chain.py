# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Sets that are built on other sets: an incremental one holds only what changed since its base, and is nothing without it."""

from __future__ import annotations

import os
import typing as t

from ..errors import SetDamaged, SetNotFound
from .hashing import hash_file
from .sets import BackupSet, read_set


def base_of(one: BackupSet) -> t.Dict[str, t.Any]:
    """What the manifest says of the set that it is built on (`id`, `manifest_sha256`); empty when it stands alone."""
    return dict(one.manifest.get("base") or {})


def chain(one: BackupSet) -> t.List[BackupSet]:
    """The set and all that it is built on, the one that stands alone first.

    Raises:
        SetNotFound: One of them is not in the folder of the set.
        SetDamaged: One of them is not the set that it was, or they go in a circle.
    """
    found = [one]
    while base_of(found[0]):
        base = base_of(found[0])
        folder = os.path.join(os.path.dirname(os.path.abspath(one.folder)), str(base["id"]))
        if not os.path.isdir(folder):
            raise SetNotFound(
                f"The set {found[0].id} is built on {base['id']}, which is not there",
                where=os.path.dirname(folder),
                next_step="fetch that set from off-site, or use another set",
            )
        if folder in (known.folder for known in found):
            raise SetDamaged("Sets are built on one another in a circle", where=folder, next_step="use another set")
        try:
            same = hash_file(os.path.join(folder, "manifest.json"))[0] == base["manifest_sha256"]
        except OSError:
            same = False
        if not same:
            raise SetDamaged(
                f"The set {base['id']} is not the one that {found[0].id} was built on", where=folder, next_step="use another set"
            )
        found.insert(0, read_set(folder))
    return found


def chain_problems(one: BackupSet, *, read_files: bool = True, on_bytes: t.Optional[t.Callable[[int], None]] = None) -> t.List[str]:
    """What is wrong with the sets that a set is built on; empty when it stands alone or all is well.

    Args:
        one: The set; its own files are not looked at.
        read_files: Whether to compare every file with its checksum, or only to see that the sets are there.
        on_bytes: Called with the number of bytes read of each.
    """
    try:
        below = chain(one)[:-1]
    except (SetNotFound, SetDamaged) as error:
        return [error.what]
    problems = []
    for base in below:
        found = base.problems(on_bytes=on_bytes) if read_files else base.damage
        problems += [f"{base.id}, on which it is built: {problem}" for problem in found]
    return problems


def require_whole_chain(one: BackupSet) -> None:
    """Raise SetDamaged unless all that a set is built on is there and whole. Of one that is not here nothing can be read yet."""
    problems = chain_problems(one) if one.is_here else []
    if problems:
        raise SetDamaged(
            f"What the backup set {one.id} is built on is damaged",
            where=one.folder,
            why="; ".join(problems[:5]),
            next_step="use another set",
        )
