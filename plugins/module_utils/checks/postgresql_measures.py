# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Queries for what is most often measured of a PostgreSQL server, from version 10 on.

Source: postgresql.org/docs/current/monitoring-stats.html. An account that may not see other sessions (pg_read_all_stats, in
pg_monitor) gets their rows with almost everything empty: a measure that needs more says so instead of counting what it sees.
"""

from __future__ import annotations

import typing as t

_CLIENTS = "FROM pg_stat_activity WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'"
"""Sessions of clients; their database is shown to every account, the kind of process is not."""
_BLIND = "'the account may not see other sessions; grant it pg_monitor'"
_SEES_ALL = "bool_and(query IS DISTINCT FROM '<insufficient privilege>')"

MEASURES: t.Mapping[str, str] = {
    # What is reserved for superusers (superuser_reserved_connections) is no room for the service.
    "connections_percent": "SELECT round(100.0 * count(*) / greatest(1, current_setting('max_connections')::int"
    f" - current_setting('superuser_reserved_connections')::int), 2) {_CLIENTS}",
    "connections": f"SELECT count(*) {_CLIENTS}",
    "idle_in_transaction": f"SELECT CASE WHEN {_SEES_ALL}"
    f" THEN (count(*) FILTER (WHERE state LIKE 'idle in transaction%'))::text ELSE {_BLIND} END {_CLIENTS}",
    "longest_transaction_s": f"SELECT CASE WHEN {_SEES_ALL} THEN round(coalesce(extract(epoch FROM"
    " max(clock_timestamp() - xact_start) FILTER (WHERE pid <> pg_backend_pid())), 0)::numeric, 3)::text"
    f" ELSE {_BLIND} END {_CLIENTS}",
    "database_size_bytes": "SELECT pg_database_size(current_database())",
    # On a standby: nothing, while it receives and has replayed all that it received; else the age of what it replayed last.
    # On a primary: the lag of the standby that is farthest behind, which is empty for one that has caught up and idles.
    "replication_lag_s": "SELECT CASE WHEN pg_is_in_recovery() THEN CASE WHEN EXISTS (SELECT FROM pg_stat_wal_receiver)"
    " AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN '0' ELSE coalesce(round(extract(epoch FROM"
    " clock_timestamp() - pg_last_xact_replay_timestamp())::numeric, 3)::text, 'the standby has replayed nothing yet') END"
    " ELSE (SELECT CASE WHEN count(*) = 0 THEN 'no standby is connected' WHEN bool_or(state IS NULL)"
    " THEN 'the account may not see the standbys; grant it pg_monitor' WHEN bool_or(state <> 'streaming')"
    " THEN 'a standby is connected and not streaming' ELSE round(coalesce(extract(epoch FROM"
    " max(greatest(write_lag, flush_lag, replay_lag))), 0)::numeric, 3)::text END FROM pg_stat_replication) END",
}
"""A query for each measure; it gives a number, or a text that says why there is none."""
