# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Restore of a logical set: into a new database beside the live one, compared, then put in its place.

Until the swap nothing that exists is touched; the swap is one transaction (swap.py). What a killed run leaves behind is a
database called `<name>_restoring_<time>`, which nobody uses and the next run drops.
"""

from __future__ import annotations

import os
import time
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass

from ..backup_set.sets import BackupSet
from ..command import run
from ..errors import BadInput, LeaseHeld, NoSpace, NotTheSame, RunbookError
from ..files import require_space
from ..progress import Progress
from ..restoring.comparison import Comparison
from ..restoring.names import derived_name, names_derived_from, stamp
from ..restoring.origin import other_server
from ..restoring.result import Clock, told
from . import fingerprint
from .comparison import compare
from .connection import Connection, Session, connection_value, literal
from .discard import discard, drop_statement
from .dump import full_disk
from .early_hashing import EarlyHasher
from .load import load_dump, load_settings
from .properties import apply_statements, create_statement, named_roles, read_properties
from .restore_checks import require_extensions, require_fitting_set, require_rights
from .role_restore import create_missing_roles, missing_roles, told_roles
from .server_info import ServerInfo, databases, guard_identity, require_tool, server_info
from .swap import swap

_LOCK_WAIT_S = 5.0
"""For what the server still does for a killed run; a run that lives takes longer."""


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore and where.

    Attributes:
        connection: The server.
        database: Name that the restored database gets in the end.
        backup_set: A logical set.
        jobs: Parallel jobs; 0 for the number of processors, at most 8.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
        from_other_server: Whether a set of another server may be restored here.
        analyze: Whether to gather planner statistics after the swap.
        toast_compression: How long values are compressed: `auto` for lz4 where the server can, `server` for its own default.
        swap: Whether to put the restored database in place; if not, it is dropped after the comparison (a drill).
    """

    connection: Connection
    database: str
    backup_set: BackupSet
    jobs: int = 0
    expected_identifier: str = ""
    from_other_server: bool = False
    analyze: bool = True
    toast_compression: str = "auto"
    swap: bool = True


@dataclass(frozen=True)
class RestorePlan:
    """What a restore will do; made without changing anything."""

    info: ServerInfo
    jobs: int
    live_exists: bool
    restoring_name: str
    kept_as: str
    leftovers: t.Sequence[str]
    new_roles: t.Sequence[str]
    same_versions: bool
    notes: t.Sequence[str] = ()

    def steps(self, request: RestoreRequest) -> t.List[str]:
        """The plan in sentences, for dry runs."""
        lines = [f"drop the leftover database {name} of a run that was killed" for name in self.leftovers]
        lines += [f"create the role {role}" for role in told_roles(request.backup_set.manifest, self.new_roles)]
        lines.append(f"restore {request.backup_set.id} into the new database {self.restoring_name} with {self.jobs} jobs and compare it")
        if not request.swap:
            lines.append(f"drop {self.restoring_name}")
        elif self.live_exists:
            lines.append(f"in one transaction rename {request.database} to {self.kept_as} and {self.restoring_name} to {request.database}")
        else:
            lines.append(f"rename {self.restoring_name} to {request.database}")
        return lines


def plan_restore(request: RestoreRequest) -> RestorePlan:
    """Look at everything that could stop the restore, before anything is changed.

    Raises:
        RunbookError: The wrong server, a tool, an extension, a right or room is missing, or the set does not fit.
    """
    connection, manifest = request.connection, request.backup_set.manifest
    if request.database == connection.maintenance_database:
        raise BadInput(
            f"The database {request.database!r} is also the one to be connected to meanwhile",
            next_step="name another maintenance_database, e.g. template1",
        )
    info = server_info(connection)
    guard_identity(info, request.expected_identifier, connection)
    require_fitting_set(connection, request.backup_set, info, from_other_server=request.from_other_server)
    major = int(require_tool(connection, "pg_restore", info.major).split(".")[0])
    require_tool(connection, "pg_dump", info.major)
    known = databases(connection)
    require_extensions(connection, manifest["fingerprint"]["extensions"])
    require_rights(connection, info)
    if _local_data_folder(connection, info):
        log_bytes = _log_growth(connection, info.data_directory, manifest["database_bytes"])
        require_space(info.data_directory, int(manifest["database_bytes"] * 1.1) + log_bytes)
    now = stamp(lambda at: any(derived_name(request.database, word, at) in known for word in ("restoring", "before")))
    live = request.database in known
    properties = read_properties(connection, request.database) if live else manifest["database_properties"]
    return RestorePlan(
        info=info,
        jobs=request.jobs or min(os.cpu_count() or 1, 8),
        live_exists=live,
        restoring_name=derived_name(request.database, "restoring", now),
        kept_as=derived_name(request.database, "before", now) if live and request.swap else "",
        leftovers=names_derived_from(request.database, "restoring", known),
        new_roles=missing_roles(connection, manifest, named_roles(properties)),
        notes=other_server(request.backup_set, "system_identifier", info.system_identifier),
        same_versions=info.major == manifest["server"]["version_num"] // 10000 and major == int(manifest["tools"]["pg_dump"].split(".")[0]),
    )


def _local_data_folder(connection: Connection, info: ServerInfo) -> str:
    """The server's data folder when it lies on this host, else nothing."""
    return info.data_directory if connection.place.is_host and info.data_directory and os.path.isdir(info.data_directory) else ""


def _log_growth(connection: Connection, data_folder: str, database_bytes: int) -> int:
    """Bytes by which the write-ahead log may grow meanwhile, when it shares the data folder's disk (manual, 19.5.2, max_wal_size)."""
    try:
        shared = os.stat(os.path.join(data_folder, "pg_wal")).st_dev == os.stat(data_folder).st_dev
    except OSError:
        shared = True  # we may not look into the folder, and usually it is so
    return min(int(connection.ask("SELECT pg_size_bytes(current_setting('max_wal_size'))")), database_bytes) if shared else 0


def restore_logically(request: RestoreRequest) -> t.Dict[str, t.Any]:
    """Restore a logical set.

    Returns:
        `database`, `kept_as`, `cut_off_s`, `serving_after_s` (seconds from the call until the restored database served),
        `comparison`, `dropped_leftovers`, `created_roles`, `durations_s` by step, `notes`.

    Raises:
        NotTheSame: The restored database differs from the manifest; it was dropped and the live one is as it was.
        RunbookError: Anything else; the live database is as it was.
    """
    clock = Clock()
    progress = Progress(f"Restoring {request.database}")
    progress.say("checking the set")
    request.backup_set.require_whole(on_bytes=lambda done: progress.say("checking the set", done, request.backup_set.size_bytes, "bytes"))
    clock.lap("check_set")
    connection = request.connection
    with _only_restore_of(connection, request.database) as session:
        ready = plan_restore(request)
        for name in ready.leftovers:
            session.ask(drop_statement(name, ready.info.major))
        manifest = request.backup_set.manifest
        live = read_properties(connection, request.database) if ready.live_exists else None
        create_missing_roles(connection, request.backup_set, ready.new_roles)
        try:
            session.ask(create_statement(ready.restoring_name, live or manifest["database_properties"]))
            clock.lap("prepare")
            comparison = _load_and_compare(request, ready, progress, clock)
            cut_off_s = 0.0
            if request.swap:
                _give(connection, ready.restoring_name, live or manifest["database_properties"])
                renames = [(request.database, ready.kept_as)] if ready.live_exists else []
                cut_off_s = swap(connection, [*renames, (ready.restoring_name, request.database)])
        except BaseException as error:
            failure, data_folder = error, _local_data_folder(connection, ready.info)
            if isinstance(error, RunbookError):
                failure = full_disk(error, ready.restoring_name, "restore", "the live database is as it was")
            discard(connection, ready.restoring_name, ready.info.major, disk_is_full=isinstance(failure, NoSpace), data_folder=data_folder)
            raise failure from error.__cause__
        if not request.swap:
            session.ask(drop_statement(ready.restoring_name, ready.info.major))
    clock.lap("swap")
    serving_after_s, serving_at = clock.total(), time.time()
    notes = list(ready.notes)
    if request.swap and request.analyze:
        progress.say("gathering planner statistics")
        try:
            analyze(connection, request.database, ready.jobs)
        except RunbookError as error:  # it serves: slow queries are no reason to call the restore a failure
            notes.append(f"planner statistics could not be gathered, run ANALYZE: {error.message}")
        clock.lap("analyze")
    return {
        "changed": True,
        "database": request.database,
        "kept_as": ready.kept_as,
        **told(ready.steps(request)),
        "cut_off_s": round(cut_off_s, 3),
        "serving_after_s": serving_after_s,
        "serving_at": serving_at,
        "comparison": comparison.as_dict(),
        "dropped_leftovers": list(ready.leftovers),
        "created_roles": list(ready.new_roles),
        "durations_s": clock.laps,
        "notes": notes,
    }


def describe_restore(request: RestoreRequest) -> t.Dict[str, t.Any]:
    """The result of a dry run: the set is read, everything is looked at, nothing is changed."""
    request.backup_set.require_whole()
    ready = plan_restore(request)
    found = {"changed": True, "database": request.database, "kept_as": ready.kept_as, "notes": list(ready.notes)}
    return {**found, **told(ready.steps(request))}


def analyze(connection: Connection, database: str, jobs: int) -> None:
    """Gather planner statistics, which a dump does not hold, so that queries get good plans at once."""
    name = f"--dbname=dbname={connection_value(database)}"  # vacuumdb would take a name with a = in PGDATABASE for a connection string
    run(connection.command("vacuumdb", "--analyze-only", "--quiet", "--no-password", f"--jobs={jobs}", name, database=database))


def _load_and_compare(request: RestoreRequest, ready: RestorePlan, progress: Progress, clock: Clock) -> Comparison:
    connection, manifest = request.connection, request.backup_set.manifest
    early = EarlyHasher(connection, ready.restoring_name, ready.info.version_num, ready.jobs)
    try:
        settings = load_settings(connection, request.toast_compression)
        folder = _local_data_folder(connection, ready.info)
        load_dump(connection, request.backup_set, ready.restoring_name, ready.jobs, progress, early.loaded, settings, folder)
        clock.lap("load")
        progress.say("comparing with the backup")
        with Session(connection, ready.restoring_name) as session:
            rest = early.rest(fingerprint.tables(session))
            found = {
                "method": fingerprint.hash_method(ready.info.version_num),
                "sequences": fingerprint.sequences(session),
                "schema": fingerprint.schema_digest(connection, ready.restoring_name) if ready.same_versions else None,
                **fingerprint.small_parts(session),
            }
        found["tables"] = rest()
    except BaseException:
        early.abandon()
        raise
    comparison = compare(manifest["fingerprint"], found, same_versions=ready.same_versions)
    clock.lap("compare")
    if not comparison.same:
        raise NotTheSame(
            f"What was restored from {request.backup_set.id} is not what was backed up",
            where=ready.restoring_name,
            why="; ".join(comparison.differences[:5]),
            next_step="restore another set (restore_set=...); the live database is as it was",
            facts={"comparison": comparison.as_dict()},
        )
    return comparison


@contextmanager
def _only_restore_of(connection: Connection, database: str) -> t.Iterator[Session]:
    """Hold an advisory lock in the server, which ends with this session, however that ends.

    Databases are made and dropped in that very session: what the server still does for a killed run keeps the lock until it is done, so
    that the next run sees what came of it.
    """
    key, give_up = literal("sre.runbooks restore of " + database), time.monotonic() + _LOCK_WAIT_S
    with Session(connection) as session:
        while session.ask(f"SELECT pg_try_advisory_lock(hashtextextended({key}, 0))").strip() != "t":
            if time.monotonic() > give_up:
                raise LeaseHeld(
                    f"Another restore of {database!r} is running on this server",
                    where=str(connection),
                    next_step="wait for it, or end it; its session is the one with an advisory lock in pg_locks",
                )
            time.sleep(0.1)
        yield session


def _give(connection: Connection, database: str, properties: t.Mapping[str, t.Any]) -> None:
    connection.do("BEGIN;\n" + ";\n".join(apply_statements(database, properties)) + ";\nCOMMIT;")
