# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Maintenance of a database: leftovers cleaned, tables vacuumed and analysed, bloated indexes rebuilt, in the order of need.

Whatever ends it, and however, the database serves as before: an index is replaced only by one that is whole. What a killed run leaves is an
index that nobody uses; the next run finds and drops it.
"""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput, LeaseHeld, NoSpace, RunbookError
from ..files import require_space
from ..postgresql.connection import STEADY_SETTINGS, Connection, Session, literal
from ..postgresql.server_info import ServerInfo, guard_identity, require_database, server_info
from ..progress import Progress
from .hindrances import held_back, in_the_way
from .inspection import Found, inspect, is_left_behind
from .maintenance_plan import DROP, REINDEX, STEPS, Plan, Rules, Step, plan_maintenance
from .maintenance_result import told
from .maintenance_work import APPLICATION, DONE, POSTPONED, Outcome, Worker, side_by_side
from .sessions import activity, full_or

CONCURRENTLY_SINCE = 12
"""Major version that learned REINDEX CONCURRENTLY."""
ONE_AT_A_TIME = (0x53524552, 1)
"""Keys of the advisory lock that a run holds, in the database that it maintains (manual, 13.3.5)."""
CLEANING_S = 30.0
ORPHAN_WAIT_S = 10.0
_MAY_BE_IDLE = "DO $$ BEGIN PERFORM set_config('idle_session_timeout', '0', false); EXCEPTION WHEN others THEN NULL; END $$"
"""The session with the lock waits while others work; servers before version 14 do not know the setting."""
WORK_BYTES_PER_INDEX_BYTE = 2.1
"""Room for a rebuild: the new index, its write-ahead log, and a little more."""


@dataclass(frozen=True)
class MaintenanceRequest:
    """What is to be maintained, and how gently.

    Attributes:
        connection: The server.
        database: The database.
        rules: From which state on something is done.
        jobs: How many tables are vacuumed at once.
        budget_s: Seconds that all of it may take; what is not reached is told, and comes first the next time it needs it most.
        lock_timeout_s: Seconds to wait for a lock, or for older transactions to end.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
        progress: Where to report.
    """

    connection: Connection
    database: str
    rules: Rules = field(default_factory=Rules)
    jobs: int = 2
    budget_s: float = 3600
    lock_timeout_s: float = 10
    expected_identifier: str = ""
    progress: Progress = field(default_factory=lambda: Progress("Maintaining the database"))


def maintain(request: MaintenanceRequest, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Do what the database needs.

    Returns:
        `changed`, `plan`, `steps` (each with `outcome`, `why`, `duration_s`), `tables`, `indexes` (those concerned, before and after),
        `freed_bytes`, `held_back_by`, `notes`, `diff`, `duration_s`. With `failed` and `msg` when a step failed; what could not be done
        now is `postponed` and fails nothing.

    Raises:
        BadInput: A number or a name makes no sense, the server is a standby or too old.
        LeaseHeld: Another run maintains this database.
        Unreachable: The server cannot be reached, or not any more.
        WrongTarget: The server is not the one that the inventory means.
    """
    began = time.monotonic()
    _check(request)
    settings = {
        **STEADY_SETTINGS,
        "statement_timeout": str(int(request.budget_s * 1000)),
        "lock_timeout": str(int(request.lock_timeout_s * 1000)),
    }
    info = _server(request)
    with Session(request.connection, request.database, settings) as session:
        if not dry_run:
            _alone(session)
        before = _look(session, request)
        plan = plan_maintenance(before, request.rules)
        _require_tables(before, request)
        held = held_back(activity(session), request.database)
        outcomes = [] if dry_run else _carry_out(plan, session, request, info, began + request.budget_s)
        after = before if dry_run else _look(session, request)
    return told(plan, outcomes, before, after, held, round(time.monotonic() - began, 3), dry_run)


def _check(request: MaintenanceRequest) -> None:
    strange = [step for step in request.rules.steps if step not in STEPS]
    if strange or request.jobs < 1 or request.budget_s <= 0 or request.lock_timeout_s <= 0:
        raise BadInput(
            "The maintenance that was asked for makes no sense",
            why=f"there is no step {strange[0]!r}" if strange else "jobs, budget_s and lock_timeout_s must be above nought",
            next_step=f"name steps of {', '.join(STEPS)}, and numbers above 0",
        )


def _server(request: MaintenanceRequest) -> ServerInfo:
    try:
        info = server_info(request.connection)
    except RunbookError as error:
        raise full_or(error) from error
    guard_identity(info, request.expected_identifier, request.connection)
    require_database(request.connection, request.database)
    if info.in_recovery:
        raise BadInput(
            "A standby cannot be maintained", where=str(request.connection), next_step="name its primary; what is done there comes here"
        )
    if info.major < CONCURRENTLY_SINCE:
        raise BadInput(
            f"PostgreSQL {info.version} cannot rebuild indexes beside the service",
            where=str(request.connection),
            next_step=f"use a server of version {CONCURRENTLY_SINCE} or newer",
        )
    return info


def _require_tables(found: Found, request: MaintenanceRequest) -> None:
    known = {name for one in found.tables for name in (one.name, f"{one.schema}.{one.name}")}
    missing = [name for name in request.rules.tables if name not in known]
    if missing:
        raise BadInput(
            f"There is no table {missing[0]!r} in {request.database}", where=str(request.connection), next_step="correct its name"
        )


def _look(session: Session, request: MaintenanceRequest) -> Found:
    return inspect(session, request.rules.waste_percent if REINDEX in request.rules.steps else None)


def _alone(session: Session) -> None:
    """Be the only run in this database, and end what the server still does for one that was killed.

    The lock is our session's: that of a killed run goes with it, and then whatever bears the name of maintenance works for nobody.
    """
    session.ask(f"SET application_name = {literal(APPLICATION)};{_MAY_BE_IDLE}")
    if session.ask(f"SELECT pg_try_advisory_lock{ONE_AT_A_TIME}").strip() != "t":
        raise LeaseHeld(
            "Another run maintains this database",
            where=str(session.connection),
            next_step="wait until it has ended, or see in pg_stat_activity who that is: " + APPLICATION,
        )
    deadline = time.monotonic() + ORPHAN_WAIT_S
    left = f"application_name = {literal(APPLICATION)} AND datname = current_database() AND pid <> pg_backend_pid()"
    while int(session.ask(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {left}")):
        if time.monotonic() > deadline:
            raise LeaseHeld(
                "What a killed run has begun has not ended yet", where=str(session.connection), next_step="run it again in a few minutes"
            )
        time.sleep(0.1)


def _carry_out(plan: Plan, session: Session, request: MaintenanceRequest, info: ServerInfo, deadline: float) -> t.List[Outcome]:
    connection, database, progress = request.connection, request.database, request.progress
    drops = [step for step in plan.steps if step.action == DROP]
    tables = [step for step in plan.steps if step.action not in (DROP, REINDEX)]
    rebuilds = [step for step in plan.steps if step.action == REINDEX]
    done: t.List[Outcome] = []
    worker = Worker(connection, database, request.lock_timeout_s, deadline)
    try:
        done += [worker.do(step) for step in drops]
        workers = [Worker(connection, database, request.lock_timeout_s, deadline) for _number in range(min(request.jobs, len(tables)))]
        done += side_by_side(workers, tables, progress)
        for number, step in enumerate(rebuilds):
            progress.say("rebuilding indexes", number, len(rebuilds), "indexes")
            done.append(_rebuild(worker, step, session, request, info))
            if done[-1].disk_full:
                done += [Outcome(rest, POSTPONED, "the server's disk is full") for rest in rebuilds[number + 1 :]]
                break
    except RunbookError as error:
        error.changed = True
        raise
    finally:
        worker.close()
    return done


def _rebuild(worker: Worker, step: Step, session: Session, request: MaintenanceRequest, info: ServerInfo) -> Outcome:
    """Rebuild an index; one that came to nothing takes its half-made successor with it."""
    waits_for = in_the_way(session, step.table, request.lock_timeout_s)
    if waits_for:
        return Outcome(step, POSTPONED, f"it would have to wait for {waits_for}")
    if request.connection.place.is_host and info.data_directory and os.path.isdir(info.data_directory):
        try:
            require_space(info.data_directory, int(step.bytes * WORK_BYTES_PER_INDEX_BYTE))
        except NoSpace as error:
            return Outcome(step, POSTPONED, f"there is too little room to rebuild it: {error.why}")
    outcome = worker.do(step)
    if outcome.outcome != DONE:
        now = inspect(session)
        halves = [one for one in now.indexes if one.ours and is_left_behind(one, now.indexes)]
        dropped = [worker.do(Step(DROP, one.label, "", bytes=one.bytes), grace_s=CLEANING_S) for one in halves]
        staying = [one.step.label for one in dropped if one.outcome != DONE]
        if staying:
            outcome.why += f"; {', '.join(staying)} stays until the next run drops it"
    return outcome
