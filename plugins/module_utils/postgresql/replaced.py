# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What restores replaced and kept: databases, or data folders, called `<name>_before_<time>` or, after an undo, `<name>_undone_<time>`."""

from __future__ import annotations

import os
import typing as t
from contextlib import nullcontext
from dataclasses import replace

from ..errors import BadInput
from ..files import remove_tree, tree_bytes
from ..restoring.kept import parted, removal, stamp_at_end
from ..restoring.names import names_derived_from
from .connection import Connection, identifier
from .exchange import Service, nobody_else_in
from .restore_folder import folders_derived_from
from .server_info import databases, guard_identity, server_info

_WORDS = ("before", "undone")


def prune_databases(
    connection: Connection, database: str, keep: int, *, expected_identifier: str = "", dry_run: bool = False
) -> t.Dict[str, t.Any]:
    """Drop the replaced databases of a name but for the newest.

    Args:
        connection: The server.
        database: The name in use; what bears it is never dropped.
        keep: How many replaced ones stay.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
        dry_run: Whether only to say what would be done.

    Returns:
        `changed`, `dropped`, `kept` (names, the newest first), `freed_bytes`, `plan`.

    Raises:
        BadInput: Somebody is connected to one that would be dropped; nothing was dropped.
        WrongTarget: The server is not the one that the inventory means.
    """
    guard_identity(server_info(connection), expected_identifier, connection)
    known = databases(connection)
    kept, superfluous = parted((name for word in _WORDS for name in names_derived_from(database, word, known)), keep, stamp_at_end)
    used = [f"{name}: {known[name]['connections']} connections" for name in superfluous if known[name]["connections"]]
    if used:
        raise _in_use(used, str(connection))
    if not dry_run:
        for name in superfluous:
            connection.do(f"DROP DATABASE {identifier(name)}")
    sizes = {name: int(known[name]["size_bytes"] or 0) for name in superfluous}
    return removal("drop the replaced database", superfluous, kept, sizes)


def prune_folders(service: Service, keep: int, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Remove the replaced data folders of a server but for the newest; arguments and result as of `prune_databases`.

    Raises:
        BadInput: A server runs in one that would be removed; nothing was removed.
        LeaseHeld: A restore of the data folder is running.
    """
    live = os.path.abspath(service.data_folder)
    with nullcontext() if dry_run else nobody_else_in(live):
        kept, superfluous = parted((path for word in _WORDS for path in folders_derived_from(live, word)), keep, stamp_at_end)
        used = [path for path in superfluous if replace(service, data_folder=path).is_running()]
        if used:
            raise _in_use(used, live)
        sizes = {path: tree_bytes(path) for path in superfluous}
        if not dry_run:
            for path in superfluous:
                remove_tree(path)
    return removal("drop the replaced data folder", superfluous, kept, sizes)


def _in_use(used: t.Sequence[str], where: str) -> BadInput:
    return BadInput(
        "What was to be removed is in use; nothing was removed",
        where=where,
        why="; ".join(used),
        next_step="end those clients or servers, or keep more (restore_keep_replaced)",
    )
