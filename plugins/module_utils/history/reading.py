# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What can be learned from a history; everything is counted and sorted by SQLite, so that a year stays quick."""

from __future__ import annotations

import json
import math
import sqlite3
import typing as t

from ..errors import BadInput
from . import file
from .entry import CHECK, KINDS, VERDICTS, text

HOUR_S, DAY_S = 3600, 86400
_FIRST, _LAST = -1e300, 1e300
_COLUMNS = ("value", "latency_ms")

_Self = t.TypeVar("_Self", bound="Reading")
Row = t.Dict[str, t.Any]
Moment = t.Optional[float]


class Reading:
    """The reading half of `History`. Times are seconds since 1970 UTC; `since` is included, `until` is not; None leaves that end open.

    A result is of a `kind` (`check` or `metric`) and a name. `of` says which number of it is meant: `value`, or `latency_ms`.
    """

    def __init__(self, path: str, database: t.Optional[sqlite3.Connection]) -> None:
        self.path = path
        self._database = database

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    @property
    def exists(self) -> bool:
        """Whether there is a history to read."""
        return self._database is not None

    def names(self, kind: str) -> t.List[str]:
        """What there are results of, in the order of the alphabet."""
        return [row[0] for row in self._rows("SELECT name FROM subject WHERE kind = ? ORDER BY name", (_kind(kind),))]

    def latest(self, kind: str) -> t.List[Row]:
        """The newest result of each name: at, kind, name, component, verdict, value, unit, latency_ms, reason, run_id."""
        rows = self._rows(
            "SELECT answer.at, subject.kind, subject.name, subject.component, answer.verdict, answer.value, subject.unit, "
            "answer.latency_ms, coalesce(reason.text, ''), run.run_id "
            "FROM subject JOIN answer ON answer.subject = subject.id "
            "AND answer.at = (SELECT max(at) FROM answer AS newest WHERE newest.subject = subject.id) "
            "JOIN run ON run.id = answer.run LEFT JOIN reason ON reason.id = answer.reason "
            "WHERE subject.kind = ? ORDER BY subject.name, answer.run",
            (_kind(kind),),
        )
        keys = ("at", "kind", "name", "component", "verdict", "value", "unit", "latency_ms", "reason", "run_id")
        newest = {row[2]: dict(zip(keys, row)) for row in rows}
        return [{**row, "verdict": VERDICTS[row["verdict"]]} for row in newest.values()]

    def series(
        self, kind: str, name: str, since: Moment = None, until: Moment = None, *, of: str = "value"
    ) -> t.List[t.Tuple[float, float]]:
        """The numbers over time, the oldest first, moments without one left out."""
        column = _column(of)
        return self._rows(
            f"SELECT at, {column} FROM answer WHERE subject = ({_SUBJECT}) AND at >= ? AND at < ? AND {column} IS NOT NULL ORDER BY at",
            (_kind(kind), name, *_span(since, until)),
        )

    def verdicts(self, kind: str, name: str, since: Moment = None, until: Moment = None) -> t.List[t.Tuple[float, str]]:
        """The verdicts over time, the oldest first."""
        rows = self._rows(
            f"SELECT at, verdict FROM answer WHERE subject = ({_SUBJECT}) AND at >= ? AND at < ? ORDER BY at",
            (_kind(kind), name, *_span(since, until)),
        )
        return [(at, VERDICTS[verdict]) for at, verdict in rows]

    def counts(self, kind: str, name: str, since: Moment = None, until: Moment = None) -> t.Dict[str, int]:
        """How often each verdict was given."""
        rows = self._rows(
            f"SELECT verdict, count(*) FROM answer WHERE subject = ({_SUBJECT}) AND at >= ? AND at < ? GROUP BY verdict",
            (_kind(kind), name, *_span(since, until)),
        )
        return {**dict.fromkeys(VERDICTS.values(), 0), **{VERDICTS[verdict]: count for verdict, count in rows}}

    def availability(self, check: str, since: Moment = None, until: Moment = None) -> t.Tuple[t.Optional[float], int]:
        """The share of answers that were `pass` or `warn`, from 0 to 1, and how many answers it stands on.

        What is `unknown` was not measured: it counts neither for nor against, `counts` tells how often it was. Without any
        answer the share is None.
        """
        counts = self.counts(CHECK, check, since, until)
        good = counts["pass"] + counts["warn"]
        samples = good + counts["fail"]
        return (good / samples if samples else None), samples

    def percentiles(
        self,
        kind: str,
        name: str,
        quantiles: t.Sequence[float] = (0.5, 0.95, 0.99),
        since: Moment = None,
        until: Moment = None,
        *,
        of: str = "value",
    ) -> t.Dict[float, t.Optional[float]]:
        """The numbers below which these shares of all lie, by nearest rank (the smallest number that at least that share does not exceed).

        Raises:
            BadInput: A quantile is not between 0 and 1.
        """
        wrong = [quantile for quantile in quantiles if not 0 <= quantile <= 1]
        if wrong:
            raise BadInput("Percentiles are asked for that do not exist", why=f"{wrong} is not between 0 and 1", next_step="ask for 0.95")
        column = _column(of)
        where = f"FROM answer WHERE subject = ({_SUBJECT}) AND at >= ? AND at < ? AND {column} IS NOT NULL"
        terms = (_kind(kind), name, *_span(since, until))
        counted = self._rows(f"SELECT count(*) {where}", terms)
        count = counted[0][0] if counted else 0
        if not count:
            return dict.fromkeys(quantiles)
        ranks = {quantile: max(1, math.ceil(round(quantile * count, 6))) for quantile in quantiles}
        wanted = ", ".join(str(rank) for rank in set(ranks.values()))
        rows = self._rows(
            f"SELECT rank, {column} FROM (SELECT row_number() OVER (ORDER BY {column}) AS rank, {column} {where}) WHERE rank IN ({wanted})",
            terms,
        )
        numbers = dict(rows)
        return {quantile: numbers[rank] for quantile, rank in ranks.items()}

    def buckets(
        self, kind: str, name: str, since: Moment = None, until: Moment = None, *, step_s: float = HOUR_S, of: str = "value"
    ) -> t.List[Row]:
        """The results put together by stretches of time of `step_s` seconds (`HOUR_S`, `DAY_S`), which begin at multiples of it in UTC.

        Each has `at` (its beginning), `samples` (results with a number), `minimum`, `mean`, `maximum`, `p50`, `p95`, and how
        many results were `pass`, `warn`, `fail` and `unknown`. Stretches without any result are left out.

        Raises:
            BadInput: The stretch is not longer than nothing.
        """
        if not 0 < step_s < _LAST:
            raise BadInput(
                "Stretches of time must be longer than nothing", why=f"step_s is {step_s}", next_step="give seconds, such as 3600"
            )
        column = _column(of)
        rows = self._rows(
            "WITH chosen AS ("
            f"SELECT CAST(floor_at / ? AS INTEGER) AS bucket, verdict, number FROM (SELECT at AS floor_at, verdict, {column} AS number "
            f"FROM answer WHERE subject = ({_SUBJECT}) AND at >= ? AND at < ?)), "
            "ranked AS (SELECT bucket, verdict, number, "
            "row_number() OVER (PARTITION BY bucket, number IS NULL ORDER BY number) AS rank, "
            "count(number) OVER (PARTITION BY bucket) AS samples FROM chosen) "
            "SELECT bucket, max(samples), min(number), avg(number), max(number), "
            "min(CASE WHEN number IS NOT NULL AND rank * 100 >= samples * 50 THEN number END), "
            "min(CASE WHEN number IS NOT NULL AND rank * 100 >= samples * 95 THEN number END), "
            "sum(verdict = 0), sum(verdict = 1), sum(verdict = 3), sum(verdict = 2) FROM ranked GROUP BY bucket ORDER BY bucket",
            (step_s, _kind(kind), name, *_span(since, until)),
        )
        keys = ("at", "samples", "minimum", "mean", "maximum", "p50", "p95", "pass", "warn", "fail", "unknown")
        return [dict(zip(keys, (row[0] * step_s, *row[1:]))) for row in rows]

    def runs(self, procedure: str = "", since: Moment = None, until: Moment = None, *, limit: int = 100) -> t.List[Row]:
        """The recorded runs, the newest first: at, run_id, procedure, verdict, severity, score, summary."""
        rows = self._rows(
            "SELECT at, run_id, procedure, verdict, severity, score, summary FROM run "
            "WHERE (? = '' OR procedure = ?) AND at >= ? AND at < ? ORDER BY at DESC, id DESC LIMIT ?",
            (procedure, procedure, *_span(since, until), limit),
        )
        return [dict(zip(("at", "run_id", "procedure", "verdict", "severity", "score", "summary"), row)) for row in rows]

    def document(self, name: str) -> t.Optional[Row]:
        """The newest document of that name with the moment `at` of its making added as `recorded_at`; None when there is none."""
        rows = self._rows("SELECT at, json FROM document WHERE name = ?", (name,))
        if not rows:
            return None
        try:
            return {**json.loads(rows[0][1]), "recorded_at": rows[0][0]}
        except (TypeError, ValueError):
            return None

    def _rows(self, statement: str, values: t.Sequence[t.Any]) -> t.List[t.Any]:
        if self._database is None:
            return []
        with file.explained(self.path):
            return self._database.execute(statement, [text(value) if isinstance(value, str) else value for value in values]).fetchall()

    def _writable(self) -> sqlite3.Connection:
        if self._database is None:
            raise BadInput("The history is not open", where=self.path, next_step="open it for writing")
        return self._database


_SUBJECT = "SELECT id FROM subject WHERE kind = ? AND name = ?"


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise BadInput("There is no such kind of result", why=f"{kind!r} is none of {', '.join(KINDS)}", next_step="ask for one of these")
    return kind


def _column(of: str) -> str:
    if of not in _COLUMNS:
        raise BadInput("A result has no such number", why=f"{of!r} is none of {', '.join(_COLUMNS)}", next_step="ask for one of these")
    return of


def _span(since: Moment, until: Moment) -> t.Tuple[float, float]:
    return _FIRST if since is None else float(since), _LAST if until is None else float(until)
