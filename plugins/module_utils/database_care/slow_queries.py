# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Slow queries: what pg_stat_statements has gathered, and what is slow at this moment.

Source: PostgreSQL manual, F.32 (pg_stat_statements). Its columns were renamed in version 13 (total_time to total_exec_time), and it tells
since when it counts from version 14 on (pg_stat_statements_info).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..errors import BadInput
from ..postgresql.connection import Connection, Session, identifier, literal
from ..readable import duration
from .blocking import described
from .sessions import Asking, activity
from .sql_text import without_values

ORDERS = ("mean", "total", "max", "calls")
_RENAMED_IN, _TELLS_SINCE_IN = 13, 14
_ISO_TIME = "to_char(stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"


@dataclass(frozen=True)
class SlowRequest:
    """What to look for.

    Attributes:
        connection: The server.
        database: The database whose queries are meant.
        warn_ms: Mean milliseconds from which on a query is slow.
        fail_ms: Mean milliseconds from which on it is far too slow.
        top: How many are told.
        order: `mean`, `total`, `max` or `calls`.
        min_calls: Queries that were called less often are left out.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
    """

    connection: Connection
    database: str
    warn_ms: float = 500
    fail_ms: float = 1000
    top: int = 10
    order: str = "mean"
    min_calls: int = 1
    expected_identifier: str = ""


_EXTENSION = """
SELECT json_build_object(
  'schema', (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'),
  'version', (SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'),
  'installable', EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'),
  'loaded', CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER')
                 THEN current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' END,
  'counting', current_setting('pg_stat_statements.track', true),
  'sees_all', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR pg_has_role('pg_read_all_stats', 'MEMBER'))
"""


def information(request: SlowRequest) -> t.Dict[str, t.Any]:
    """The slow queries of a database.

    Returns:
        `available` (whether the server gathers them), `next_steps` (how to have them gathered), `queries` (the slow ones, in the order that
        was asked for), `slow`, `far_too_slow` (how many there are in all), `counting_since`, `running` (slow at this moment), `verdict`.

    Raises:
        BadInput: A number makes no sense.
        Unreachable: No connection is to be had, or there is no such database.
        WrongTarget: The server is not the one that the inventory means.
    """
    if request.top < 0 or request.warn_ms < 0 or request.fail_ms < request.warn_ms:
        raise BadInput(
            "Which queries are slow makes no sense",
            why=f"warn_ms {request.warn_ms:g}, fail_ms {request.fail_ms:g}, top {request.top}",
            next_step="give numbers from 0 on, and a fail_ms that is not below warn_ms",
        )
    with Asking(request.connection, request.database, request.expected_identifier) as (session, info):
        now = activity(session)
        known = session.ask_json(_EXTENSION)
        steps = how_to_get_it(known, request.database)
        found = {} if steps else _gathered(session, request, known["schema"], info.major)
    running = sorted(
        (one for one in now.clients if one.database == request.database and (one.query_s or 0) * 1000 > request.warn_ms),
        key=lambda one: -(one.query_s or 0),
    )
    notes = []
    if not steps and not known["sees_all"]:
        notes.append("queries of other roles are counted without their text; grant our role pg_read_all_stats (in pg_monitor)")
    told = {
        "changed": False,
        "available": not steps,
        "next_steps": steps,
        "queries": found.get("queries", []),
        "slow": found.get("slow"),
        "far_too_slow": found.get("far_too_slow"),
        "counting_since": found.get("since"),
        "running": [{**described(one), "query_s": one.query_s} for one in running[: request.top]],
        "verdict": "unknown" if steps else "fail" if found["far_too_slow"] else "warn" if found["slow"] else "pass",
        "notes": notes,
    }
    return {**told, "summary": summary(told)}


def summary(told: t.Mapping[str, t.Any]) -> t.List[str]:
    """The slow queries in lines for a reader."""
    if told["available"]:
        since = f", counted since {told['counting_since']}" if told["counting_since"] else ""
        lines = [f"{told['slow']} queries are slow, {told['far_too_slow']} of them far too slow{since}"]
    else:
        lines = ["Nothing is gathered about queries. Next: " + "; ".join(told["next_steps"])]
    lines += [
        f"{one['mean_ms']:g} ms on average, {one['calls']} calls, {one['percent_of_time'] or 0:g} % of the time: {one['query']}"
        for one in told["queries"]
    ]
    return lines + [f"runs for {duration(one['query_s'])}, process {one['pid']} ({one['user']}): {one['query']}" for one in told["running"]]


def how_to_get_it(known: t.Mapping[str, t.Any], database: str) -> t.List[str]:
    """What is to be done until pg_stat_statements tells something; empty where it does."""
    steps = []
    if not known["schema"] and not known["installable"]:
        steps.append("install the package with PostgreSQL's additional modules (Debian: in the server's own package; elsewhere: contrib)")
    # A role that may not see the list of libraries sees the setting that only a loaded one brings.
    if known["loaded"] is False or (known["loaded"] is None and known["counting"] is None):
        steps.append("add pg_stat_statements to shared_preload_libraries and restart the server")
    if not known["schema"]:
        steps.append(f"CREATE EXTENSION pg_stat_statements in the database {database}, as a superuser")
    return steps


def _gathered(session: Session, request: SlowRequest, schema: str, major: int) -> t.Dict[str, t.Any]:
    time = "_exec_time" if major >= _RENAMED_IN else "_time"
    view = f"{identifier(schema)}.pg_stat_statements"
    order = {"mean": f"mean{time}", "total": f"total{time}", "max": f"max{time}", "calls": "calls"}[request.order]
    told = session.ask_json(
        f"""
        WITH ours AS (
            SELECT s.* FROM {view} s WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = {literal(request.database)})
        ), slow AS (
            SELECT * FROM ours WHERE mean{time} > {float(request.warn_ms)} AND calls >= {int(request.min_calls)}
        )
        SELECT json_build_object(
            'slow', (SELECT count(*) FROM slow),
            'far_too_slow', (SELECT count(*) FROM slow WHERE mean{time} > {float(request.fail_ms)}),
            'queries', (SELECT coalesce(json_agg(q ORDER BY q.place), '[]') FROM (
                SELECT row_number() OVER (ORDER BY {order} DESC, s.queryid) AS place, s.queryid::text AS id,
                    coalesce(r.rolname, '') AS "user", left(s.query, 10000) AS query, s.calls, s.rows,
                    round(mean{time}::numeric, 2) AS mean_ms, round(max{time}::numeric, 2) AS max_ms,
                    round(total{time}::numeric, 2) AS total_ms,
                    round((100 * total{time} / nullif((SELECT sum(total{time}) FROM ours), 0))::numeric, 1) AS percent_of_time,
                    round(100.0 * shared_blks_hit / nullif(shared_blks_hit + shared_blks_read, 0), 1) AS cache_hit_percent,
                    temp_blks_written * current_setting('block_size')::int AS temporary_bytes
                FROM slow s LEFT JOIN pg_roles r ON r.oid = s.userid
                ORDER BY place LIMIT {int(request.top)}) q))
        """
    )
    for query in told["queries"]:
        query.pop("place")
        query["query"] = without_values(query["query"] or "")
        query["verdict"] = "fail" if query["mean_ms"] > request.fail_ms else "warn"
    if major >= _TELLS_SINCE_IN:
        told["since"] = session.ask(f"SELECT {_ISO_TIME} FROM {identifier(schema)}.pg_stat_statements_info").strip()
    return dict(told)
