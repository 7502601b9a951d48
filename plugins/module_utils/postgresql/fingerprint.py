# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The fingerprint of a database: what must be equal after a restore.

Per table the number of rows and the sum of one 64-bit hash a row (order does not matter, nothing is sorted), per sequence its
position, the large objects, the extensions, and a digest of the schema. Taken under the snapshot of the dump it equals the
restored database exactly, even while others write.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import typing as t
from dataclasses import dataclass

from ..pipeline import Pipeline
from ..progress import Progress
from .connection import STEADY_SETTINGS, Connection, Session, identifier, literal
from .server_info import guard_identity, require_database, server_info

HASH_RECORD_SINCE = 140000
"""hash_record_extended() came with PostgreSQL 14 (release notes, E.1.3.1.4)."""

# A column can be hashed as it is when its type, seen through domains, arrays and ranges, has a default hash operator class with
# the extended function (support function 2; manual, 36.16.3). The others (json, money, bit, point, tsvector, ...) go through text,
# and so do enums and the reg* types: their hash is that of an internal number, which a restore changes.
_TABLES = """
WITH RECURSIVE hash_types AS (
    SELECT c.opcintype AS type FROM pg_opclass c
    JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'hash'
    JOIN pg_amproc p ON p.amprocfamily = c.opcfamily AND p.amproclefttype = c.opcintype AND p.amprocnum = 2
    WHERE c.opcdefault
), used AS (
    SELECT DISTINCT atttypid AS type FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
), walk(type, at) AS (
    SELECT type, type FROM used
    UNION
    SELECT w.type, CASE WHEN ty.typtype = 'd' THEN ty.typbasetype
                        WHEN ty.typtype = 'r' THEN r.rngsubtype
                        ELSE ty.typelem END
    FROM walk w JOIN pg_type ty ON ty.oid = w.at LEFT JOIN pg_range r ON r.rngtypid = ty.oid
    WHERE ty.typtype IN ('d', 'r') OR (ty.typelem <> 0 AND ty.typlen = -1)
), hashable AS (
    SELECT w.type FROM walk w JOIN pg_type ty ON ty.oid = w.at
    WHERE ty.typtype NOT IN ('d', 'r') AND NOT (ty.typelem <> 0 AND ty.typlen = -1)
      AND ty.typtype = 'b' AND ty.typname !~ '^reg'
      AND (w.at IN (SELECT type FROM hash_types) OR EXISTS (
           SELECT 1 FROM pg_cast k WHERE k.castsource = w.at AND k.castmethod = 'b' AND k.castcontext = 'i'
              AND k.casttarget IN (SELECT type FROM hash_types)))
)
SELECT coalesce(json_agg(json_build_object(
    'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'bytes', pg_table_size(c.oid),
    'columns', (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'hashable', a.atttypid IN (SELECT type FROM hashable))
                       ORDER BY a.attnum), '[]')
                FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
    ) ORDER BY pg_table_size(c.oid) DESC, n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (c.relkind = 'r' OR c.relispopulated)
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""

_SEQUENCES = """
SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'increment', s.seqincrement)
    ORDER BY n.nspname, c.relname), '[]')
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""

# Pages are stored sparse: a page of zeros may be missing or present, so trailing zeros are cut and empty pages left out.
_LARGE_OBJECT_PAGES = """
SELECT json_build_object(
    'count', (SELECT count(*) FROM pg_largeobject_metadata),
    'bytes', coalesce(sum(length(data)), 0)::text,
    'hash', coalesce(sum(hashtextextended(loid || ':' || pageno || ':' || encode(data, 'base64'), 0)), 0)::text)
FROM (SELECT loid, pageno, trim(trailing '\\x00'::bytea from data) AS data FROM pg_largeobject) pages WHERE length(data) > 0
"""

_EXTENSIONS = "SELECT coalesce(json_object_agg(extname, extversion ORDER BY extname), '{}') FROM pg_extension"


@dataclass(frozen=True)
class Table:
    """A table, or a materialised view, that has rows of its own.

    Attributes:
        schema: Its schema.
        name: Its name.
        kind: `r` for a table, `m` for a materialised view (only counted: its rows are computed anew by a restore).
        bytes: Size with TOAST, without indexes.
        columns: Names, each with whether PostgreSQL can hash it as it is.
    """

    schema: str
    name: str
    kind: str
    bytes: int
    columns: t.Sequence[t.Mapping[str, t.Any]]

    @property
    def label(self) -> str:
        """The quoted name, as the manifest's key."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"

    def statement(self, version_num: int) -> str:
        """The SELECT that gives `count|sum of row hashes` of this table.

        Args:
            version_num: `server_version_num`; PostgreSQL 13 and older hash the row's text instead.
        """
        if self.kind == "m" or not self.columns:
            return f"SELECT count(*), 0 FROM ONLY {self.label}"
        if version_num < HASH_RECORD_SINCE:
            row = "pg_catalog.hashtextextended((t.*)::text, 0)"  # `t` alone would be a column of that name
        elif all(column["hashable"] for column in self.columns):
            row = "pg_catalog.hash_record_extended(t.*, 0)"
        else:
            parts = [f"t.{identifier(c['name'])}" + ("" if c["hashable"] else "::text") for c in self.columns]
            row = f"pg_catalog.hash_record_extended(ROW({', '.join(parts)}), 0)"
        return f"SELECT pg_catalog.count(*), coalesce(pg_catalog.sum({row}), 0) FROM ONLY {self.label} t"


def hash_method(version_num: int) -> str:
    """The name of the way rows are hashed on a server; fingerprints of different ways cannot be compared."""
    return "hash_record_extended" if version_num >= HASH_RECORD_SINCE else "hashtextextended"


def tables(session: Session) -> t.List[Table]:
    """The tables of the session's database that hold rows, the largest first."""
    return [Table(**row) for row in session.ask_json(_TABLES)]


def sequences(session: Session) -> t.Dict[str, t.Dict[str, t.Any]]:
    """Every sequence's `last_value` and `is_called`; sequences know no snapshot, this is their state now."""
    found = session.ask_json(_SEQUENCES)
    if not found:
        return {}
    parts = [
        f"SELECT {literal(identifier(s['schema']) + '.' + identifier(s['name']))} AS name, last_value::text AS value, is_called, "
        f"{int(s['increment'])} AS increment FROM {identifier(s['schema'])}.{identifier(s['name'])}"
        for s in found
    ]
    rows = session.ask_json(f"SELECT json_agg(q) FROM ({' UNION ALL '.join(parts)}) q")
    return {r["name"]: {"last_value": int(r["value"]), "is_called": r["is_called"], "increment": r["increment"]} for r in rows}


def small_parts(session: Session) -> t.Dict[str, t.Any]:
    """The parts of the fingerprint that cost little: large objects and extensions."""
    readable = session.ask("SELECT has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')").strip() == "t"
    return {
        "large_objects": session.ask_json(_LARGE_OBJECT_PAGES) if readable else None,
        "extensions": session.ask_json(_EXTENSIONS),
    }


class TableHasher:
    """Counts and hashes tables in sessions of its own, beside other work.

    Under a snapshot all tables are seen as they were at one moment. Without one each table is asked by itself, and no lock on it is
    kept afterwards, so that others may go on building its indexes.

    Attributes:
        results: What is done: label -> {`rows`, `hash`}.
    """

    def __init__(
        self,
        connection: Connection,
        database: str,
        version_num: int,
        *,
        snapshot: str = "",
        jobs: int = 1,
        progress: t.Optional[Progress] = None,
    ) -> None:
        self._connection, self._database, self._version_num, self._snapshot = connection, database, version_num, snapshot
        self._queue: "queue.Queue[t.Optional[Table]]" = queue.Queue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _number in range(jobs)]
        self._errors: t.List[BaseException] = []
        self._progress = progress
        self._stop = False
        self.results: t.Dict[str, t.Dict[str, t.Any]] = {}
        self._expected = 0
        for thread in self._threads:
            thread.start()

    def add(self, table: Table) -> None:
        """Have a table hashed."""
        self._expected += 1
        self._queue.put(table)

    def finish(self) -> t.Dict[str, t.Dict[str, t.Any]]:
        """Wait until all that was added is done and return `results`.

        Raises:
            RunbookError: The first error of any session.
        """
        for _thread in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return self.results

    def abandon(self) -> None:
        """Give up: take on no further table and end the sessions."""
        self._stop = True
        for _thread in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        try:
            session: t.Optional[Session] = None
            try:
                while True:
                    table = self._queue.get()
                    if table is None or self._stop:
                        return
                    if session is None:
                        session = Session(self._connection, self._database, {**STEADY_SETTINGS, **_QUICK}).__enter__()
                        if self._snapshot:
                            session.ask(begin_statement(self._snapshot))
                    rows, total = session.ask(table.statement(self._version_num)).strip().split("|")
                    self.results[table.label] = {"rows": int(rows), "hash": total if table.kind == "r" else None}
                    if self._progress is not None:
                        self._progress.say("counting rows", len(self.results), self._expected, "tables")
            finally:
                if session is not None:
                    session.__exit__()
        except BaseException as error:  # handed to the thread that waits in finish()
            self._errors.append(error)
            self._stop = True


_QUICK = {"jit": "off", "max_parallel_workers_per_gather": "0"}


def begin_statement(snapshot: str = "") -> str:
    """The statements that open a read-only transaction, on an exported snapshot when one is named."""
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    return f"{begin}; SET TRANSACTION SNAPSHOT {literal(snapshot)}" if snapshot else begin


def information(connection: Connection, database: str, expected_identifier: str = "") -> t.Dict[str, t.Any]:
    """The tables and sequences of a database, under one snapshot.

    Raises:
        BadInput: There is no such database.
        WrongTarget: The server is not the one that the inventory means.
    """
    info = server_info(connection)
    guard_identity(info, expected_identifier, connection)
    require_database(connection, database)
    with Session(connection, database) as session:
        session.ask(begin_statement())
        snapshot = session.ask("SELECT pg_export_snapshot()").strip()
        hasher = TableHasher(connection, database, info.version_num, snapshot=snapshot, jobs=2)
        for table in tables(session):
            hasher.add(table)
        found = hasher.finish()
        return {"changed": False, "tables": found, "rows": sum(table["rows"] for table in found.values()), "sequences": sequences(session)}


_UNSTABLE_LINES = (b"--", b"\\restrict", b"\\unrestrict", b"SET ", b"SELECT pg_catalog.set_config(")


def schema_digest(connection: Connection, database: str, snapshot: str = "") -> str:
    """SHA-256 over the lines of `pg_dump --schema-only`, sorted, without comments and session settings.

    Sorted, because pg_dump orders objects that do not depend on each other by their internal numbers, which a restore changes.
    """
    arguments = ["--schema-only", *([f"--snapshot={snapshot}"] if snapshot else [])]
    command = connection.command("pg_dump", *arguments, database=database, settings=STEADY_SETTINGS)
    digest = hashlib.sha256()
    with Pipeline(command) as pipeline:
        lines = sorted(line for line in pipeline.stdout if line.strip() and not line.startswith(_UNSTABLE_LINES))
    for line in lines:
        digest.update(line)
    return digest.hexdigest()
