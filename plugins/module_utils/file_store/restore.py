# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Restore of a set of files: unpacked beside what is in use, compared file by file, then put in its place."""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from dataclasses import dataclass, field

from ..backup_set.sets import BackupSet
from ..command import Command
from ..errors import BadInput, CommandFailed, NotTheSame, WrongTarget
from ..files import free_bytes, no_space_or, require_space
from ..pipeline import Pipeline
from ..postgresql.restore_result import Clock, told
from ..progress import Progress
from .contents import Comparison
from .request import FilesStore
from .swap import Member, beside, complete_interrupted, derived_from, exchange_paths, free_stamp, nobody_else_at, remove, remove_leftovers
from .tools import Tools
from .unpacked import SourcePath, compare_source, is_encrypted, key_for, paths_of, unpack_source


@dataclass(frozen=True)
class FilesRestore:
    """What to restore and where.

    Attributes:
        store: The store; its paths say what is restored and where. Without paths everything goes where it was.
        backup_set: A set of files.
        replace: Whether a folder becomes exactly what the set holds; else what only the live folder has stays in it.
        from_other_server: Whether a set with other paths may be restored here.
    """

    store: FilesStore
    backup_set: BackupSet
    replace: bool = True
    from_other_server: bool = False


@dataclass(frozen=True)
class _Target:
    """One path and what will be done there."""

    source: SourcePath
    live: str
    staging: str
    kept_as: str

    @property
    def new(self) -> str:
        """What takes the place of `live`: the staging folder, or the one file in it."""
        return self.staging if self.source.is_folder else os.path.join(self.staging, os.path.basename(self.source.path))


@dataclass
class FilesPlan:
    """What a restore will do; made without changing anything."""

    targets: t.List[_Target]
    leftovers: t.List[str]
    containers: t.List[str] = field(default_factory=list)
    create_volume: bool = False

    def steps(self, request: FilesRestore) -> t.List[str]:
        """The plan in sentences, for dry runs."""
        lines = [f"remove {path}, left behind by a run that was killed" for path in self.leftovers]
        if self.create_volume and request.store.volume:
            lines.append(f"create the volume {request.store.volume.name}")
        for target in self.targets:
            lines.append(f"unpack {request.backup_set.id} beside {target.live} and compare every file with the set's list")
            if target.kept_as and target.source.is_folder and not request.replace:
                lines.append(f"copy what only {target.live} has to what was unpacked")
        if self.containers:
            lines.append(f"stop the containers {', '.join(self.containers)} meanwhile")
        for target in self.targets:
            if target.kept_as:
                lines.append(f"let it take the place of {target.live} in one step; what is replaced is kept as {target.kept_as}")
            else:
                lines.append(f"put it at {target.live}, where nothing is now")
        return lines


def plan_restore(request: FilesRestore) -> FilesPlan:
    """Look at everything that could stop the restore, before anything is changed.

    Raises:
        RunbookError: The set does not fit, a tool, a key or room is missing, or a path cannot change places.
    """
    one, store = request.backup_set, request.store
    sources = paths_of(one)
    tools = Tools(store.tool_folder, store.encryption)
    tools.version()
    for source in sources:
        for part in source.parts:
            tools.program(os.path.basename(tools.decompressing(part["archive"]).argv[0]))
    if is_encrypted(sources):
        if store.encryption is None:
            raise BadInput(
                f"{one.id} holds encrypted files, and no key is named", next_step="give backup_encryption with its identity_file"
            )
        store.encryption.decrypting()
    create = bool(store.volume and store.volume.inspect() is None)
    pairs = [(sources[0], "")] if create else _matched(request, sources)
    lives = [live for _source, live in pairs]
    if not create:
        for live in lives:
            _require_exchangeable(live, one)
        _require_room(pairs, request.replace)
    now = free_stamp(lives)
    targets = [
        _Target(source, live, beside(live, "restoring", now), beside(live, "before", now) if os.path.lexists(live) else "")
        for source, live in pairs
    ]
    users = store.volume.users() if store.volume and not create else []
    leftovers = [path for live in lives for path in derived_from(live, "restoring").values()] if not create else []
    return FilesPlan(targets, leftovers, users, create)


def _matched(request: FilesRestore, sources: t.Sequence[SourcePath]) -> t.List[t.Tuple[SourcePath, str]]:
    """Each path of the set that is wanted, and where it goes."""
    if request.store.volume is None and not request.store.paths:
        return [(source, os.path.realpath(source.path)) for source in sources]
    wanted = request.store.sources()
    known = {source.path: source for source in sources}
    if all(path in known for path in wanted):
        return [(known[path], os.path.realpath(path)) for path in wanted]
    alike = len(wanted) == len(sources) and (
        request.store.volume is not None
        or all(os.path.basename(path) == os.path.basename(source.path) for path, source in zip(wanted, sources))
    )
    if alike and (request.from_other_server or request.store.volume is not None):
        return [(source, os.path.realpath(path)) for source, path in zip(sources, wanted)]
    held = f"the set holds {', '.join(known)}; wanted is {', '.join(wanted)}"
    if alike:
        raise WrongTarget(
            f"The backup set {request.backup_set.id} is of other paths",
            where=request.store.name,
            why=held,
            next_step="choose a set of these paths, or say that it is meant: restore_from_other_server=true",
        )
    raise BadInput(f"{request.backup_set.id} does not hold what is wanted", why=held, next_step="correct the paths, or choose another set")


def _require_exchangeable(live: str, one: BackupSet) -> None:
    home = os.path.dirname(live)
    if os.path.ismount(live):
        raise BadInput(
            "A mount point cannot change places with another folder",
            where=live,
            next_step="name the folders in it as the store's paths, or mount its parent",
        )
    if one.is_here and os.path.realpath(one.folder).startswith(live + "/"):
        raise BadInput(
            "The backup set lies in the folder that would be replaced",
            where=one.folder,
            next_step="name narrower paths in the store, or keep the sets elsewhere",
        )
    probe = home
    while not os.path.exists(probe):
        probe = os.path.dirname(probe)
    if not os.access(probe, os.W_OK | os.X_OK):
        raise BadInput("Nothing can be put there", where=live, why=f"no permission at {probe}", next_step="let the procedure run as root")


def _require_room(pairs: t.Sequence[t.Tuple[SourcePath, str]], replace: bool) -> None:
    needed: t.Dict[int, t.Tuple[str, int]] = {}
    for source, live in pairs:
        probe = os.path.dirname(live)
        while not os.path.exists(probe):
            probe = os.path.dirname(probe)
        device = os.stat(probe).st_dev
        before = needed.get(device, (probe, 0))[1]
        needed[device] = (probe, before + int(source.size_bytes * 1.05))
    for probe, size in needed.values():
        require_space(probe, size)


def describe_restore(request: FilesRestore) -> t.Dict[str, t.Any]:
    """The result of a dry run: the set is read, everything is looked at, nothing is changed."""
    request.backup_set.require_whole()
    ready = plan_restore(request)
    return {"changed": True, "kept_as": _kept(ready), **told(ready.steps(request))}


def _kept(ready: FilesPlan) -> t.Dict[str, str]:
    return {target.live: target.kept_as for target in ready.targets}


def restore_files(request: FilesRestore) -> t.Dict[str, t.Any]:
    """Restore a set.

    Returns:
        `kept_as` (path -> where what was replaced is kept), `comparison`, `cut_off_s`, `serving_after_s`, `serving_at`, `durations_s`,
        `notes`.

    Raises:
        NotTheSame: What was unpacked is not what was backed up; nothing was replaced.
        RunbookError: Something else failed; the files in use are as they were.
    """
    clock, one, store = Clock(), request.backup_set, request.store
    progress = Progress(f"Restoring {store.name}")
    if store.volume and store.volume.inspect() is None:
        plan_restore(request)
        store.volume.create()
    lives = [live for _source, live in _matched(request, paths_of(one))]
    for live in lives:
        os.makedirs(os.path.dirname(live), exist_ok=True)
    with nobody_else_at(lives):
        notes = complete_interrupted(lives)
        one.require_whole(on_bytes=lambda done: progress.say("checking the set", done, one.size_bytes, "bytes"))
        clock.lap("check_set")
        ready = plan_restore(request)
        remove_leftovers(lives)
        comparison = Comparison()
        try:
            _prepare(request, ready, comparison, clock, progress)
        except BaseException as error:
            for target in ready.targets:
                remove(target.staging)
            if isinstance(error, OSError):
                raise no_space_or(error, lives[0]) from error
            raise _explained(error, lives[0]) from error.__cause__
        # From here on that name may be what was replaced: nothing is removed any more, the next run tidies up.
        progress.say("exchanging")
        cut_off_s = exchange_paths([Member(target.live, target.new, target.kept_as) for target in ready.targets], store.volume)
        for target in ready.targets:
            if not target.source.is_folder:
                remove(target.staging)
    clock.lap("exchange")
    return {
        "changed": True,
        "kept_as": _kept(ready),
        "comparison": comparison.told(),
        **told(ready.steps(request)),
        "cut_off_s": round(cut_off_s, 3),
        "serving_after_s": clock.total(),
        "serving_at": time.time(),
        "durations_s": clock.laps,
        "notes": [*notes, *_notes(request, one)],
    }


def _prepare(request: FilesRestore, ready: FilesPlan, comparison: Comparison, clock: Clock, progress: Progress) -> None:
    """Unpack and compare everything, before anything changes places."""
    tools = Tools(request.store.tool_folder, request.store.encryption)
    with key_for(tools, [target.source for target in ready.targets]) as key_folder:
        for target in ready.targets:
            os.mkdir(target.staging, 0o700)
            progress.say(f"unpacking {target.live}")
            unpack_source(tools, request.backup_set, target.source, key_folder, target.staging)
            clock.lap("unpack")
            progress.say(f"comparing {target.live}")
            compare_source(tools, request.backup_set, target.source, key_folder, target.staging, comparison)
            clock.lap("compare")
    if comparison.count:
        raise NotTheSame(
            "What was unpacked is not what was backed up",
            where=request.backup_set.folder,
            why="; ".join(comparison.differences[:5]),
            next_step="choose another set; the files in use are as they were",
            facts={"comparison": comparison.told()},
        )
    if not request.replace:
        for target in ready.targets:
            if target.kept_as and target.source.is_folder:
                _keep_others(tools, target.live, target.staging)
        clock.lap("keep_others")


def _keep_others(tools: Tools, live: str, staging: str) -> None:
    """Copy what only the live folder has."""
    names = list(_only_in(os.fsencode(live), os.fsencode(staging), b""))
    if not names:
        return
    creating = tools.creating(os.fsencode(live))
    argv = ["--recursion" if part == "--no-recursion" else part for part in creating.argv]
    with Pipeline(Command(argv), tools.unpacking(staging), stdin=subprocess.PIPE) as pipes:
        pipes.stdin.write(b"".join(name + b"\0" for name in names))


def _only_in(live: bytes, staging: bytes, prefix: bytes) -> t.Iterator[bytes]:
    with os.scandir(live) as found:
        for entry in found:
            other = os.path.join(staging, entry.name)
            if not os.path.lexists(other):
                yield prefix + entry.name
            elif entry.is_dir(follow_symlinks=False) and os.path.isdir(other) and not os.path.islink(other):
                yield from _only_in(entry.path, other, prefix + entry.name + b"/")


def _explained(error: BaseException, where: str) -> BaseException:
    """A program that failed for want of room is told as that."""
    if isinstance(error, CommandFailed) and "no space left" in error.why.lower():
        return no_space_or(OSError(28, "No space left on device"), where)
    if isinstance(error, CommandFailed) and not error.next_step:
        error.next_step = f"the files in use are as they were; {free_bytes(where) / 1e6:.0f} MB are free there"
    return error


def _notes(request: FilesRestore, one: BackupSet) -> t.List[str]:
    notes = [str(note) for note in one.manifest["content"].get("notes", [])]
    excluded = one.manifest.get("exclude") or one.manifest.get("include")
    if excluded and request.replace:
        notes.append("what the set leaves out (include, exclude) is not in the restored folders; it is in what was kept")
    return notes
