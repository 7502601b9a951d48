# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Rehearsing a restore to a moment: elsewhere, read to the last row, and removed again."""

from __future__ import annotations

import os
import typing as t

from ..files import require_space
from ..postgresql.rehearsal import default_work_folder
from ..postgresql.scratch import own
from ..progress import Progress
from ..restoring.result import Clock
from ..restoring.scratch_folders import remove_scratch_folders, scratch_folder
from .model import Archive
from .restore import fetch, replay_and_read
from .target import LATEST, find_target, require_version


def rehearse(
    archive: Archive,
    database: str,
    wanted: str = LATEST,
    *,
    work_folder: str = "",
    replay_timeout_s: float = 3600,
    jobs: int = 2,
    dry_run: bool = False,
) -> t.Dict[str, t.Any]:
    """Restore to a moment into a folder of its own, where nobody can reach the server, and remove all traces.

    Args:
        archive: The server; it is not touched.
        database: Database whose rows are read and counted.
        wanted: The moment with its zone, or `latest`.
        work_folder: Folder with room for the restored data; empty for the one beside the live data, or /var/tmp.
        replay_timeout_s: Seconds for the replay of the log.
        jobs: Parallel jobs of the reading.
        dry_run: Whether only to look.

    Returns:
        `backup`, `restored_after_s`, `restored_to`, `comparison`, `row_counts`, `durations_s`, `notes`.

    Raises:
        SetDamaged: The backup is not what was written.
        RunbookError: It cannot be restored.
    """
    clock, service = Clock(), archive.service
    target, found = find_target(archive, wanted, ask_server=not dry_run)
    require_version(archive, found)
    clock.lap("find_moment")
    place = work_folder or default_work_folder(service.data_folder, service.account)
    require_space(place, int(target.backup.size_bytes * 1.05))
    result: t.Dict[str, t.Any] = {"changed": False, "backup": target.backup.told(), "notes": list(target.notes)}
    if dry_run:
        return result
    remove_scratch_folders(place, service.account)
    progress = Progress(f"Rehearsing the restore of {archive.stanza} to {wanted}")
    with scratch_folder(place) as folder:
        own(folder, service.account)
        data = os.path.join(folder, "data")
        fetch(archive, target, data, progress)
        clock.lap("restore_backup")
        read = replay_and_read(archive, target, data, database, replay_timeout_s, jobs, progress)
        clock.lap("replay_and_read")
    return {**result, **read, "restored_after_s": clock.total(), "durations_s": clock.laps}
