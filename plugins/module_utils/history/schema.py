# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Tables of the history, and how a file of an earlier version becomes one of this version.

A year of ten checks every five minutes is a million results. So what repeats (names, reasons) is kept once and results refer
to it; the view `result` shows them whole, for whoever looks into the file with `sqlite3`.
"""

from __future__ import annotations

import sqlite3
import typing as t

APPLICATION_ID = 0x53524552
"""Marks the file as a history of this collection, "SRER" (SQLite file format, section 1.3.14: application id)."""

_FIRST = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE subject (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('check', 'metric')),
  name TEXT NOT NULL,
  component TEXT NOT NULL,
  unit TEXT NOT NULL,
  UNIQUE (kind, name)
);
CREATE TABLE reason (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  run_id TEXT NOT NULL,
  procedure TEXT NOT NULL,
  verdict TEXT NOT NULL,
  severity TEXT NOT NULL,
  score REAL,
  summary TEXT NOT NULL,
  UNIQUE (run_id, procedure, at)
);
CREATE INDEX run_at ON run (at);
CREATE TABLE answer (
  subject INTEGER NOT NULL REFERENCES subject (id),
  at REAL NOT NULL,
  run INTEGER NOT NULL REFERENCES run (id),
  verdict INTEGER NOT NULL,
  value REAL,
  latency_ms REAL,
  reason INTEGER REFERENCES reason (id),
  PRIMARY KEY (subject, at, run)
) WITHOUT ROWID;
CREATE TABLE document (name TEXT PRIMARY KEY, at REAL NOT NULL, json TEXT NOT NULL) WITHOUT ROWID;
CREATE VIEW result AS
SELECT answer.at AS at, subject.kind AS kind, subject.name AS name, subject.component AS component,
  CASE answer.verdict WHEN 0 THEN 'pass' WHEN 1 THEN 'warn' WHEN 2 THEN 'unknown' ELSE 'fail' END AS verdict,
  answer.value AS value, subject.unit AS unit, answer.latency_ms AS latency_ms, coalesce(reason.text, '') AS reason, run.run_id AS run_id
FROM answer
JOIN subject ON subject.id = answer.subject
JOIN run ON run.id = answer.run
LEFT JOIN reason ON reason.id = answer.reason;
"""

MIGRATIONS: t.List[str] = [_FIRST]
"""Each takes a file one version further; the version (`user_version`) is the number of those that were carried out."""


def version(database: sqlite3.Connection) -> int:
    """The version of the file; 0 for an empty one."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def migrate(database: sqlite3.Connection) -> None:
    """Bring the file to the newest version, in one transaction: a file is of one version or of the other, never between."""
    database.execute("BEGIN IMMEDIATE")
    try:
        # Somebody else may have done it while this process waited for the lock.
        have = version(database)
        for number in range(have, len(MIGRATIONS)):
            for statement in _statements(MIGRATIONS[number]):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number + 1}")
        if have == 0:
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _statements(script: str) -> t.Iterator[str]:
    """The statements of a script; `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
