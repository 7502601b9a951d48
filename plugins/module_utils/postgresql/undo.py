# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Going back by one restore."""

from __future__ import annotations

import typing as t

from ..restoring.names import derived_name, stamp
from .connection import Connection
from .server_info import databases, guard_identity, server_info
from .swap import choose_replaced, swap


def undo(
    connection: Connection, database: str, *, replaced: str = "", expected_identifier: str = "", dry_run: bool = False
) -> t.Dict[str, t.Any]:
    """Put the database that a restore replaced back into its place; the restored one is kept as `<name>_undone_<time>`.

    Args:
        connection: The server.
        database: The name in use.
        replaced: Which kept database to put back; empty for the newest `<name>_before_<time>`.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
        dry_run: Whether only to say what would be done.

    Returns:
        `put_back`, `kept_as`, `plan`, and `cut_off_s` (seconds) unless it was a dry run.

    Raises:
        BadInput: There is none to put back.
        WrongTarget: The server is not the one that the inventory means.
    """
    guard_identity(server_info(connection), expected_identifier, connection)
    known = databases(connection)
    put_back = choose_replaced(database, known, replaced)
    kept_as = _name_for_undone(database, known) if database in known else ""
    renames = ([(database, kept_as)] if kept_as else []) + [(put_back, database)]
    plan = [f"rename {old} to {new}" for old, new in renames]
    result = {
        "changed": True,
        "put_back": put_back,
        "kept_as": kept_as,
        "plan": plan,
        "diff": {"before": "".join(f"{old}\n" for old, _new in renames), "after": "".join(f"{new}\n" for _old, new in renames)},
    }
    return result if dry_run else {**result, "cut_off_s": round(swap(connection, renames), 3)}


def _name_for_undone(database: str, known: t.Container[str]) -> str:
    return derived_name(database, "undone", stamp(lambda at: derived_name(database, "undone", at) in known))
