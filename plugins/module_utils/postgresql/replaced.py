# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What restores replaced and kept: databases, or data folders, called `<name>_before_<time>` or, after an undo, `<name>_undone_<time>`."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace

from ..errors import BadInput
from ..files import remove_tree, tree_bytes
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
    kept, superfluous = _parted((name for word in _WORDS for name in names_derived_from(database, word, known)), keep)
    used = [f"{name}: {known[name]['connections']} connections" for name in superfluous if known[name]["connections"]]
    if used:
        raise _in_use(used, str(connection))
    if not dry_run:
        for name in superfluous:
            connection.do(f"DROP DATABASE {identifier(name)}")
    return _result("database", superfluous, kept, {name: int(known[name]["size_bytes"] or 0) for name in superfluous})


def prune_folders(service: Service, keep: int, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Remove the replaced data folders of a server but for the newest; arguments and result as of `prune_databases`.

    Raises:
        BadInput: A server runs in one that would be removed; nothing was removed.
        LeaseHeld: A restore of the data folder is running.
    """
    live = os.path.abspath(service.data_folder)
    with nobody_else_in(live):
        kept, superfluous = _parted((path for word in _WORDS for path in folders_derived_from(live, word)), keep)
        used = [path for path in superfluous if replace(service, data_folder=path).is_running()]
        if used:
            raise _in_use(used, live)
        sizes = {path: tree_bytes(path) for path in superfluous}
        if not dry_run:
            for path in superfluous:
                remove_tree(path)
    return _result("data folder", superfluous, kept, sizes)


def _parted(found: t.Iterable[str], keep: int) -> t.Tuple[t.List[str], t.List[str]]:
    """What stays and what goes, both the newest first; the names end with their time, such as 20261121T020000Z."""
    if keep < 0:
        raise BadInput(f"{keep} replaced ones cannot be kept", next_step="say 0 or more (restore_keep_replaced)")
    newest_first = sorted(found, key=lambda name: name[-16:], reverse=True)
    return newest_first[:keep], newest_first[keep:]


def _in_use(used: t.Sequence[str], where: str) -> BadInput:
    return BadInput(
        "What was to be removed is in use; nothing was removed",
        where=where,
        why="; ".join(used),
        next_step="end those clients or servers, or keep more (restore_keep_replaced)",
    )


def _result(what: str, superfluous: t.Sequence[str], kept: t.Sequence[str], sizes: t.Mapping[str, int]) -> t.Dict[str, t.Any]:
    return {
        "changed": bool(superfluous),
        "dropped": list(superfluous),
        "kept": list(kept),
        "freed_bytes": sum(sizes.values()),
        "plan": [f"drop the replaced {what} {name} ({sizes[name] / 1e6:.0f} MB)" for name in superfluous],
        "diff": {"before": "".join(f"{name}\n" for name in [*kept, *superfluous]), "after": "".join(f"{name}\n" for name in kept)},
    }
