# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Restore of a set of files: unpacked beside what is in use, compared file by file, then put in its place."""

from __future__ import annotations

import os
import time
import typing as t

from ..backup_set.sets import BackupSet
from ..errors import CommandFailed, NotTheSame
from ..files import free_bytes, no_space_or, no_space_said, require_space
from ..progress import Progress
from ..restoring.result import Clock, told
from .archive import copy
from .contents import SHOWN, Comparison, shown
from .restore_plan import FilesPlan, FilesRestore, matched, plan_restore
from .swap import Member, complete_interrupted, exchange_paths, nobody_else_at, remove, remove_leftovers
from .tools import Tools
from .unpacked import comparing, key_for, paths_of, unpack_source

_ST_BLOCK = 512
"""Bytes in which stat(2) counts what a file occupies; holes count nothing."""


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
    lives = [live for _source, live in matched(request, paths_of(one))]
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
            notes += _prepare(request, ready, comparison, clock, progress)
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


def _prepare(request: FilesRestore, ready: FilesPlan, comparison: Comparison, clock: Clock, progress: Progress) -> t.List[str]:
    """Unpack and compare everything, before anything changes places; returns what the reader should know."""
    tools = Tools(request.store.tool_folder, request.store.encryption)
    with key_for(tools, [target.source for target in ready.targets]) as key_folder:
        for target in ready.targets:
            os.mkdir(target.staging, 0o700)
            progress.say(f"unpacking and comparing {target.live}")
            with comparing(tools, request.backup_set, target.source, key_folder, target.staging, comparison) as there:
                unpack_source(tools, request.backup_set, target.source, key_folder, target.staging, there)
                clock.lap("unpack")
            clock.lap("compare")
    if comparison.count:
        raise NotTheSame(
            "What was unpacked is not what was backed up",
            where=request.backup_set.folder,
            why="; ".join(comparison.differences[:5]),
            next_step="choose another set; the files in use are as they were",
            facts={"comparison": comparison.told()},
        )
    notes = []
    if not request.replace:
        for target in ready.targets:
            if target.kept_as and target.source.is_folder:
                notes += _keep_others(tools, target.live, target.staging)
        clock.lap("keep_others")
    return notes


def _keep_others(tools: Tools, live: str, staging: str) -> t.List[str]:
    """Copy what only the live folder has; returns what the reader should know about it."""
    names = list(_only_in(os.fsencode(live), os.fsencode(staging), b""))
    if not names:
        return []
    require_space(staging, sum(os.lstat(os.path.join(os.fsencode(live), name)).st_blocks * _ST_BLOCK for name in names))
    told = copy(tools, os.fsencode(live), names, staging)
    if not told.changed:
        return []
    return [f"changed while they were copied from {live}: {', '.join(shown(name) for name in told.changed[:SHOWN])}"]


def _only_in(live: bytes, staging: bytes, prefix: bytes) -> t.Iterator[bytes]:
    """Names that the other folder lacks, a folder before what is in it."""
    with os.scandir(live) as found:
        for entry in found:
            other, is_folder = os.path.join(staging, entry.name), entry.is_dir(follow_symlinks=False)
            if not os.path.lexists(other):
                yield prefix + entry.name
            elif not os.path.isdir(other) or os.path.islink(other):
                continue
            if is_folder:
                yield from _only_in(entry.path, other, prefix + entry.name + b"/")


def _explained(error: BaseException, where: str) -> BaseException:
    """A program that failed for want of room is told as that."""
    if not isinstance(error, CommandFailed):
        return error
    if not error.next_step:
        error.next_step = f"the files in use are as they were; {free_bytes(where) / 1e6:.0f} MB are free there"
    return no_space_said(error, where)


def _notes(request: FilesRestore, one: BackupSet) -> t.List[str]:
    notes = [str(note) for note in one.manifest["content"].get("notes", [])]
    excluded = one.manifest.get("exclude") or one.manifest.get("include")
    if excluded and request.replace:
        notes.append("what the set leaves out (include, exclude) is not in the restored folders; it is in what was kept")
    return notes
