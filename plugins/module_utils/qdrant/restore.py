# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Restore of a set: every collection beside the live one, compared, then all in their places.

What a killed run leaves behind are collections that it noted before it made them (`begun`) and that no alias leads to; the next run removes
them.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ..backup_set.sets import BackupSet
from ..errors import BadInput, RunbookError, WrongTarget
from ..progress import Progress
from ..restoring.comparison import Comparison
from ..restoring.origin import other_server
from ..restoring.result import Clock, told
from .backup import BackupRequest, safety_store, take_safety_set
from .begun import begun, leftovers, only_one
from .fingerprint import ESSENTIAL
from .place import IN_PLACE, NEW, Place, places, put_back, put_in_place, switch
from .recovery import compare_recovered, drop, drop_quietly, minor, recover
from .server import Server


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore and where.

    Attributes:
        server: The server.
        store: Name of the store in the profile.
        backup_set: A set of Qdrant.
        backup_folder: Folder of the sets, for what is taken of collections before they are recovered into.
        collections: Names in the set; empty for all that are in it.
        from_other_server: Whether a set of another server may be restored here.
        expected_peer_id: The server's number that the inventory names; empty for none.
        run_id: Run that this belongs to.
    """

    server: Server
    store: str
    backup_set: BackupSet
    backup_folder: str
    collections: t.Sequence[str] = ()
    from_other_server: bool = False
    expected_peer_id: str = ""
    run_id: str = ""

    @property
    def entries(self) -> t.Dict[str, t.Dict[str, t.Any]]:
        """The wanted collections of the manifest."""
        return entries_of(self.backup_set, self.collections)


@dataclass(frozen=True)
class RestorePlan:
    """What a restore will do; made without changing anything."""

    places: t.Sequence[Place]
    leftovers: t.Sequence[str]
    same_versions: bool
    notes: t.Sequence[str] = field(default_factory=list)

    def steps(self, request: RestoreRequest) -> t.List[str]:
        """The plan in sentences, for dry runs."""
        lines = [f"remove the leftover collection {name} of a run that was killed" for name in self.leftovers]
        return lines + [line for place in self.places for line in place.steps(request.backup_set.id)]


def entries_of(one: BackupSet, wanted: t.Sequence[str]) -> t.Dict[str, t.Dict[str, t.Any]]:
    """Collections of a set by the name that the service knows them by; all, or those that are wanted.

    Raises:
        BadInput: The set is of another kind, or lacks one.
    """
    if one.manifest.get("kind") != "qdrant":
        raise BadInput(
            f"{one.id} is no backup set of a Qdrant server",
            why=f"it is of the kind {one.manifest.get('kind')}" if one.manifest else "; ".join(one.damage),
            next_step="choose one with sre.runbooks.backup_set_info",
        )
    held: t.Dict[str, t.Dict[str, t.Any]] = one.manifest["content"]["collections"]
    missing = [name for name in wanted if name not in held]
    if missing:
        raise BadInput(
            f"{one.id} holds no collection {', '.join(missing)}",
            why=f"it holds {', '.join(held)}",
            next_step="name one of these (collections)",
        )
    return {name: held[name] for name in wanted} if wanted else dict(held)


def plan_restore(request: RestoreRequest) -> RestorePlan:
    """Look at everything that could stop the restore, before anything is changed.

    Raises:
        RunbookError: The wrong server or version, or the set does not fit.
    """
    server, taken_on = request.server, request.backup_set.manifest.get("server", {})
    entries = request.entries
    version = server.version()
    notes = require_version(version, str(taken_on["version"]), server)
    known, aliases = server.collections(), server.aliases()
    if known:
        found = server.require_whole(known[0])
        server.guard_identity(request.expected_peer_id, [found])
        if not request.from_other_server and found != taken_on["peer_id"]:
            raise WrongTarget(
                f"{request.backup_set.id} was taken from another Qdrant server",
                where=str(server),
                why=f"that one ({taken_on['address']}) has the peer id {taken_on['peer_id']}, this one {found}",
                next_step="if it is meant to be restored here, say restore_from_other_server=true",
            )
        notes += other_server(request.backup_set, "peer_id", found)
    chosen = places(entries, known, aliases)
    for place in chosen:
        if place.mode == IN_PLACE:
            server.require_whole(place.live)
            _require_same_shape(server, place.live, entries[place.name])
    left = leftovers(request.backup_folder, server, known, aliases)
    return RestorePlan(chosen, left, minor(version) == minor(str(taken_on["version"])), notes)


def require_version(version: str, taken_on: str, server: Server) -> t.List[str]:
    """Raise WrongTarget for a server that is older than the set's; returns what to note of a newer one."""
    if minor(version) < minor(taken_on):
        raise WrongTarget(
            "The Qdrant server is older than the set",
            where=str(server),
            why=f"the server is {version}, the set was taken on {taken_on}; snapshots fit servers with the same minor version",
            next_step=f"bring the server to {'.'.join(map(str, minor(taken_on)))}",
        )
    if minor(version) > minor(taken_on):
        return [f"the set was taken on Qdrant {taken_on}, the server is {version}; Qdrant promises a fit for the same minor version only"]
    return []


def _require_same_shape(server: Server, live: str, entry: t.Mapping[str, t.Any]) -> None:
    found, wanted = server.info(live)["config"]["params"], entry["config"]["params"]
    differing = [key for key in ESSENTIAL if found.get(key) != wanted.get(key)]
    if differing:
        raise BadInput(
            f"The set cannot be recovered into the live collection {live}",
            where=str(server),
            why=f"that one has another {', '.join(differing)}",
            next_step="remove or rename the use of that collection first, so that it is made anew; or let the service use an alias",
        )


def restore(request: RestoreRequest) -> t.Dict[str, t.Any]:
    """Restore a set.

    Returns:
        `collections`, `kept_as`, `cut_off_s`, `serving_after_s` (seconds from the call until all served), `serving_at`, `comparison`,
        `dropped_leftovers`, `durations_s` by step, `notes`, `plan`.

    Raises:
        NotTheSame: A restored collection differs from the manifest; it was removed and the live ones are as they were.
        RunbookError: Anything else; the message says what serves.
    """
    clock, one, server = Clock(), request.backup_set, request.server
    progress = Progress(f"Restoring {request.store}")
    request.entries  # noqa: B018 - a set of another kind is refused before its files are read
    one.require_whole(on_bytes=lambda done: progress.say("checking the set", done, one.size_bytes, "bytes"))
    clock.lap("check_set")
    with only_one(request.backup_folder, server):
        ready = plan_restore(request)
        for name in ready.leftovers:
            drop(server, name)
        clock.lap("prepare")
        in_place = [place for place in ready.places if place.mode == IN_PLACE]
        made = [place.beside for place in ready.places]
        with begun(request.backup_folder, server, [place.beside for place in ready.places if place.mode != NEW]):
            comparison = _recover_beside(request, ready, progress, clock)
            try:
                safety = _safety(request, in_place) if in_place else None
                clock.lap("safety_set")
                cut_off_s = _put_in_place(request, ready, safety, comparison, progress)
            except RunbookError as error:
                if error.kind != "Undecided":
                    drop_quietly(server, made)
                raise
            clock.lap("put_in_place")
            serving_after_s, serving_at = clock.total(), time.time()
            left = drop_quietly(server, [place.beside for place in in_place])
    kept = [place.kept_as for place in ready.places if place.kept_as] + ([safety.id] if safety is not None else [])
    return {
        "changed": True,
        "collections": [place.name for place in ready.places],
        "kept_as": ", ".join(kept),
        **told(ready.steps(request)),
        "cut_off_s": round(cut_off_s, 3),
        "serving_after_s": serving_after_s,
        "serving_at": serving_at,
        "comparison": comparison.as_dict(),
        "dropped_leftovers": list(ready.leftovers),
        "durations_s": clock.laps,
        "notes": [*ready.notes, *(f"the collection {name} could not be removed, the next restore will" for name in left)],
    }


def _put_in_place(
    request: RestoreRequest, ready: RestorePlan, safety: t.Optional[BackupSet], comparison: Comparison, progress: Progress
) -> float:
    """First what is recovered into live collections, then all aliases in one step; returns for how many seconds clients were cut off."""
    server, lives, cut_off_s = request.server, [(place.name, place.live) for place in ready.places if place.mode == IN_PLACE], 0.0
    if safety is not None:
        cut_off_s, own = put_in_place(server, lives, request.backup_set, safety, progress, same_versions=ready.same_versions)
        comparison.unknown += [line for line in own.unknown if line not in comparison.unknown]
    try:
        return cut_off_s + switch(server, [place for place in ready.places if place.mode != IN_PLACE])
    except RunbookError as error:
        if safety is not None and error.kind != "Undecided":
            put_back(error, server, [live for _name, live in lives], safety, progress)
        raise


def describe_restore(request: RestoreRequest) -> t.Dict[str, t.Any]:
    """The result of a dry run: the set is read, everything is looked at, nothing is changed."""
    request.entries  # noqa: B018 - as above
    request.backup_set.require_whole()
    ready = plan_restore(request)
    names, kept = [place.name for place in ready.places], [place.kept_as for place in ready.places if place.kept_as]
    return {"changed": True, "collections": names, "kept_as": ", ".join(kept), **told(ready.steps(request)), "notes": list(ready.notes)}


def _recover_beside(request: RestoreRequest, ready: RestorePlan, progress: Progress, clock: Clock) -> Comparison:
    comparison = Comparison()
    try:
        for place in ready.places:
            recover(request.server, request.backup_set, place.name, place.beside, progress)
            clock.lap("recover")
            progress.say(f"comparing {place.name} with the backup")
            compare_recovered(request.server, request.backup_set, place.name, place.beside, comparison, same_versions=ready.same_versions)
            clock.lap("compare")
    except RunbookError as error:
        left = drop_quietly(request.server, [place.beside for place in ready.places])
        if left:
            error.next_step += f"; the next run removes {', '.join(left)}"
        new = [place.name for place in ready.places if place.mode == NEW]
        if not new:
            error.next_step += "; the live collections are as they were"
        raise
    return comparison


def _safety(request: RestoreRequest, in_place: t.Sequence[Place]) -> BackupSet:
    return take_safety_set(
        BackupRequest(
            server=request.server,
            store=safety_store(request.store),
            backup_folder=request.backup_folder,
            collections=[place.live for place in in_place],
            sample_points=int(request.backup_set.manifest["content"]["sample_points"]),
            run_id=request.run_id,
            labels={"why": "before", "at": in_place[0].beside[-16:], "restored": request.backup_set.id},
        )
    )
