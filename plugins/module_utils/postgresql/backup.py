# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Both ways of backing up behind one call, and the plan that a dry run shows."""

from __future__ import annotations

import typing as t

from ..backup_set.sets import BackupSet
from .base_backup import PROGRAMS, back_up_physically, require_one_tablespace
from .dump import BackupRequest, back_up_logically, plan
from .incremental import find_base


def describe(request: BackupRequest, method: str) -> t.Dict[str, t.Any]:
    """The result of a dry run: everything is looked at, nothing is changed.

    Raises:
        RunbookError: Whatever would stop the backup.
    """
    physical = method in ("physical", "incremental")
    ready = plan(request, PROGRAMS) if physical else plan(request)
    if physical:
        require_one_tablespace(request.connection)
    built_on, why_full = find_base(request, ready) if method == "incremental" else (None, "")
    what = "the whole server" if physical else f"the database {request.database}"
    steps = [f"remove {name}, left half written by a run that was killed" for name in ready.leftovers]
    steps.append(
        f"back up {what} ({ready.database_bytes / 1e6:.0f} MB, PostgreSQL {ready.info.version} at {request.connection}) "
        f"as a new {method} set in {request.backup_folder}, with {ready.jobs} jobs; at most {ready.needed_bytes / 1e6:.0f} MB are expected"
    )
    if built_on is not None:
        steps.append(f"only what changed since {built_on.id} is copied")
    elif method == "incremental":
        steps.append(f"all of it is copied: {why_full}")
    return {"changed": True, "plan": steps, "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)}}


def back_up(request: BackupRequest, method: str) -> t.Dict[str, t.Any]:
    """Take the set and return the module's result."""
    made: BackupSet = back_up_logically(request) if method == "logical" else back_up_physically(request, on_a_base=method == "incremental")
    steps = [f"removed {name}, left half written by a run that was killed" for name in made.manifest["removed_leftovers"]]
    steps.append(f"backed up {request.database} as {made.id}, {made.size_bytes / 1e6:.1f} MB in {made.manifest['duration_s']:.1f} s")
    notes = [f"a full set was taken: {made.manifest['full_because']}"] if made.manifest.get("full_because") else []
    return {
        "changed": True,
        "notes": notes,
        "backup_set": made.summary(),
        "duration_s": made.manifest["duration_s"],
        "plan": steps,
        "diff": {"before": "", "after": f"{made.folder}\n"},
    }
