# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A rehearsal: a set is loaded into a server of its own and compared. Only what came through this is proven."""

from __future__ import annotations

import os
import typing as t

from ..backup_set.sets import BackupSet
from ..command import Place
from ..errors import RunbookError, ToolMissing
from ..files import require_space
from ..progress import Progress
from ..restoring.result import Clock
from ..restoring.scratch_folders import remove_scratch_folders, scratch_folder
from .programs import Programs, programs_in_image, programs_on_host
from .restore import copy_into, load_and_compare, require_redis_set
from .scratch import require_memory
from .service import Files


def rehearse(one: BackupSet, place: Place, work_folder: str = "", *, timeout_s: float = 600, run_id: str = "") -> t.Dict[str, t.Any]:
    """Load a set into a server of its own, compare, write down what came of it, and remove all traces.

    Args:
        one: The set.
        place: Where the server's programs are: this host, or the image of a container.
        work_folder: Folder for the copy, with room for it; empty for the folder that holds the set.
        timeout_s: Seconds until it must be loaded.
        run_id: Run that this belongs to.

    Returns:
        `restored_after_s` (seconds until the scratch server served), `comparison`, `durations_s`, `backup_set`.

    Raises:
        RunbookError: It does not restore to what was backed up. The set is marked as failed when that was its fault.
    """
    require_redis_set(one)
    clock, progress = Clock(), Progress(f"Rehearsing {one.id}")
    programs = programs_of(place)
    work_folder = work_folder or os.path.dirname(os.path.abspath(one.folder))
    require_space(work_folder, one.size_bytes)
    require_memory(int(one.manifest.get("used_memory_bytes", 0)))
    programs.remove_leftovers(work_folder)
    remove_scratch_folders(work_folder)
    try:
        one.require_whole(on_bytes=lambda done: progress.say("checking the set", done, one.size_bytes, "bytes"))
        clock.lap("check_set")
        with scratch_folder(work_folder) as folder:
            copy_into(one, os.path.join(folder, Files().rdb), progress)
            clock.lap("copy")
            comparison, _loaded = load_and_compare(one, folder, programs, Files(), progress, clock, "", timeout_s)
    except RunbookError as error:
        # A scratch server that does not start says nothing about the set: then it stays what it was.
        if (error.kind in ("SetDamaged", "NotTheSame") or error.facts.get("loads") is False) and not one.damage:
            one.mark_failed([error.message], run_id)
        raise
    restored_after_s = round(sum(clock.laps[name] for name in ("check_set", "copy", "check_rdb", "load")), 3)
    one.add_proof("proven", run_id=run_id, detail=f"loaded elsewhere in {restored_after_s} s and compared")
    return {
        "changed": True,
        "restored_after_s": restored_after_s,
        "comparison": comparison,
        "durations_s": clock.laps,
        "backup_set": one.summary(),
    }


def describe(one: BackupSet, place: Place) -> t.Dict[str, t.Any]:
    """The result of a dry run: the set's files are compared with the manifest, and nothing is loaded."""
    require_redis_set(one)
    programs_of(place)
    one.require_whole()
    return {"changed": True, "plan": [f"load {one.id} into a server of its own, compare it, mark it proven"]}


def programs_of(place: Place) -> Programs:
    """The server's programs of a place.

    Raises:
        ToolMissing: They are in a pod, or not there.
    """
    if place.pod:
        raise ToolMissing(
            "A set cannot be tried in a pod",
            where=str(place),
            next_step="install redis-server on this host, and leave out pod for the rehearsal",
        )
    return programs_in_image(place) if place.container else programs_on_host(place.tool_folder)


def tool_problems(one: BackupSet, tool_folder: str = "") -> t.List[str]:
    """What redis-check-rdb says of a set.

    Returns:
        One sentence for each problem; empty when all is well.

    Raises:
        ToolMissing: The programs are not on this host, or are older than the set.
    """
    checked = programs_on_host(tool_folder).check_rdb(one.path(one.manifest["rdb"]["path"]))
    return [f"{checked.tool} says: {checked.problem}"] if checked.problem else []
