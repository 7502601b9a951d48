# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Backup of a Qdrant server: snapshots are brought off the server, compared with its checksums, and removed there."""

from __future__ import annotations

import os
import re
import time
import typing as t
from dataclasses import dataclass, field

from ..backup_set.sets import BackupSet, SetWriter, remove_leftovers, utc_now
from ..errors import BadInput, SetDamaged
from ..files import require_folder_writable, require_space
from ..progress import Progress
from ..restoring.result import told
from ..restoring.safety import safety_set
from .archive import hash_members, read_storage
from .begun import leftovers
from .fetch import fetch
from .fingerprint import settings_of, state_of
from .names import is_kept_alias, service_aliases
from .own_snapshots import OwnSnapshots, remove_abandoned
from .server import Server, Snapshot


@dataclass(frozen=True)
class BackupRequest:
    """What to back up and where to.

    Attributes:
        server: The server.
        store: Name of the store in the profile.
        backup_folder: Folder of the sets.
        collections: Names of collections, or aliases by which the service knows them; empty for all.
        full_storage: Whether to take one snapshot of the whole storage instead of one of each collection.
        sample_points: So many points of each collection are read for the comparison; -1 for all.
        expected_peer_id: The server's number that the inventory names; empty for none.
        run_id: Run that this belongs to.
        labels: Further words in the manifest.
    """

    server: Server
    store: str
    backup_folder: str
    collections: t.Sequence[str] = ()
    full_storage: bool = False
    sample_points: int = 1000
    expected_peer_id: str = ""
    run_id: str = ""
    labels: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BackupPlan:
    """What a backup will do; made without changing anything.

    Attributes:
        version: The server's.
        peer_id: The server's number.
        targets: Name in the set -> collection.
        aliases: All aliases of the server.
        abandoned: Snapshots of killed runs that will be removed from the server.
        leftovers: Half-written sets that will be removed.
    """

    version: str
    peer_id: int
    targets: t.Mapping[str, str]
    aliases: t.Mapping[str, str]
    abandoned: t.Sequence[str]
    leftovers: t.Sequence[str]

    def steps(self, request: BackupRequest) -> t.List[str]:
        """The plan in sentences, for dry runs."""
        lines = [f"remove the snapshot {name} of a run that was killed from the server" for name in self.abandoned]
        lines += [f"remove the half-written set {name}" for name in self.leftovers]
        named = [name if name == real else f"{name} (an alias of {real})" for name, real in self.targets.items()]
        if request.full_storage:
            lines.append(f"take a snapshot of the whole storage of {request.server} ({', '.join(named)}) and fetch it")
        else:
            lines += [f"take a snapshot of the collection {one} on {request.server} and fetch it" for one in named]
        return [*lines, "compare checksums, remove the snapshots from the server, seal the set"]


def plan(request: BackupRequest) -> BackupPlan:
    """Look at everything that could stop the backup, before anything is written.

    Raises:
        RunbookError: The server, a collection, the right folder is missing.
    """
    server = request.server
    version = server.version()
    known, aliases = server.collections(), server.aliases()
    targets = _targets(request, known, aliases)
    peer_ids = [server.require_whole(real) for real in dict.fromkeys(targets.values())]
    server.guard_identity(request.expected_peer_id, peer_ids)
    require_folder_writable(request.backup_folder)
    require_space(request.backup_folder, 0)
    return BackupPlan(
        version=version,
        peer_id=peer_ids[0],
        targets=targets,
        aliases=aliases,
        abandoned=remove_abandoned(server, request.backup_folder, dry_run=True),
        leftovers=remove_leftovers(request.backup_folder, dry_run=True),
    )


def _targets(request: BackupRequest, known: t.Sequence[str], aliases: t.Mapping[str, str]) -> t.Dict[str, str]:
    if request.full_storage and request.collections:
        raise BadInput(
            "Both the whole storage and certain collections are asked for", next_step="name collections, or full_storage: true, not both"
        )
    if request.sample_points < -1:
        raise BadInput(
            f"{request.sample_points} points cannot be read", next_step="say -1 for all, 0 for none, or a number (sample_points)"
        )
    missing = [name for name in request.collections if name not in known and name not in aliases]
    if missing:
        raise BadInput(
            f"There is no collection {', '.join(map(repr, missing))}",
            where=str(request.server),
            why=f"there are {', '.join([*known, *(f'{alias} (an alias)' for alias in sorted(aliases))]) or 'none'}",
            next_step="correct the collections of the store",
        )
    if request.collections:
        return {name: aliases.get(name, name) for name in request.collections}
    found, half_made = {}, leftovers(request.backup_folder, request.server, known, aliases)
    for real in known:
        named = service_aliases(real, aliases)
        kept = any(is_kept_alias(alias) for alias, one in aliases.items() if one == real)
        if named or not (kept or real in half_made):
            found[named[0] if named else real] = real
    if not found:
        raise BadInput("The server has no collections", where=str(request.server), next_step="look whether it is the right one (url)")
    return found


def describe(request: BackupRequest) -> t.Dict[str, t.Any]:
    """The result of a dry run."""
    return {"changed": True, **told(plan(request).steps(request))}


def back_up(request: BackupRequest) -> t.Dict[str, t.Any]:
    """Take a new, sealed set.

    Returns:
        `backup_set`, `duration_s`, `plan`, `durations_s` by step, `notes`.

    Raises:
        RunbookError: Something failed; neither here nor on the server is anything left behind.
    """
    began = time.monotonic()
    ready = plan(request)
    removed = [*remove_leftovers(request.backup_folder), *remove_abandoned(request.server, request.backup_folder)]
    progress = Progress(f"Backing up {request.store}")
    with SetWriter(request.backup_folder, request.store, "snapshot") as writer, OwnSnapshots(request.server, request.backup_folder) as own:
        one = _Taking(request, ready, writer.folder, own, progress)
        started, consistent_at = utc_now(), utc_now()
        one.storage() if request.full_storage else one.collections()
        manifest = {
            "kind": "qdrant",
            "method": "snapshot",
            "store": request.store,
            "run_id": request.run_id,
            "labels": dict(request.labels),
            "server": {"address": str(request.server), "version": ready.version, "peer_id": ready.peer_id},
            "started_at": started,
            "consistent_at": consistent_at,
            "finished_at": utc_now(),
            "duration_s": round(time.monotonic() - began, 3),
            "full_storage": request.full_storage,
            "content": {"collections": one.entries, "sample_points": request.sample_points},
            "removed_leftovers": removed,
        }
        sealed = writer.seal(manifest, one.files)
    return {
        "changed": True,
        "backup_set": sealed.summary(),
        "duration_s": round(time.monotonic() - began, 3),
        "durations_s": {step: round(spent, 3) for step, spent in one.durations_s.items()},
        "notes": [*one.notes, *own.notes],
        **told(ready.steps(request)),
    }


class _Taking:
    """The snapshots of one set, taken one after the other: each is fetched and gone before the next needs room on the server."""

    def __init__(self, request: BackupRequest, ready: BackupPlan, folder: str, own: OwnSnapshots, progress: Progress) -> None:
        self._request, self._ready, self._folder, self._own, self._progress = request, ready, folder, own, progress
        self._server = request.server
        self.entries: t.Dict[str, t.Dict[str, t.Any]] = {}
        self.files: t.Dict[str, t.Dict[str, t.Any]] = {}
        self.durations_s = {"compare": 0.0, "snapshot": 0.0, "fetch": 0.0}
        self.notes: t.List[str] = []

    def collections(self) -> None:
        """One file of each collection."""
        for number, (name, real) in enumerate(self._ready.targets.items(), start=1):
            before = self._timed("compare", self._look, name, real)
            snapshot = self._timed("snapshot", self._own.take, real)
            path = f"{number:03d}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)[:80]}.snapshot"
            checked = self._fetch(snapshot, path)
            after = self._timed("compare", state_of, self._server, real, self._request.sample_points)
            self._own.remove()
            self.entries[name] = {**before, "after": after, "path": path, **checked}

    def storage(self) -> None:
        """One file of the whole storage."""
        looked = {name: self._timed("compare", self._look, name, real) for name, real in self._ready.targets.items()}
        snapshot = self._timed("snapshot", self._own.take, "")
        checked = self._fetch(snapshot, "storage.snapshot")
        path = os.path.join(self._folder, "storage.snapshot")
        members = read_storage(path)["collections_mapping"]
        hashes = self._timed("fetch", hash_members, path, members.values())
        for real, member in members.items():
            self._own.own_too(real, member)
        for name, before in looked.items():
            if before["collection"] not in members:
                raise SetDamaged(f"The snapshot of the storage lacks the collection {before['collection']}", where=str(self._server))
            after = self._timed("compare", state_of, self._server, before["collection"], self._request.sample_points)
            part = {"path": "storage.snapshot", "member": members[before["collection"]], "server_checksum": checked["server_checksum"]}
            self.entries[name] = {**before, "after": after, **part, **hashes[members[before["collection"]]]}
        self._own.remove()

    def _look(self, name: str, real: str) -> t.Dict[str, t.Any]:
        self._progress.say(f"counting the points of {name}")
        aliases = service_aliases(real, self._ready.aliases)
        before = state_of(self._server, real, self._request.sample_points)
        return {"collection": real, "aliases": aliases, **settings_of(self._server.info(real)), "before": before}

    def _fetch(self, snapshot: Snapshot, name: str) -> t.Dict[str, t.Any]:
        entry = self._timed("fetch", fetch, self._server, snapshot, os.path.join(self._folder, name), self._progress)
        self.files[name] = {key: entry[key] for key in ("size_bytes", "sha256")}
        if not snapshot.checksum:
            self.notes.append(f"the server tells no checksum of {snapshot.name} (Qdrant before 1.8): only its size was compared")
        return t.cast("t.Dict[str, t.Any]", entry)

    def _timed(self, step: str, work: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
        began = time.monotonic()
        try:
            return work(*arguments)
        finally:
            self.durations_s[step] += time.monotonic() - began


def safety_store(store: str) -> str:
    """The name under which sets are kept that a restore takes of what it replaces."""
    return f"{store}_before_restore"


def take_safety_set(request: BackupRequest) -> BackupSet:
    """Take a set of what a restore is about to replace, and verify that it can be read.

    Raises:
        RunbookError: It could not be taken; then nothing may be replaced.
    """
    return safety_set(back_up(request))
