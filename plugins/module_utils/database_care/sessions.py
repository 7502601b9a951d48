# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The sessions of a PostgreSQL server: who is connected, what they do, what they wait for, and how full the server is.

Source of the columns: PostgreSQL manual, 27.2.3 (pg_stat_activity), 52.16 (pg_prepared_xacts), 52.19 (pg_replication_slots); the functions:
9.27.3. Everything is asked in one session, because a server that runs out of connections may have no second one to give.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..errors import RunbookError, Unreachable
from ..postgresql.connection import STEADY_SETTINGS, Connection, Session
from ..postgresql.server_info import ServerInfo, guard_identity, server_info

CLIENT = "client backend"
ASKING_TIMEOUT_S = 30
"""The catalogue answers in milliseconds; a server that does not within this is not well."""

# To see the sessions of others takes pg_read_all_stats (in pg_monitor); rows that may not be seen say so in `query`, and show only
# process, database and role. pg_blocking_pids() takes a lock on the whole table of locks for a moment, so only for those that wait.
_SESSIONS = """
WITH advisory AS (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)
SELECT json_build_object(
  'max_connections', current_setting('max_connections')::int,
  'reserved_connections', current_setting('superuser_reserved_connections')::int
      + coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int,
  'own_pid', pg_backend_pid(),
  'sessions', (SELECT coalesce(json_agg(json_build_object(
      'pid', a.pid, 'database', coalesce(a.datname, ''), 'user', coalesce(a.usename, ''), 'application', coalesce(a.application_name, ''),
      'client', coalesce(host(a.client_addr), ''),
      'visible', a.query IS DISTINCT FROM '<insufficient privilege>',
      'kind', coalesce(a.backend_type, CASE WHEN a.datid IS NULL THEN 'unknown' ELSE 'client backend' END),
      'state', coalesce(a.state, ''), 'connected_at', a.backend_start::text, 'state_since', coalesce(a.state_change::text, ''),
      'state_s', round(extract(epoch FROM clock_timestamp() - a.state_change)::numeric, 3),
      'transaction_s', round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric, 3),
      'query_s', CASE WHEN a.state = 'active' THEN round(extract(epoch FROM clock_timestamp() - a.query_start)::numeric, 3) END,
      'waits_for', coalesce(a.wait_event_type || ': ' || a.wait_event, ''),
      'blocked_by', CASE WHEN a.wait_event_type = 'Lock' THEN to_json(pg_blocking_pids(a.pid)) ELSE '[]' END,
      'advisory_locks', (SELECT count(*) FROM advisory l WHERE l.pid = a.pid),
      'superuser', coalesce(r.rolsuper, false),
      'may_be_ended', own.rolsuper OR (NOT coalesce(r.rolsuper, true)
          AND (pg_has_role('pg_signal_backend', 'MEMBER') OR pg_has_role(a.usesysid, 'MEMBER'))),
      'query', left(a.query, 10000)) ORDER BY a.backend_start, a.pid), '[]')
    FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
    CROSS JOIN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) own),
  'prepared', (SELECT coalesce(json_agg(json_build_object('name', gid, 'database', database, 'user', owner,
      'age_s', round(extract(epoch FROM clock_timestamp() - prepared)::numeric, 3)) ORDER BY prepared), '[]') FROM pg_prepared_xacts),
  'slots', (SELECT coalesce(json_agg(json_build_object('name', s.slot_name, 'kind', s.slot_type, 'active', s.active,
      'retained_bytes', pg_wal_lsn_diff(
          CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn),
      'held_back_transactions', greatest(age(s.xmin), age(s.catalog_xmin)),
      'wal_status', to_json(s)->>'wal_status') ORDER BY s.slot_name), '[]')
    FROM pg_replication_slots s),
  'limits', (SELECT coalesce(json_agg(l), '[]') FROM (
      SELECT 'database' AS kind, d.datname AS name, d.datconnlimit AS allowed,
          (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid) AS used
      FROM pg_database d WHERE d.datconnlimit > 0
      UNION ALL
      SELECT 'role', r.rolname, r.rolconnlimit, (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid)
      FROM pg_roles r WHERE r.rolconnlimit > 0 AND NOT r.rolsuper AND r.rolname !~ '^pg_') l))
"""


@dataclass(frozen=True)
class One:
    """A session, as pg_stat_activity shows it.

    Attributes:
        pid: Process id of its backend.
        connected_at: When it began; with `pid` it is this session and no later one.
        state_since: When it came into its state; while it is the same, nothing has happened in the session.
        visible: Whether our role may see more than that it exists.
        kind: `client backend`, `walsender`, `autovacuum worker`, ...
        state_s: Seconds in its state; None for processes without one.
        transaction_s: Seconds since its transaction began; None for none.
        query_s: Seconds since its running query began; None when none runs.
        blocked_by: Processes that hold, or ask before it for, the lock that it waits for; 0 for a prepared transaction.
        advisory_locks: How many locks it holds that only the application knows the meaning of; an idle session may hold some for good.
        superuser: Whether its role is one.
        may_be_ended: Whether our role has the right to end it.
        query: Its running query, or its last one, with all values in it: not to be shown (`sql_text.without_values`).
    """

    pid: int
    database: str = ""
    user: str = ""
    application: str = ""
    client: str = ""
    visible: bool = True
    kind: str = CLIENT
    state: str = ""
    connected_at: str = ""
    state_since: str = ""
    state_s: t.Optional[float] = None
    transaction_s: t.Optional[float] = None
    query_s: t.Optional[float] = None
    waits_for: str = ""
    blocked_by: t.Sequence[int] = ()
    advisory_locks: int = 0
    superuser: bool = False
    may_be_ended: bool = True
    query: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """Who that is, for a reader."""
        name = f" ({self.application})" if self.application else ""
        return f"{self.pid}, {self.user or 'no role'}{name}" + (f" from {self.client}" if self.client else "")


@dataclass(frozen=True)
class Activity:
    """What a server does at a moment.

    Attributes:
        sessions: All its processes that pg_stat_activity lists, the oldest first.
        max_connections: The server's setting.
        reserved_connections: How many of them are kept for superusers and for roles with pg_use_reserved_connections.
        own_pid: The process that answered.
        prepared: Transactions that were prepared for two-phase commit and not ended: `name`, `database`, `user`, `age_s`.
        slots: Replication slots: `name`, `kind`, `active`, `retained_bytes`, `held_back_transactions`, `wal_status`.
        limits: Databases and roles with a limit of their own: `kind`, `name`, `allowed`, `used`.
    """

    sessions: t.Sequence[One]
    max_connections: int = 100
    reserved_connections: int = 3
    own_pid: int = 0
    prepared: t.Sequence[t.Mapping[str, t.Any]] = ()
    slots: t.Sequence[t.Mapping[str, t.Any]] = ()
    limits: t.Sequence[t.Mapping[str, t.Any]] = ()

    @property
    def clients(self) -> t.List[One]:
        """The sessions of clients, but for the one that asked."""
        return [one for one in self.sessions if one.kind == CLIENT and one.pid != self.own_pid]


def activity(session: Session) -> Activity:
    """What the server does now."""
    told = session.ask_json(_SESSIONS)
    return Activity(**{**told, "sessions": [One(**one) for one in told["sessions"]]})


class Asking:
    """A session with the catalogue of the server that the inventory means; a context manager that gives `(session, server)`.

    Raises:
        Unreachable: No connection; the message says so when the server has none left.
        WrongTarget: The server is not the one that the inventory means.
    """

    def __init__(self, connection: Connection, database: str = "", expected_identifier: str = "") -> None:
        self._connection, self._expected = connection, expected_identifier
        settings = {**STEADY_SETTINGS, "statement_timeout": str(ASKING_TIMEOUT_S * 1000)}
        self._session = Session(connection, database or None, settings)

    def __enter__(self) -> t.Tuple[Session, ServerInfo]:
        self._session.__enter__()
        try:
            info = server_info(self._session)
            guard_identity(info, self._expected, self._connection)
        except BaseException as error:
            self._session.__exit__()
            if isinstance(error, RunbookError):
                raise full_or(error) from error
            raise
        return self._session, info

    def __exit__(self, *error: t.Any) -> None:
        self._session.__exit__(*error)


_FULL = ("too many clients", "too many connections", "remaining connection slots are reserved")


def full_or(error: RunbookError) -> RunbookError:
    """`error` with the way out, where a login was refused because no connection is left (SQLSTATE 53300)."""
    if not isinstance(error, Unreachable) or not any(words in error.why for words in _FULL):
        return error
    return Unreachable(
        "All connections are in use",
        where=error.where,
        why=error.why,
        next_step="log in as a superuser, for whom superuser_reserved_connections are kept (PostgreSQL 16 and newer: or as a role with "
        "pg_use_reserved_connections); where those are taken too, stop a client of the database",
    )
