# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Comparing while loading: a table is hashed as soon as its rows have arrived."""

from __future__ import annotations

import typing as t

from .connection import Connection, Session
from .fingerprint import Table, TableHasher, tables


class EarlyHasher:
    """Hashes each table as soon as its rows have arrived, while indexes are still being built, and the rest in the end."""

    def __init__(self, connection: Connection, database: str, version_num: int, jobs: int) -> None:
        self._connection, self._database = connection, database
        self._known: t.Dict[str, Table] = {}
        self._added: t.Set[str] = set()
        self._hasher = TableHasher(connection, database, version_num, jobs=jobs)

    def loaded(self, label: str) -> None:
        """The rows of this table have arrived."""
        if not self._known:
            with Session(self._connection, self._database) as session:
                self._known = {table.label: table for table in tables(session)}
        if label in self._known and label not in self._added:
            self._added.add(label)
            self._hasher.add(self._known[label])

    def rest(self, found: t.Sequence[Table]) -> t.Callable[[], t.Dict[str, t.Dict[str, t.Any]]]:
        """Hash what `loaded` has not named; returns what waits for all results."""
        for table in found:
            if table.label not in self._added:
                self._hasher.add(table)
        return self._hasher.finish

    def abandon(self) -> None:
        """Give up."""
        self._hasher.abandon()
