# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Who stands in the way of maintenance: transactions, and what else keeps the server from forgetting old rows."""

from __future__ import annotations

import typing as t

from ..postgresql.connection import Session, literal
from ..readable import duration
from .sessions import Activity

HOLDS_BACK_S = 60
"""A transaction that is open for longer is told, because rows that died since it began cannot be removed."""


def held_back(now: Activity, database: str) -> t.List[str]:
    """What keeps dead rows from being removed, in sentences."""
    sessions = [
        f"the transaction of {one.label}, open for {duration(one.transaction_s)}"
        for one in now.clients
        if one.database == database and (one.transaction_s or 0) > HOLDS_BACK_S
    ]
    prepared = [
        f"the prepared transaction {one['name']!r}, {duration(one['age_s'])} old"
        for one in now.prepared
        if one["database"] == database and one["age_s"] > HOLDS_BACK_S
    ]
    slots = [f"the replication slot {one['name']}" for one in now.slots if one["held_back_transactions"] and not one["active"]]
    return sessions + prepared + slots


# A rebuild waits for all who use the table, and for all who look at the database as it was before; not for those who only have a
# transaction open (manual, REINDEX: Rebuilding Indexes Concurrently).
_IN_THE_WAY = """
WITH this AS (SELECT oid FROM pg_database WHERE datname = current_database())
SELECT coalesce(json_agg(json_build_object('who', format('%s, %s (%s)', a.pid, a.usename, a.application_name), 'age_s',
    round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric, 3)) ORDER BY a.xact_start), '[]')
FROM pg_stat_activity a, this
WHERE a.datid = this.oid AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
    AND a.xact_start < clock_timestamp() - {age_s} * interval '1 s'
    AND (a.backend_xmin IS NOT NULL OR EXISTS (
        SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.database = this.oid AND l.relation = to_regclass({table})))
"""


def in_the_way(session: Session, table: str, longer_than_s: float) -> str:
    """Who would hold up a rebuild and already has for longer than it may wait; empty for nobody.

    Args:
        session: In the database.
        table: Quoted name of the table.
        longer_than_s: Seconds.
    """
    found = session.ask_json(_IN_THE_WAY.format(age_s=float(longer_than_s), table=literal(table)))
    return "; ".join(f"the transaction of {one['who']}, open for {duration(one['age_s'])}" for one in found)
