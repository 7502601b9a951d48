# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Incremental physical backup: only the blocks that changed since an earlier set, by PostgreSQL's own means (17 and newer)."""

from __future__ import annotations

import os
import secrets
import shutil
import typing as t

from ..backup_set.catalogue import list_sets
from ..backup_set.chain import chain
from ..backup_set.hashing import hash_file
from ..backup_set.sets import BackupSet
from ..command import Command, Place
from ..errors import CommandFailed, RunbookError, SetDamaged
from ..files import keep_reserve, tree_bytes
from ..pipeline import Pipeline
from ..process_tree import was_killed
from ..progress import Progress
from .connection import Connection
from .dump import BackupPlan, BackupRequest
from .scratch import own

_SINCE = 17
"""pg_basebackup learned --incremental, and pg_combinebackup came, with PostgreSQL 17 (release notes, E.10.3.8)."""
LONGEST_CHAIN = 14
"""Sets that may be built on one another: two weeks of a daily one. Every link is unpacked in a restore."""
_REFUSED = ("summar", "timeline", "manifest", "incremental")
"""Words by which a server says that it cannot tell what changed since that set (src/backend/backup/basebackup_incremental.c)."""
LINEAGE_FILE = "sre_runbooks_lineage"
"""In the data folder: a random word that every restore of the folder replaces, and every copy of it takes along."""


def begin_lineage(folder: str, account: str) -> None:
    """Mark a restored data folder as the beginning of another history.

    A server that was put back can reach the log positions, and even the timeline, of sets that were taken before: by these alone it
    would take one of them for its own past, and what is built on it would restore to a mixture of both.
    """
    path = os.path.join(folder, LINEAGE_FILE)
    with open(path, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(16))
        stream.flush()
        os.fsync(stream.fileno())
    own(path, account)


def lineage(connection: Connection) -> str:
    """The word of the running server; empty when its data was never restored by us.

    Raises:
        CommandFailed: Our role may not read the server's files.
    """
    return connection.ask(f"SELECT coalesce(pg_read_file('{LINEAGE_FILE}', 0, 64, true), '')").strip()


def find_base(request: BackupRequest, ready: BackupPlan) -> t.Tuple[t.Optional[BackupSet], str]:
    """The newest set that an incremental one can be built on, or why there is none. Retention spares it as long as it is held.

    Returns:
        The set, and an empty reason; or None and the reason, for a full set in its place.
    """
    if ready.info.major < _SINCE:
        return None, f"PostgreSQL {ready.info.version} has no incremental backups, {_SINCE} and newer have"
    if not request.connection.place.is_host:
        return None, "in a container or pod the base's manifest cannot be handed to pg_basebackup"
    if request.connection.ask("SHOW summarize_wal").strip() != "on":
        return None, "the server does not note which blocks change: set summarize_wal to on"
    try:
        present = lineage(request.connection)
    except RunbookError as error:
        return None, f"the role may not read which history the server is in: {error.why}"
    for one in list_sets(request.backup_folder):
        manifest = one.manifest
        if one.state == "failed" or manifest.get("store") != request.store or manifest.get("method") != "physical":
            continue
        if manifest["server"].get("system_identifier") != ready.info.system_identifier:
            continue
        if manifest.get("lineage") != present:
            continue
        one.hold()
        if not os.path.exists(one.path("base", "backup_manifest")):
            continue
        try:
            links = len(chain(one))
        except RunbookError as error:
            return None, error.what
        if links >= LONGEST_CHAIN:
            return None, f"{links} sets are built on one another, which is as many as may be"
        return one, ""
    return None, "there is no physical set of this server, since its data was last restored, to build on"


def is_refusal(error: CommandFailed) -> bool:
    """Whether the server could not tell what changed, so that a full set will do where an incremental one will not."""
    return any(word in error.why for word in _REFUSED)


def arguments(base: t.Optional[BackupSet]) -> t.List[str]:
    """What pg_basebackup is told."""
    return [f"--incremental={base.path('base', 'backup_manifest')}"] if base else []


def note_of(base: BackupSet) -> t.Dict[str, t.Any]:
    """What the manifest of the new set says of its base."""
    return {"id": base.id, "manifest_sha256": hash_file(base.path("manifest.json"))[0]}


def combine(one: BackupSet, folder: str, untar: t.Callable[[BackupSet, str], None], tool_folder: str, progress: Progress) -> None:
    """Make one data folder of a set and all that it is built on.

    Args:
        one: An incremental set.
        folder: An empty folder.
        untar: Unpacks a set's archives and its backup_manifest into a folder.
        tool_folder: Folder of pg_combinebackup.
        progress: Is told.

    Raises:
        SetDamaged: They do not fit together.
        CommandFailed: pg_combinebackup was killed, or found no room.
    """
    work = os.path.join(folder, ".parts")
    os.mkdir(work, 0o700)
    parts = []
    for number, link in enumerate(chain(one)):
        parts.append(os.path.join(work, str(number)))
        os.mkdir(parts[-1], 0o700)
        untar(link, parts[-1])
    whole = os.path.join(work, "whole")
    command = Command([Place(tool_folder=tool_folder).program("pg_combinebackup"), "--no-sync", f"--output={whole}", *parts])

    def look() -> None:
        keep_reserve(folder)
        progress.say("putting the sets together", lambda: tree_bytes(whole), one.manifest["cluster_bytes"], "bytes")

    try:
        with Pipeline(command) as pipeline:
            pipeline.watch(look, interval_s=0.1)
    except CommandFailed as error:
        if "No space left" in error.why or was_killed(error.facts.get("exit_status")):
            raise
        raise SetDamaged(
            f"pg_combinebackup cannot put {one.id} and its bases together", where=folder, why=error.why, next_step="use another set"
        ) from error
    for name in os.listdir(whole):
        os.rename(os.path.join(whole, name), os.path.join(folder, name))
    shutil.rmtree(work)
