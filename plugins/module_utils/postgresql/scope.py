# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How far is a live database from a backup set? Table by table, so that one that cannot be read does not hide the others."""

from __future__ import annotations

import typing as t

from ..backup_set.hashing import parallel
from ..backup_set.sets import read_set
from ..errors import BadInput, RunbookError, SetDamaged
from .connection import STEADY_SETTINGS, Connection, Session
from .fingerprint import Table, hash_method, tables
from .server_info import guard_identity, require_database, server_info

SAME, CHANGED, GROWN, FEWER, MISSING, UNREADABLE, NEW = "same", "changed", "grown", "fewer rows", "missing", "unreadable", "new"
SUSPECT = (FEWER, MISSING, UNREADABLE)
"""What normal work seldom does to a table. That rows were changed or added says nothing by itself: the service went on after the backup."""
_ORDER = (UNREADABLE, MISSING, FEWER, CHANGED, GROWN, NEW, SAME)
_JOBS = 2


def scope(
    connection: Connection, database: str, manifest: t.Mapping[str, t.Any], expected_identifier: str = "", timeout_s: float = 0.0
) -> t.Dict[str, t.Any]:
    """Compare the live database with the fingerprint of a set; only reads.

    Args:
        connection: How to reach the server.
        database: The live database.
        manifest: Manifest of a logical set.
        expected_identifier: System identifier that the server must have; empty for any.
        timeout_s: Seconds that one table may take; 0 for no limit.

    Returns:
        `tables` (label, state, rows_before, rows_now, problem), the worst first, `counts` by state, `suspect` labels and `summary`.

    Raises:
        BadInput: There is no such database, or the set has no fingerprint.
        WrongTarget: The server is not the one that the inventory means.
    """
    known = manifest.get("fingerprint")
    if not known:
        raise BadInput(
            "The backup set has no fingerprint to compare with",
            where=str(manifest.get("id", "")),
            why=f"it is of the kind {manifest.get('kind')}, method {manifest.get('method')}",
            next_step="name a logical PostgreSQL set",
        )
    info = server_info(connection)
    guard_identity(info, expected_identifier, connection)
    require_database(connection, database)
    with Session(connection, database) as session:
        there = {table.label: table for table in tables(session)}
    hashes = known["method"] == hash_method(info.version_num)

    def look(label: str) -> t.Dict[str, t.Any]:
        return _look(connection, database, label, known["tables"].get(label), there.get(label), info.version_num, hashes, timeout_s)

    labels = sorted({*known["tables"], *there})
    found = parallel([lambda label=label: look(label) for label in labels], _JOBS)  # type: ignore[misc]
    found.sort(key=lambda one: (_ORDER.index(one["state"]), one["label"]))
    counts = {state: sum(one["state"] == state for one in found) for state in _ORDER}
    suspect = [one["label"] for one in found if one["state"] in SUSPECT]
    return {
        "changed": False,
        "tables": found,
        "counts": {state: count for state, count in counts.items() if count},
        "suspect": suspect,
        "summary": _summary(found, manifest),
        "lines": [_line(one) for one in found if one["state"] != SAME],
        "notes": [] if hashes else [f"row content was not compared: this server hashes rows otherwise than {known['method']}"],
    }


def _look(
    connection: Connection,
    database: str,
    label: str,
    before: t.Optional[t.Mapping[str, t.Any]],
    table: t.Optional[Table],
    version_num: int,
    hashes: bool,
    timeout_s: float,
) -> t.Dict[str, t.Any]:
    entry: t.Dict[str, t.Any] = {"label": label, "rows_before": before["rows"] if before else None, "rows_now": None, "problem": ""}
    if table is None:
        return {**entry, "state": MISSING}
    settings = {**STEADY_SETTINGS, **({"statement_timeout": f"{int(timeout_s * 1000)}"} if timeout_s else {})}
    try:
        with Session(connection, database, settings) as session:
            rows, total = session.ask(table.statement(version_num)).strip().split("|")
    except RunbookError as error:
        return {**entry, "state": UNREADABLE, "problem": error.why or error.what}
    entry["rows_now"] = int(rows)
    if before is None:
        return {**entry, "state": NEW}
    if int(rows) != before["rows"]:
        return {**entry, "state": FEWER if int(rows) < before["rows"] else GROWN}
    return {**entry, "state": CHANGED if hashes and table.kind == "r" and total != before["hash"] else SAME}


def _summary(found: t.Sequence[t.Mapping[str, t.Any]], manifest: t.Mapping[str, t.Any]) -> str:
    since = f"the set of {manifest.get('consistent_at', 'an unknown moment')}"
    said = []
    for state, words in ((UNREADABLE, "cannot be read"), (MISSING, "are missing"), (FEWER, "have fewer rows")):
        named = [_spoken(one["label"]) for one in found if one["state"] == state]
        if named:
            more = f" and {len(named) - 5} more" if len(named) > 5 else ""
            said.append(f"{len(named)} {words} ({', '.join(named[:5])}{more})")
    lost = sum(one["rows_before"] - (one["rows_now"] or 0) for one in found if one["state"] in (FEWER, MISSING))
    other = sum(one["state"] in (CHANGED, GROWN, NEW) for one in found)
    head = f"Against {since}, of {len(found)} tables: " + ("; ".join(said) or "none is missing, unreadable or short of rows")
    return head + (f"; {lost} rows fewer in all" if lost else "") + f"; {other} were changed, grew or are new."


def _spoken(label: str) -> str:
    """`"schema"."table"` for a reader."""
    return label[1:-1].replace('"."', ".").replace('""', '"')


def _line(one: t.Mapping[str, t.Any]) -> str:
    rows = [("none" if count is None else str(count)) for count in (one["rows_before"], one["rows_now"])]
    why = f" ({one['problem']})" if one["problem"] else ""
    return f"{_spoken(one['label'])}: {one['state']}, rows {rows[0]} in the set, {rows[1]} now{why}"


def information(connection: Connection, options: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The operation of the module pg_scope_info.

    Raises:
        SetDamaged: The set's manifest cannot be trusted.
    """
    manifest = options["set_manifest"]
    if options["set_folder"]:
        chosen = read_set(options["set_folder"])
        if chosen.damage:
            raise SetDamaged(
                f"The backup set {chosen.id} is damaged", where=chosen.folder, why="; ".join(chosen.damage), next_step="name another set"
            )
        manifest = chosen.manifest
    if not manifest:
        raise BadInput("No backup set is named", next_step="give set_folder or set_manifest")
    return scope(connection, options["database"], manifest, options["system_identifier"], options["table_timeout_s"])
