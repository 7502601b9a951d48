# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Dropping a database that came to nothing, also when the server's disk is full."""

from __future__ import annotations

from ..errors import RunbookError
from ..files import free_bytes
from .connection import Connection, identifier, literal

_FORCE_SINCE = 13
"""Major version that learned DROP DATABASE ... WITH (FORCE)."""
_ROOM_FOR_A_CHECKPOINT = 4 << 20
"""Bytes; it writes a few files of some kilobytes, and what it flushes may extend tables."""

_END_CLIENTS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = {name} AND pid <> pg_backend_pid()"
_LARGEST_TABLES = """
SELECT coalesce(json_agg(largest), '[]') FROM (
    SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_total_relation_size(c.oid) AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 2 DESC LIMIT 20) largest
"""


def drop_statement(database: str, major: int) -> str:
    """DROP DATABASE, however much the server still does there for a killed run (manual, DROP DATABASE: FORCE)."""
    return f"DROP DATABASE IF EXISTS {identifier(database)}" + (" WITH (FORCE)" if major >= _FORCE_SINCE else "")


def discard(connection: Connection, database: str, major: int, *, disk_is_full: bool, data_folder: str = "") -> None:
    """Drop a database whose restore has failed. Never raises: that failure matters more, and the next run drops what stays.

    DROP DATABASE begins with a checkpoint, and one that finds no room at all takes the whole server down (checkpointer: PANIC). So on a
    full disk the largest tables go first: their room is free as soon as each is dropped, and no checkpoint is needed for that. Where that
    gives no room the database stays.

    Args:
        connection: The server.
        database: The database; it need not exist.
        major: Major version of the server.
        disk_is_full: Whether the restore has failed for want of room.
        data_folder: The server's, when it lies on this host.
    """
    if disk_is_full:
        room = _drop_largest_tables(connection, database) + (free_bytes(data_folder) if data_folder else 0)
        if room < _ROOM_FOR_A_CHECKPOINT:
            return
    _quietly(connection, drop_statement(database, major))


def _drop_largest_tables(connection: Connection, database: str) -> int:
    """Returns how many bytes that should have freed."""
    _quietly(connection, _END_CLIENTS.format(name=literal(database)))
    try:
        largest = connection.ask_json(_LARGEST_TABLES, database=database)
    except RunbookError:
        return 0
    return sum(table["bytes"] for table in largest if _quietly(connection, f"DROP TABLE IF EXISTS {table['name']} CASCADE", database))


def _quietly(connection: Connection, statement: str, database: str = "") -> bool:
    try:
        connection.do(statement, database=database or None)
    except RunbookError:
        return False
    return True
