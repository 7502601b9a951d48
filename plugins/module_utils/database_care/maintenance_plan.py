# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What maintenance a database needs, in the order of need. Decides from what was found, changes nothing and asks nobody."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..readable import size
from .inspection import Found, Index, Table, is_left_behind

DROP, VACUUM, ANALYZE, REINDEX = "drop", "vacuum_analyze", "analyze", "reindex"
STEPS = (VACUUM, ANALYZE, REINDEX)


@dataclass(frozen=True)
class Rules:
    """From which state on something is done.

    Attributes:
        steps: What may be done: `vacuum_analyze`, `analyze`, `reindex`. Leftovers of killed runs go with `reindex`.
        everything: Whether every table is vacuumed and analysed, needed or not.
        dead_percent: Dead rows, in percent of all, ...
        dead_rows: ... and at least so many, for a table to be vacuumed.
        changed_percent: Rows changed since the last ANALYZE, in percent, for a table to be analysed.
        freeze_percent: Age of its oldest row, in percent of what makes the server vacuum it by itself.
        waste_percent: Share of an index that holds nothing, ... An index that grows at random places settles at about 69 % full (Yao 1978),
            where a fresh one is 90 %: below 30 a rebuild would only be undone.
        waste_bytes: ... and at least so many bytes, for it to be rebuilt.
        tables: Only these, as `name` or `schema.name`; empty for all.
    """

    steps: t.Sequence[str] = (VACUUM, REINDEX)
    everything: bool = False
    dead_percent: float = 5
    dead_rows: int = 1000
    changed_percent: float = 10
    freeze_percent: float = 50
    waste_percent: float = 40
    waste_bytes: int = 10_000_000
    tables: t.Sequence[str] = ()


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        action: `drop`, `vacuum_analyze`, `analyze` or `reindex`.
        label: The quoted name of the table or index.
        reason: Why.
        table: The quoted name of the table that it is about.
        need: The larger, the sooner; comparable within an action.
        bytes: Size of the table or index.
    """

    action: str
    label: str
    reason: str
    table: str = ""
    need: float = field(default=0, compare=False)
    bytes: int = 0

    @property
    def sentence(self) -> str:
        """What is done, for a reader."""
        verb = {DROP: "drop", VACUUM: "vacuum and analyse", ANALYZE: "analyse", REINDEX: "rebuild"}[self.action]
        return f"{verb} {self.label} ({size(self.bytes)}): {self.reason}"


@dataclass(frozen=True)
class Plan:
    """The steps in their order, and what is told besides.

    Attributes:
        steps: Leftovers first, because every write pays for them; then tables, then indexes, each by need.
        notes: What needs a person.
    """

    steps: t.Sequence[Step]
    notes: t.Sequence[str]


def plan_maintenance(found: Found, rules: Rules) -> Plan:
    """Decide what is done."""
    tables = [one for one in found.tables if _meant(one.schema, one.name, rules)]
    indexes = [one for one in found.indexes if _meant(one.schema, one.table, rules)]
    steps: t.List[Step] = []
    notes: t.List[str] = []
    left = [one for one in indexes if is_left_behind(one, found.indexes)]
    if REINDEX in rules.steps:
        steps += [_drop(one) for one in left if one.ours]
    wanted = [step for step in (_care(one, found, rules) for one in tables if one.ours) if step]
    steps += sorted(wanted, key=lambda step: (-step.need, step.label))
    if REINDEX in rules.steps:
        rebuilt = [step for step in (_rebuild(one, rules) for one in indexes if one.ours and one not in left) if step]
        steps += sorted(rebuilt, key=lambda step: (-step.need, step.label))
    theirs = sum(1 for one in tables if not one.ours)
    if theirs:
        notes.append(f"our role may not maintain {theirs} of {len(tables)} tables, which belong to others")
    for one in indexes:
        if not one.valid and not one.being_built and one not in left:
            notes.append(f"the index {one.label} cannot be used: its CREATE INDEX CONCURRENTLY has failed. Rebuild it or drop it")
    for table in tables:
        if table.waste_bytes is not None and _is_waste(table.waste_bytes, table.bytes, rules):
            notes.append(
                f"about {size(table.waste_bytes)} of {table.label} hold nothing. New rows will use them; only pg_repack gives them back, "
                "or VACUUM FULL while nobody uses the table"
            )
    return Plan(steps, notes)


def _meant(schema: str, table: str, rules: Rules) -> bool:
    return not rules.tables or table in rules.tables or f"{schema}.{table}" in rules.tables


def _drop(index: Index) -> Step:
    reason = "a rebuild that was killed has left it; nobody can use it and every write pays for it"
    return Step(DROP, index.label, reason, Table(index.schema, index.table).label, 0, index.bytes)


def _care(table: Table, found: Found, rules: Rules) -> t.Optional[Step]:
    """What a table needs: age first, because a server that runs out of transaction numbers stops; then dead rows, then statistics."""
    vacuum, analyze = VACUUM in rules.steps, VACUUM in rules.steps or ANALYZE in rules.steps
    if table.kind == "p":  # no rows of its own, so nothing to vacuum; but only ANALYZE tells the planner about the whole
        vacuum = False
    age = 100.0 * table.unvacuumed_transactions / max(found.freeze_at, 1)
    dead = 100.0 * table.dead / max(table.dead + max(table.rows, 0), 1)
    changed = 100.0 * table.changed / max(table.rows, 1)
    if vacuum and age > rules.freeze_percent:
        return _step(VACUUM, table, 1e6 + age, f"its oldest row is {table.unvacuumed_transactions} transactions old")
    if vacuum and table.dead >= max(rules.dead_rows, 1) and dead > rules.dead_percent:
        return _step(VACUUM, table, 1e3 + dead, f"{table.dead} of its rows are dead ({dead:.0f} %)")
    action = VACUUM if vacuum else ANALYZE
    if analyze and not table.analyzed and (table.rows != 0 or table.bytes > 0 or table.kind == "p"):
        return _step(action, table, 500, "the planner knows nothing of it")
    if analyze and table.changed and changed > rules.changed_percent:
        return _step(action, table, min(changed, 400), f"{table.changed} of its rows have changed since it was analysed ({changed:.0f} %)")
    return _step(action, table, 0, "every table was asked for") if rules.everything and analyze else None


def _step(action: str, table: Table, need: float, reason: str) -> Step:
    return Step(action, table.label, reason, table.label, need, table.bytes)


def _rebuild(index: Index, rules: Rules) -> t.Optional[Step]:
    if not index.valid or index.exclusion or index.being_built or index.waste_bytes is None:
        return None
    if not _is_waste(index.waste_bytes, index.bytes, rules):
        return None
    reason = f"about {size(index.waste_bytes)} of it hold nothing"
    return Step(REINDEX, index.label, reason, Table(index.schema, index.table).label, float(index.waste_bytes), index.bytes)


def _is_waste(waste: int, whole: int, rules: Rules) -> bool:
    return waste >= max(rules.waste_bytes, 1) and 100.0 * waste / max(whole, 1) > rules.waste_percent
