# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A rehearsal: each collection of a set is recovered into one of its own, compared, and removed. Only what came through this is proven."""

from __future__ import annotations

import typing as t

from ..backup_set.sets import BackupSet
from ..errors import RunbookError
from ..progress import Progress
from ..restoring.comparison import Comparison
from ..restoring.result import Clock
from .begun import begun, leftovers, only_one
from .http import Refused
from .names import derived_name, stamp
from .recovery import compare_recovered, drop, drop_quietly, minor, recover
from .restore import entries_of, require_version
from .server import Server


def rehearse(server: Server, one: BackupSet, backup_folder: str, *, run_id: str = "", dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Recover a set beside everything that the server has, compare, write down what came of it, and remove all traces.

    Args:
        server: Any server with room for one more of the largest collection; the live one will do, another one is better.
        one: The set.
        backup_folder: Folder of the sets.
        run_id: Run that this belongs to.
        dry_run: Whether only to read the set.

    Returns:
        `restored_after_s` (seconds until all were recovered), `comparison`, `durations_s`, `backup_set`.

    Raises:
        RunbookError: It does not restore to what was backed up. The set is marked as failed when that was its fault.
    """
    entries = entries_of(one, ())
    clock, progress = Clock(), Progress(f"Rehearsing {one.id}")
    try:
        one.require_whole(on_bytes=lambda done: progress.say("checking the set", done, one.size_bytes, "bytes"))
        clock.lap("check_set")
        version, taken_on = server.version(), str(one.manifest["server"]["version"])
        notes = require_version(version, taken_on, server)
        if dry_run:
            return {"changed": True, "backup_set": one.summary(), "notes": notes}
        comparison = Comparison()
        with only_one(backup_folder, server):
            known, aliases = server.collections(), server.aliases()
            for name in leftovers(backup_folder, server, known, aliases):
                drop(server, name)
            at = stamp(lambda moment: any(derived_name(name, "rehearsal", moment) in known for name in entries))
            scratch = {name: derived_name(name, "rehearsal", at) for name in entries}
            with begun(backup_folder, server, list(scratch.values())):
                for name in entries:
                    _one(server, one, name, scratch[name], comparison, clock, progress, same=minor(version) == minor(taken_on))
    except RunbookError as error:
        fault = error.kind in ("SetDamaged", "NotTheSame") or (isinstance(error, Refused) and error.about_snapshot)
        if fault and not one.damage and not dry_run:
            one.mark_failed([error.message], run_id)
        raise
    restored_after_s = round(clock.laps["check_set"] + clock.laps["recover"], 3)
    one.add_proof("proven", run_id=run_id, detail=f"restored beside everything else in {restored_after_s} s and compared")
    return {
        "changed": True,
        "restored_after_s": restored_after_s,
        "comparison": comparison.as_dict(),
        "durations_s": clock.laps,
        "notes": notes,
        "backup_set": one.summary(),
    }


def _one(
    server: Server, one: BackupSet, name: str, scratch: str, comparison: Comparison, clock: Clock, progress: Progress, *, same: bool
) -> None:
    try:
        recover(server, one, name, scratch, progress)
        clock.lap("recover")
        progress.say(f"comparing {name} with the backup")
        compare_recovered(server, one, name, scratch, comparison, same_versions=same)
        clock.lap("compare")
    except RunbookError:
        drop_quietly(server, [scratch])
        raise
    drop(server, scratch)
    clock.lap("remove")
