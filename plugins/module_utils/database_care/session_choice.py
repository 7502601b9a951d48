# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which sessions may be ended: those that fit what was asked for, and none that somebody will miss."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .blocking import PREPARED, roots
from .sessions import CLIENT, Activity, One
from .sql_text import first_words

OWN_APPLICATION = "sre.runbooks"
"""How every session of this collection names itself."""
MAINTENANCE_APPLICATIONS = (
    "pg_dump*", "pg_restore*", "pg_basebackup*", "pg_receivewal*", "pg_recvlogical*", "pg_rewind*", "pg_upgrade*", "vacuumdb*",
    "reindexdb*", "clusterdb*", "pg_amcheck*", "pg_repack*", "pgbackrest*", "pgBackRest*", "barman*", "wal-g*", "patroni*", "Patroni*",
    "repmgr*",
)  # fmt: skip
"""Names by which programs that back up, replicate or maintain call themselves (application_name)."""
MAINTENANCE_STATEMENTS = ("VACUUM", "ANALYZE", "REINDEX", "CLUSTER", "CREATE INDEX", "CREATE UNIQUE", "REFRESH MATERIALIZED", "CHECKPOINT")
IDLE, ACTIVE, IN_TRANSACTION, ABORTED = "idle", "active", "idle in transaction", "idle in transaction (aborted)"
STATES = (IDLE, IN_TRANSACTION, ABORTED, ACTIVE)


@dataclass(frozen=True)
class Wanted:
    """Which sessions are meant, and which of them stay.

    Attributes:
        states: In one of these states, ...
        older_than_s: ... for longer than this many seconds.
        only_blocking: Only those that hold others up and wait for nobody themselves.
        databases: Only of these; empty for all.
        users: Only of these roles; empty for all.
        applications: Only those whose application fits one of these patterns; empty for all.
        spare_users: Never those of these roles.
        spare_applications: Never those whose application fits one of these patterns.
        spare_superusers: Never those of superusers.
        most: How many at most, the longest in their state first.
    """

    states: t.Sequence[str] = (IDLE,)
    older_than_s: float = 600
    only_blocking: bool = False
    databases: t.Sequence[str] = ()
    users: t.Sequence[str] = ()
    applications: t.Sequence[str] = ()
    spare_users: t.Sequence[str] = ()
    spare_applications: t.Sequence[str] = ()
    spare_superusers: bool = True
    most: int = 50


@dataclass(frozen=True)
class Choice:
    """What `choose` decided.

    Attributes:
        chosen: The sessions to end, the longest in their state first.
        spared: Those that fit and stay, each with the reason.
        beyond: How many more fit than may be ended at once.
    """

    chosen: t.Sequence[One]
    spared: t.Sequence[t.Tuple[One, str]]
    beyond: int

    @property
    def plan(self) -> t.List[str]:
        """What is done, in sentences."""
        return [
            f"{'cancel the query of' if one.state == ACTIVE else 'end'} {one.label}: {one.state} for {one.state_s or 0:.0f} s"
            for one in self.chosen
        ]


def choose(now: Activity, wanted: Wanted) -> Choice:
    """Decide which sessions are ended. Changes nothing and asks nobody."""
    blocking = set(roots(now.sessions)) - {PREPARED}
    fitting = sorted((one for one in now.sessions if _fits(one, wanted, blocking)), key=lambda one: (-(one.state_s or 0), one.pid))
    spared = [(one, reason) for one in fitting for reason in [_why_not(one, now, wanted)] if reason]
    staying = {one.pid for one, _reason in spared}
    free = [one for one in fitting if one.pid not in staying]
    most = max(wanted.most, 0)
    return Choice(free[:most], spared, len(free[most:]))


def _fits(one: One, wanted: Wanted, blocking: t.Set[int]) -> bool:
    return (
        one.state in wanted.states
        and (one.state_s or 0) > wanted.older_than_s
        and (not wanted.only_blocking or one.pid in blocking)
        and (not wanted.databases or one.database in wanted.databases)
        and (not wanted.users or one.user in wanted.users)
        and (not wanted.applications or _one_of(one.application, wanted.applications))
    )


def _one_of(name: str, patterns: t.Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _why_not(one: One, now: Activity, wanted: Wanted) -> str:
    """Why a session that fits stays all the same; empty when nothing protects it."""
    reasons = (
        (one.pid == now.own_pid or one.application.startswith(OWN_APPLICATION), "it is one of ours"),
        (one.kind == "walsender", "it is replication"),
        (one.kind != CLIENT, f"it is no client but the server's own ({one.kind})"),
        (not one.visible, "our role may not see what it does"),
        (_one_of(one.application, MAINTENANCE_APPLICATIONS), f"{one.application} backs up, replicates or maintains"),
        (one.state == ACTIVE and first_words(one.query).startswith(MAINTENANCE_STATEMENTS), "it is maintenance"),
        (one.user in wanted.spare_users, f"sessions of the role {one.user} are to stay"),
        (_one_of(one.application, wanted.spare_applications), f"sessions of {one.application} are to stay"),
        (
            one.state == IDLE and one.advisory_locks > 0 and not wanted.only_blocking,
            "it holds advisory locks, by which applications elect a leader",
        ),
        (one.superuser and wanted.spare_superusers, f"{one.user} is a superuser, whose sessions are to stay"),
        (not one.may_be_ended, "our role may not end it; it needs pg_signal_backend, and for sessions of superusers to be one"),
    )
    return next((text for holds, text in reasons if holds), "")
