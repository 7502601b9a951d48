# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Logical backup of one database: pg_dump, proven by a fingerprint that was taken under the same snapshot."""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from dataclasses import dataclass, field

from ..backup_set.hashing import FollowingHasher, copy_hashed
from ..backup_set.sets import BackupSet, SetWriter, remove_leftovers, utc_now
from ..errors import CommandFailed, NoSpace, RunbookError
from ..files import keep_reserve, require_folder_writable, require_space
from ..pipeline import Pipeline
from ..progress import Progress
from . import fingerprint
from .connection import STEADY_SETTINGS, Connection, Session
from .properties import read_properties
from .server_info import ServerInfo, guard_identity, require_database, require_tool, roles, server_info, used_roles

_ZSTD_SINCE = 16
"""pg_dump learned zstd with PostgreSQL 16 (release notes, E.1.3.8)."""
_FULL = ("No space left on device", "Disk quota exceeded", "Wrote only")
"""strerror(3) of ENOSPC and EDQUOT, and what tar says when a part of a block could still be written."""
_EXPECTED_RATIO = 0.75
"""Part of the tables' size that a dump is expected to need at most; measured dumps are 0.2 to 0.6."""


@dataclass(frozen=True)
class BackupRequest:
    """What to back up and where to.

    Attributes:
        connection: The server.
        database: The database.
        store: Name of the store in the profile.
        backup_folder: Folder of the sets.
        compression: `auto`, or pg_dump's own words (`zstd:3`, `lz4`, `gzip:6`, `none`).
        jobs: Parallel dump jobs; 0 for the number of processors, at most 8.
        role_passwords: Whether the globals hold the roles' password hashes.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
        run_id: Run that this belongs to.
    """

    connection: Connection
    database: str
    store: str
    backup_folder: str
    compression: str = "auto"
    jobs: int = 0
    role_passwords: bool = False
    expected_identifier: str = ""
    run_id: str = ""
    labels: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BackupPlan:
    """What a backup will do; made without changing anything."""

    info: ServerInfo
    tools: t.Mapping[str, str]
    table_bytes: int
    database_bytes: int
    needed_bytes: int
    jobs: int
    leftovers: t.Sequence[str]


def plan(
    request: BackupRequest, programs: t.Sequence[str] = ("psql", "pg_dump", "pg_dumpall"), ratio: float = _EXPECTED_RATIO
) -> BackupPlan:
    """Look at everything that could stop the backup, before anything is written.

    Raises:
        RunbookError: A tool, the database, the right server, the folder or room on the disk is missing.
    """
    connection = request.connection
    info = server_info(connection)
    guard_identity(info, request.expected_identifier, connection)
    database = require_database(connection, request.database)
    tools = {program: require_tool(connection, program, info.major if program != "psql" else 0) for program in programs}
    require_folder_writable(request.backup_folder)
    table_bytes = int(
        connection.ask("SELECT coalesce(sum(pg_table_size(oid)), 0) FROM pg_class WHERE relkind IN ('r', 'm')", database=request.database)
    )
    needed = int(table_bytes * ratio)
    require_space(request.backup_folder, needed)
    return BackupPlan(
        info=info,
        tools=tools,
        table_bytes=table_bytes,
        database_bytes=int(database["size_bytes"] or 0),
        needed_bytes=needed,
        jobs=request.jobs or min(os.cpu_count() or 1, 8),
        leftovers=remove_leftovers(request.backup_folder, dry_run=True),
    )


def back_up_logically(request: BackupRequest) -> BackupSet:
    """Dump a database into a new, sealed backup set.

    The set holds the dump (a directory, written in parallel, where the programs run on this host; otherwise one file in
    pg_dump's custom format, streamed), `globals.sql`, and in its manifest the fingerprint of the dump's own snapshot.

    Raises:
        RunbookError: Something failed; nothing is left behind.
    """
    ready = plan(request)
    removed = remove_leftovers(request.backup_folder)
    started, clock = utc_now(), time.monotonic()
    progress = Progress(f"Backing up {request.database}")
    with SetWriter(request.backup_folder, request.store, "logical") as writer, Session(request.connection, request.database) as session:
        session.ask(fingerprint.begin_statement())
        snapshot = session.ask("SELECT pg_export_snapshot()").strip()
        consistent_at = session.ask("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").strip()
        sequences_before = fingerprint.sequences(session)
        hasher = fingerprint.TableHasher(request.connection, request.database, ready.info.version_num, snapshot=snapshot, progress=progress)
        try:
            tables = fingerprint.tables(session)
            for table in tables:
                hasher.add(table)
            dump, files = _dump(request, ready, writer.folder, snapshot, progress)
            globals_file = _globals(request, writer.folder)
            rows = hasher.finish()
        except BaseException:
            hasher.abandon()
            raise
        manifest = {
            **common_manifest(request, ready, "logical"),
            "started_at": started,
            "consistent_at": consistent_at,
            "finished_at": utc_now(),
            "duration_s": round(time.monotonic() - clock, 3),
            "dump": dump,
            "fingerprint": {
                "method": fingerprint.hash_method(ready.info.version_num),
                "tables": rows,
                "sequences": _ranges(sequences_before, fingerprint.sequences(session)),
                "schema": fingerprint.schema_digest(request.connection, request.database, snapshot),
                **fingerprint.small_parts(session),
            },
            "removed_leftovers": removed,
        }
        return writer.seal(manifest, {**files, "globals.sql": globals_file})


def common_manifest(request: BackupRequest, ready: BackupPlan, method: str) -> t.Dict[str, t.Any]:
    """The part of a manifest that logical and physical sets share."""
    info = ready.info
    return {
        "kind": "postgresql",
        "method": method,
        "store": request.store,
        "database": request.database,
        "run_id": request.run_id,
        "labels": dict(request.labels),
        "server": {
            "system_identifier": info.system_identifier,
            "version": info.version,
            "version_num": info.version_num,
            "in_recovery": info.in_recovery,
            "address": str(request.connection),
        },
        "tools": dict(ready.tools),
        "database_bytes": ready.database_bytes,
        "table_bytes": ready.table_bytes,
        "database_properties": read_properties(request.connection, request.database),
        "roles": roles(request.connection),
        "used_roles": used_roles(request.connection, request.database),
        "role_passwords": request.role_passwords,
    }


def _dump(
    request: BackupRequest, ready: BackupPlan, folder: str, snapshot: str, progress: Progress
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Dict[str, t.Any]]]:
    wanted = request.compression
    if wanted == "auto":
        new_enough = int(ready.tools["pg_dump"].split(".")[0]) >= _ZSTD_SINCE
        wanted = "zstd:1" if new_enough else "gzip:1"
    try:
        return _dump_with(request, ready, folder, snapshot, wanted, progress)
    except CommandFailed as error:
        if request.compression != "auto" or "does not support compression" not in error.why or wanted == "gzip:1":
            if "compression" in error.why:
                error.next_step = "choose a compression that this program knows (backup_compression), or auto"
            raise full_disk(request.connection.explain(error, request.database), folder) from error
    return _dump_with(request, ready, folder, snapshot, "gzip:1", progress)


def _dump_with(
    request: BackupRequest, ready: BackupPlan, folder: str, snapshot: str, compression: str, progress: Progress
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Dict[str, t.Any]]]:
    major = int(ready.tools["pg_dump"].split(".")[0])
    shared = [f"--snapshot={snapshot}", f"--compress={_words(compression, major)}", "--no-password", "--quote-all-identifiers"]
    connection = request.connection
    description = {"compression": compression, "jobs": ready.jobs}

    def look(written_bytes: int) -> None:
        keep_reserve(folder)
        progress.say("writing the dump", written_bytes, None, "bytes")

    if not connection.place.is_host:
        command = connection.command("pg_dump", "--format=custom", *shared, database=request.database, settings=STEADY_SETTINGS)
        with Pipeline(command) as pipeline:
            entry = copy_hashed(pipeline.stdout, os.path.join(folder, "database.dump"), on_bytes=look)
        return {**description, "format": "custom", "path": "database.dump", "jobs": 1}, {"database.dump": entry}
    target = os.path.join(folder, "dump")
    command = connection.command(
        "pg_dump",
        "--format=directory",
        f"--jobs={ready.jobs}",
        "--no-sync",
        f"--file={target}",
        *shared,
        database=request.database,
        settings=STEADY_SETTINGS,
    )
    with FollowingHasher(target) as hasher:
        with Pipeline(command, stdout=subprocess.DEVNULL) as pipeline:
            pipeline.watch(lambda: look(hasher.written_bytes), interval_s=0.1)
        progress.say("making it durable")
        files = hasher.finish()
    return {**description, "format": "directory", "path": "dump"}, {f"dump/{name}": entry for name, entry in files.items()}


def _words(compression: str, major: int) -> str:
    """`--compress` in the words of this pg_dump: before 16 it knows only gzip levels."""
    if major >= _ZSTD_SINCE:
        return compression
    method, _colon, level = compression.partition(":")
    if method == "none":
        return "0"
    if method != "gzip":
        raise RunbookError(
            f"pg_dump {major} cannot compress with {method}",
            next_step="use gzip, or PostgreSQL 16 or newer client programs",
            why="it only knows gzip",
        )
    return level or "6"


def _globals(request: BackupRequest, folder: str) -> t.Dict[str, t.Any]:
    arguments = ["--globals-only", "--no-password", *([] if request.role_passwords else ["--no-role-passwords"])]
    try:
        with Pipeline(request.connection.command("pg_dumpall", *arguments)) as pipeline:
            return copy_hashed(pipeline.stdout, os.path.join(folder, "globals.sql"))
    except CommandFailed as error:
        raise request.connection.explain(error) from error


def _ranges(before: t.Mapping[str, t.Mapping[str, t.Any]], after: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    """Sequences know no snapshot: what the dump read lies between the position before and the position after it."""
    return {
        name: {"from": state["last_value"], "to": after[name]["last_value"], "is_called": [state["is_called"], after[name]["is_called"]]}
        for name, state in before.items()
        if name in after
    }


def full_disk(error: RunbookError, where: str, work: str = "backup", left: str = "the half-written set was removed") -> RunbookError:
    """`error` as `NoSpace` where a full disk was its cause.

    Args:
        error: What a client program told.
        where: The folder or database that was written.
        work: What was being done.
        left: What became of what was written so far.
    """
    if any(words in error.why for words in _FULL):
        return NoSpace(
            f"The disk became full during the {work}",
            where=where,
            why=error.why,
            next_step=f"free space, prune old sets or choose another folder; {left}",
        )
    return error
