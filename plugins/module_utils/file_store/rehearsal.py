# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A rehearsal: a set of files is unpacked elsewhere and compared. Only what came through this is proven."""

from __future__ import annotations

import os
import typing as t

from ..backup_set.sets import BackupSet
from ..errors import NotTheSame, RunbookError
from ..files import no_space_or, require_space
from ..progress import Progress
from ..restoring.result import Clock
from ..restoring.scratch_folders import remove_scratch_folders, scratch_folder
from .contents import Comparison
from .tools import Tools
from .unpacked import comparing, key_for, paths_of, unpack_source


def rehearse(one: BackupSet, tools: Tools, work_folder: str = "", *, run_id: str = "") -> t.Dict[str, t.Any]:
    """Unpack a set into a folder of its own, compare it file by file, write down what came of it, and remove all traces.

    Args:
        one: The set.
        tools: The programs, with the private key when the set holds encrypted files.
        work_folder: Folder with room for the files; empty for the one that holds the set.
        run_id: Run that this belongs to.

    Returns:
        `restored_after_s`, `comparison`, `durations_s`, `backup_set`.

    Raises:
        RunbookError: It does not restore to what was backed up. The set is marked as failed when that was its fault.
    """
    clock, sources = Clock(), paths_of(one)
    progress = Progress(f"Rehearsing {one.id}")
    home = work_folder or os.path.dirname(os.path.abspath(one.folder))
    os.makedirs(home, mode=0o700, exist_ok=True)
    remove_scratch_folders(home)
    require_space(home, int(sum(source.size_bytes for source in sources) * 1.05))
    comparison = Comparison()
    try:
        one.require_whole(on_bytes=lambda done: progress.say("checking the set", done, one.size_bytes, "bytes"))
        clock.lap("check_set")
        with scratch_folder(home) as folder, key_for(tools, sources) as key_folder:
            for number, source in enumerate(sources):
                into = os.path.join(folder, str(number))
                os.mkdir(into, 0o700)
                progress.say(f"unpacking and comparing {source.path}")
                with comparing(tools, one, source, key_folder, into, comparison) as there:
                    unpack_source(tools, one, source, key_folder, into, there)
                    clock.lap("unpack")
                    restored_after_s = clock.total()
                clock.lap("compare")
        if comparison.count:
            raise NotTheSame(
                "The set does not restore to what was backed up",
                where=one.folder,
                why="; ".join(comparison.differences[:5]),
                next_step="use another set; this one is marked as failed",
                facts={"comparison": comparison.told()},
            )
    except RunbookError as error:
        # A missing key or a full disk says nothing about the set: then it stays what it was.
        if (error.kind in ("SetDamaged", "NotTheSame") or error.facts.get("tool") in ("zstd", "gzip")) and not one.damage:
            one.mark_failed([error.message], run_id)
        raise
    except OSError as error:
        raise no_space_or(error, home) from error
    one.add_proof("proven", run_id=run_id, detail=f"unpacked elsewhere in {restored_after_s} s and compared file by file")
    return {
        "changed": True,
        "restored_after_s": restored_after_s,
        "comparison": comparison.told(),
        "durations_s": clock.laps,
        "backup_set": one.summary(),
    }
