# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The state of a database's tables and indexes, as far as maintenance cares.

Source of the columns: PostgreSQL manual, 27.2.19 (pg_stat_all_tables), 52.11 (pg_class), 53.27 (pg_stats), 27.4.4
(pg_stat_progress_create_index).
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..postgresql.connection import Session, identifier, literal
from .bloat import INDEX_FILL, TABLE_FILL, index_waste, measured_waste, table_waste

_TABLES = """
SELECT coalesce(json_agg(json_build_object(
    'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'bytes', pg_table_size(c.oid), 'main_bytes', pg_relation_size(c.oid),
    'rows', CASE WHEN coalesce(s.n_live_tup, 0) + coalesce(s.n_dead_tup, 0) > 0 THEN s.n_live_tup ELSE c.reltuples END,
    'dead', coalesce(s.n_dead_tup, 0), 'changed', coalesce(s.n_mod_since_analyze, 0),
    'analyzed', coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL,
    'unvacuumed_transactions', CASE WHEN c.relfrozenxid <> '0' THEN age(c.relfrozenxid) ELSE 0 END,
    'fill_percent', (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'),
    'columns', (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
    'width', (SELECT sum((1 - null_frac) * avg_width) FROM pg_stats p
              WHERE p.schemaname = n.nspname AND p.tablename = c.relname AND NOT p.inherited),
    'ours', pg_has_role(c.relowner, 'USAGE') OR pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE')
    ) ORDER BY n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

# The statistics of an expression stand under the index's own name.
_INDEXES = """
SELECT coalesce(json_agg(json_build_object(
    'schema', n.nspname, 'name', c.relname, 'table', t.relname, 'method', m.amname, 'bytes', pg_relation_size(c.oid),
    'rows', CASE WHEN i.indpred IS NOT NULL THEN c.reltuples
                 WHEN coalesce(s.n_live_tup, 0) + coalesce(s.n_dead_tup, 0) > 0 THEN s.n_live_tup ELSE t.reltuples END,
    'valid', i.indisvalid, 'exclusion', i.indisexclusion, 'definition', pg_get_indexdef(c.oid),
    'being_built', EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid AND p.datname = current_database()),
    'unique', i.indisunique,
    'fill_percent', (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'),
    'width', (SELECT CASE WHEN count(*) = count(w.width) THEN sum(w.width) END FROM (
        SELECT (SELECT (1 - p.null_frac) * p.avg_width FROM pg_stats p WHERE p.schemaname = n.nspname AND NOT p.inherited
                AND p.tablename = CASE WHEN k.attnum = 0 THEN c.relname ELSE t.relname END
                AND p.attname = coalesce(col.attname, ia.attname)) AS width
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
        JOIN pg_attribute ia ON ia.attrelid = c.oid AND ia.attnum = k.place
        LEFT JOIN pg_attribute col ON col.attrelid = t.oid AND col.attnum = k.attnum AND k.attnum <> 0) w),
    'ours', pg_has_role(c.relowner, 'USAGE')
    ) ORDER BY n.nspname, c.relname), '[]')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_stat_all_tables s ON s.relid = t.oid
WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

_SURROUNDINGS = """
SELECT json_build_object(
    'page', current_setting('block_size')::int,
    'freeze_at', current_setting('autovacuum_freeze_max_age')::int,
    'measures', (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pgstattuple'
                 AND ((SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR pg_has_role('pg_stat_scan_tables', 'MEMBER'))))
"""


@dataclass(frozen=True)
class Table:
    """A table, a materialised view (`m`) or the head of a partitioned table (`p`, which holds no rows of its own).

    Attributes:
        bytes: Size with TOAST, without indexes.
        waste_bytes: Estimate of what its main file holds in vain; None for unknown.
        rows: Live rows; below 0 for unknown.
        dead: Rows that nobody needs any more, as the server counts them.
        changed: Rows changed since ANALYZE saw it.
        analyzed: Whether ANALYZE ever saw it.
        unvacuumed_transactions: How many transactions ago its oldest row may be from (relfrozenxid).
        ours: Whether our role may maintain it.
    """

    schema: str
    name: str
    kind: str = "r"
    bytes: int = 0
    waste_bytes: t.Optional[int] = None
    rows: float = 0
    dead: int = 0
    changed: int = 0
    analyzed: bool = True
    unvacuumed_transactions: int = 0
    ours: bool = True

    @property
    def label(self) -> str:
        """The quoted name."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


@dataclass(frozen=True)
class Index:
    """An index.

    Attributes:
        table: Its table's name, in the same schema.
        method: `btree`, `gin`, ...
        bytes: Its size.
        waste_bytes: What a rebuild would free, estimated or measured; None for unknown.
        valid: Whether queries may use it.
        exclusion: Whether it serves an exclusion constraint; such cannot be rebuilt while others write.
        definition: CREATE INDEX ...
        being_built: Whether somebody builds it at this moment.
        unique: Whether it keeps keys unique.
        ours: Whether our role may rebuild it.
    """

    schema: str
    name: str
    table: str = ""
    method: str = "btree"
    bytes: int = 0
    waste_bytes: t.Optional[int] = None
    valid: bool = True
    exclusion: bool = False
    definition: str = ""
    being_built: bool = False
    unique: bool = False
    ours: bool = True

    @property
    def label(self) -> str:
        """The quoted name."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


@dataclass(frozen=True)
class Found:
    """What there is in a database.

    Attributes:
        tables: Its tables.
        indexes: Its indexes.
        freeze_at: Age in transactions at which the server itself begins to vacuum a table (autovacuum_freeze_max_age).
    """

    tables: t.Sequence[Table]
    indexes: t.Sequence[Index]
    freeze_at: int = 200_000_000


def inspect(session: Session, measure_from_percent: t.Optional[float] = None) -> Found:
    """Look at a database.

    Args:
        session: In that database.
        measure_from_percent: Indexes whose estimated waste is above this share of them are measured with pgstattuple where that is there,
            which reads them whole; None to measure none.
    """
    around = session.ask_json(_SURROUNDINGS)
    page = around["page"]
    tables = []
    for one in session.ask_json(_TABLES):
        width, columns = one.pop("width"), one.pop("columns")
        fill = float(one.pop("fill_percent") or TABLE_FILL)
        main = one.pop("main_bytes")
        waste = table_waste(main, one["rows"], width, columns, fill, page) if one["kind"] != "p" else None
        tables.append(Table(**one, waste_bytes=waste))
    indexes = []
    for one in session.ask_json(_INDEXES):
        width, rows = one.pop("width"), one.pop("rows")
        fill = float(one.pop("fill_percent") or INDEX_FILL)
        waste = index_waste(one["bytes"], rows, width, fill, page) if one["method"] == "btree" and one["valid"] else None
        if around["measures"] and measure_from_percent is not None and waste and waste > one["bytes"] * measure_from_percent / 100:
            waste = _measure(session, around["measures"], one, fill)
        indexes.append(Index(**one, waste_bytes=waste))
    return Found(tables, indexes, around["freeze_at"])


def _measure(session: Session, schema: str, one: t.Mapping[str, t.Any], fill: float) -> int:
    name = literal(identifier(one["schema"]) + "." + identifier(one["name"]))
    told = session.ask(f"SELECT coalesce(nullif(avg_leaf_density, 'NaN'), 0) FROM {identifier(schema)}.pgstatindex({name}::regclass)")
    return measured_waste(int(one["bytes"]), float(told), fill)


_LEFT_BEHIND = re.compile(r"_cc(?:new|old)\d*$")


def is_left_behind(index: Index, others: t.Iterable[Index]) -> bool:
    """Whether an index is what a killed REINDEX CONCURRENTLY has left (manual, REINDEX: Rebuilding Indexes Concurrently).

    It bears the name that such a run gives, it cannot be used, nobody is building it, and another index of the same table does its work:
    the one it was to replace, or the one that has replaced it.
    """
    found = _LEFT_BEHIND.search(index.name)
    if index.valid or index.being_built or found is None:
        return False
    # Names are cut to 63 bytes, so the original's may go on where this one was cut.
    stem = index.name[: found.start()]
    same_table = [one for one in others if one.schema == index.schema and one.table == index.table and one.name != index.name]
    return any(one.name.startswith(stem) and _what_it_does(one) == _what_it_does(index) for one in same_table)


def _what_it_does(index: Index) -> str:
    """The definition without the index's own name: columns, method, predicate, options."""
    return index.definition.replace(f" {index.name} ON ", " ON ").replace(f" {identifier(index.name)} ON ", " ON ")
