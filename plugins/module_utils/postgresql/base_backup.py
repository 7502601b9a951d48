# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Physical backup of a whole server: pg_basebackup, with the server's own checksum of every file."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import typing as t

from ..backup_set.hashing import FollowingHasher, copy_hashed
from ..backup_set.sets import BackupSet, SetWriter, remove_leftovers, utc_now
from ..command import Command
from ..errors import BadInput, CommandFailed
from ..files import keep_reserve
from ..pipeline import Pipeline
from ..progress import Progress
from . import fingerprint, incremental
from .connection import Connection, Session
from .dump import BackupPlan, BackupRequest, common_manifest, full_disk, plan

PROGRAMS = ("psql", "pg_basebackup")
_SERVER_COMPRESSION_SINCE = 15
"""BASE_BACKUP learned COMPRESSION with PostgreSQL 15 (release notes, E.1.3.6)."""


def back_up_physically(request: BackupRequest, *, on_a_base: bool = False) -> BackupSet:
    """Copy the whole server into a new, sealed backup set; `on_a_base` only what changed since the newest one, where that can be.

    On this host: one compressed tar a tablespace, its WAL, and `backup_manifest`, by which `pg_verifybackup` checks every file.
    In a container or pod: one tar, streamed, WAL and `backup_manifest` inside.

    Raises:
        BadInput: The server has tablespaces outside its data folder, or our role may not replicate.
        RunbookError: Something failed; nothing is left behind.
    """
    ready = plan(request, PROGRAMS)
    require_one_tablespace(request.connection)
    removed = remove_leftovers(request.backup_folder)
    started, clock = utc_now(), time.monotonic()
    progress = Progress(f"Backing up the server of {request.database}")
    with SetWriter(request.backup_folder, request.store, "physical") as writer:
        manifest = {**common_manifest(request, ready, "physical"), "started_at": started, "removed_leftovers": removed}
        built_on, why_full = incremental.find_base(request, ready) if on_a_base else (None, "")
        try:
            try:
                base, files = _copy(request, ready, writer.folder, progress, built_on)
            except CommandFailed as error:
                if built_on is None or not incremental.is_refusal(error):
                    raise
                why_full = f"the server cannot tell what changed since {built_on.id}: {error.why}"
                built_on = None
                shutil.rmtree(os.path.join(writer.folder, "base"), ignore_errors=True)
                base, files = _copy(request, ready, writer.folder, progress)
        except CommandFailed as error:
            raise full_disk(request.connection.explain(error), writer.folder) from error
        try:
            manifest["lineage"] = incremental.lineage(request.connection)
        except CommandFailed:
            pass  # a role that may not read it gets no incremental sets
        if built_on is not None:
            manifest["base"] = incremental.note_of(built_on)
        elif on_a_base:
            manifest["full_because"] = why_full
        with Session(request.connection, request.database) as session:
            now = session.ask("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").strip()
            parts = fingerprint.small_parts(session)
            cluster_bytes = int(session.ask("SELECT sum(pg_database_size(oid)) FROM pg_database"))
        manifest.update(
            consistent_at=now,
            finished_at=utc_now(),
            duration_s=round(time.monotonic() - clock, 3),
            base_backup=base,
            cluster_bytes=cluster_bytes,
            fingerprint={"method": "pg_verifybackup", "extensions": parts["extensions"]},
        )
        return writer.seal(manifest, files)


def require_one_tablespace(connection: Connection) -> None:
    """Raise BadInput when the server keeps data outside its data folder."""
    others = connection.ask_json("SELECT json_agg(spcname) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')")
    if others:
        raise BadInput(
            "A physical backup of a server with tablespaces of its own is not supported",
            where=str(connection),
            why="its tablespaces " + ", ".join(sorted(others)) + " lie outside the data folder",
            next_step="use the logical method",
        )


def _copy(
    request: BackupRequest, ready: BackupPlan, folder: str, progress: Progress, built_on: t.Optional[BackupSet] = None
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Dict[str, t.Any]]]:
    connection = request.connection
    if not connection.place.is_host:
        command = connection.command(
            "pg_basebackup", "--pgdata=-", "--format=tar", "--wal-method=fetch", "--checkpoint=fast", "--no-password"
        )
        with Pipeline(command, Command(["gzip", "-1"])) as pipeline:
            entry = copy_hashed(pipeline.stdout, os.path.join(folder, "base.tar.gz"), on_bytes=lambda n: _look(folder, progress, n))
        return {"compression": "gzip:1", "archives": ["base.tar.gz"]}, {"base.tar.gz": entry}
    compression = request.compression
    if compression == "auto":
        compression = f"zstd:level=1,workers={ready.jobs}" if ready.info.major >= _SERVER_COMPRESSION_SINCE else "gzip:1"
    try:
        return _copy_here(request, ready, folder, compression, progress, built_on)
    except CommandFailed as error:
        # A server built without zstd says so, one whose library has no threads says that; gzip is always there.
        if request.compression != "auto" or "compression" not in error.why or compression == "gzip:1":
            raise
    return _copy_here(request, ready, folder, "gzip:1", progress, built_on)


def _copy_here(
    request: BackupRequest,
    ready: BackupPlan,
    folder: str,
    compression: str,
    progress: Progress,
    built_on: t.Optional[BackupSet] = None,
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Dict[str, t.Any]]]:
    target = os.path.join(folder, "base")
    by_server = ready.info.major >= _SERVER_COMPRESSION_SINCE
    flags = [] if compression == "none" else [f"--compress={'server-' if by_server else ''}{compression}"]
    command = request.connection.command(
        "pg_basebackup",
        f"--pgdata={target}",
        "--format=tar",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--no-sync",
        "--no-password",
        *flags,
        *incremental.arguments(built_on),
    )
    # pg_basebackup goes back into pg_wal.tar to complete its headers.
    with FollowingHasher(target, rewritten=["pg_wal.tar"]) as hasher:
        with Pipeline(command, stdout=subprocess.DEVNULL) as pipeline:
            pipeline.watch(lambda: _look(folder, progress, hasher.written_bytes), interval_s=0.1)
        progress.say("making it durable")
        files = hasher.finish()
    archives = sorted(f"base/{name}" for name in files if ".tar" in name)
    return {"compression": compression, "archives": archives}, {f"base/{name}": entry for name, entry in files.items()}


def _look(folder: str, progress: Progress, copied_bytes: int) -> None:
    keep_reserve(folder)
    progress.say("copying", copied_bytes, None, "bytes")
