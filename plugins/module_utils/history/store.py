# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The history of a service: record what a run found, and read it back."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import typing as t

from ..checks.conditions import number
from . import file
from .entry import Entry, entries, moment, text
from .reading import Reading

_DAY_S = 86400
_SUMMARY_LENGTH = 4000


class History(Reading):
    """One service's history. A writer and any number of readers may have it open at the same time.

    Attributes:
        path: The file.
        exists: Whether there is a file; without one everything that is read is empty.
    """

    @classmethod
    def open(cls, folder: str, service: str, *, write: bool) -> "History":
        """Open the history of `service` below the state folder `folder`; close it again, or use it in a `with` block.

        Raises:
            BadInput: The name gives no file name, the folder cannot be used, or the file is not this service's history.
            HistoryDamaged: The file is damaged; it is left as it is.
            Unreachable: The file cannot be opened.
        """
        path = file.path_of(folder, service)
        return cls(path, file.open_for_writing(path, service) if write else file.open_for_reading(path, service))

    def record(
        self,
        at: float,
        run_id: str,
        procedure: str,
        checks: t.Sequence[t.Mapping[str, t.Any]] = (),
        metrics: t.Sequence[t.Mapping[str, t.Any]] = (),
        severity: str = "",
        score: t.Optional[float] = None,
        verdict: str = "",
        summary: str = "",
    ) -> int:
        """Write what a run found; all of it, or nothing when the process dies. What the run had written for that time is replaced.

        Args:
            at: When it was found, in seconds since 1970 UTC.
            run_id: Id of the run.
            procedure: Its procedure.
            checks: Results of `health_check`.
            metrics: Results of `metrics_gate`.
            severity: Name of the severity; empty for none.
            score: Share of what is well, from 0 to 1.
            verdict: Verdict of the whole; empty for the worst of the results.
            summary: What a reader should know of it, in a sentence or two.

        Returns:
            The number of results.

        Raises:
            BadInput: A result has no name or an unknown verdict; nothing was written.
            DeadlineExceeded: Another process kept the file locked.
            NoSpace: The disk is full; nothing was written.
        """
        found = entries(checks, metrics)
        at, run_id, procedure = moment(at), text(run_id), text(procedure)
        total = verdict or Entry.worst(found)
        database = self._writable()
        with file.explained(self.path), file.transaction(database):
            run = (at, run_id, procedure, text(total), text(severity), number(score), text(summary)[:_SUMMARY_LENGTH])
            database.execute(
                "INSERT INTO run (at, run_id, procedure, verdict, severity, score, summary) VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (run_id, procedure, at) DO UPDATE SET verdict = excluded.verdict, severity = excluded.severity, "
                "score = excluded.score, summary = excluded.summary",
                run,
            )
            run_number = database.execute(
                "SELECT id FROM run WHERE run_id = ? AND procedure = ? AND at = ?", (run_id, procedure, at)
            ).fetchone()[0]
            database.executemany(
                "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        self._subject(database, entry),
                        at,
                        run_number,
                        entry.severity,
                        entry.value,
                        entry.latency_ms,
                        self._reason(database, entry),
                    )
                    for entry in found
                ],
            )
        return len(found)

    def put_document(self, name: str, document: t.Mapping[str, t.Any], at: t.Optional[float] = None) -> None:
        """Keep `document` as the newest of its name.

        Args:
            name: `health`, `metrics`, `logs`, `alerts`, ...
            document: JSON types only.
            at: When it was made, in seconds since 1970 UTC; None for now.
        """
        written = _json(document)
        database = self._writable()
        with file.explained(self.path), file.transaction(database):
            database.execute(
                "INSERT OR REPLACE INTO document VALUES (?, ?, ?)", (text(name), time.time() if at is None else moment(at), written)
            )

    def prune(self, days: float, now: t.Optional[float] = None) -> int:
        """Forget results and runs older than `days`, and give their room back to the file system. Returns how many results went."""
        before = moment(time.time() if now is None else now) - days * _DAY_S
        database = self._writable()
        with file.explained(self.path):
            with file.transaction(database):
                # Answers bear the moment of their run, so both go together.
                gone = 0
                for (subject,) in database.execute("SELECT id FROM subject").fetchall():
                    gone += database.execute("DELETE FROM answer WHERE subject = ? AND at < ?", (subject, before)).rowcount
                runs = database.execute("DELETE FROM run WHERE at < ?", (before,)).rowcount
                if gone:
                    database.execute("DELETE FROM reason WHERE id NOT IN (SELECT reason FROM answer WHERE reason IS NOT NULL)")
                    database.execute("DELETE FROM subject WHERE NOT EXISTS (SELECT 1 FROM answer WHERE answer.subject = subject.id)")
            if not gone and not runs:
                return 0
            # `execute` takes one step of it, and each step frees one page; a script is stepped to its end.
            database.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def size_bytes(self) -> int:
        """What the history takes on disk, its log included."""
        return sum(os.stat(path).st_size for path in (self.path, self.path + "-wal") if os.path.exists(path))

    def _subject(self, database: sqlite3.Connection, entry: Entry) -> int:
        database.execute(
            "INSERT INTO subject (kind, name, component, unit) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (kind, name) DO UPDATE SET component = excluded.component, unit = excluded.unit "
            "WHERE component != excluded.component OR unit != excluded.unit",
            (entry.kind, entry.name, entry.component, entry.unit),
        )
        return int(database.execute("SELECT id FROM subject WHERE kind = ? AND name = ?", (entry.kind, entry.name)).fetchone()[0])

    def _reason(self, database: sqlite3.Connection, entry: Entry) -> t.Optional[int]:
        if not entry.reason:
            return None
        database.execute("INSERT OR IGNORE INTO reason (text) VALUES (?)", (entry.reason,))
        return int(database.execute("SELECT id FROM reason WHERE text = ?", (entry.reason,)).fetchone()[0])


def _json(document: t.Mapping[str, t.Any]) -> str:
    """JSON that every reader takes: what is no number there (RFC 8259, section 6) becomes null."""
    try:
        return json.dumps(document, separators=(",", ":"), default=str, allow_nan=False)
    except ValueError:
        plain = json.loads(json.dumps(document, default=str), parse_constant=lambda _constant: None)
        return json.dumps(plain, separators=(",", ":"))
