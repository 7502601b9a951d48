# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A rehearsal: a set is restored elsewhere and compared. Only what came through this is proven."""

from __future__ import annotations

import os
import typing as t

from ..backup_set.chain import base_of, require_whole_chain
from ..backup_set.sets import BackupSet
from ..errors import RunbookError
from ..files import require_space
from ..process_tree import was_killed
from ..progress import Progress
from ..restoring.result import Clock
from ..restoring.scratch_folders import remove_scratch_folders, scratch_folder
from .connection import Session
from .exchange import Service
from .fingerprint import TableHasher, tables
from .restore import RestoreRequest, restore_logically
from .restore_folder import superuser_of
from .scratch import open_to_all, own, private_server, scratch_server, server_account
from .unpack import unpack


def rehearse(
    one: BackupSet, work_folder: str, tool_folder: str, *, account: str = "", jobs: int = 0, run_id: str = ""
) -> t.Dict[str, t.Any]:
    """Restore a set into a server of its own, compare, write down what came of it, and remove all traces.

    Args:
        one: The set.
        work_folder: Folder for the scratch server, with room for the restored data; empty for `default_work_folder`.
        tool_folder: Folder of the server's programs.
        account: Account for the scratch server when we are root.
        jobs: Parallel jobs.
        run_id: Run that this belongs to.

    Returns:
        `restored_after_s` (seconds until the scratch server served), `comparison`, `durations_s`, `backup_set`.

    Raises:
        RunbookError: It does not restore to what was backed up. The set is marked as failed when that was its fault.
    """
    work_folder = work_folder or default_work_folder(one.folder, server_account(account))
    need = int(one.manifest.get("cluster_bytes") or one.manifest.get("database_bytes") or 0)
    require_space(work_folder, int(need * (2.2 if base_of(one) else 1.1)))
    remove_scratch_folders(work_folder, server_account())
    try:
        result = (_physical if one.manifest.get("method") == "physical" else _logical)(one, work_folder, tool_folder, account, jobs)
    except RunbookError as error:
        # A scratch server that does not start, or a program that is killed, says nothing about the set: then it stays what it was.
        refused = error.facts.get("tool") == "pg_restore" and not was_killed(error.facts.get("exit_status"))
        if (error.kind in ("SetDamaged", "NotTheSame") or refused) and not one.damage:
            one.mark_failed([error.message], run_id)
        raise
    one.add_proof("proven", run_id=run_id, detail=f"restored elsewhere in {result['restored_after_s']} s and compared")
    return {"changed": True, **result, "backup_set": one.summary()}


def default_work_folder(set_folder: str, account: str) -> str:
    """The folder that holds the set, unless the scratch server's account could not enter it; then /var/tmp."""
    home = os.path.dirname(os.path.abspath(set_folder))
    return home if not account or open_to_all(home) else "/var/tmp"  # noqa: S108 - large files, kept off a tmpfs; the folder made in it is private


def _logical(one: BackupSet, work_folder: str, tool_folder: str, account: str, jobs: int) -> t.Dict[str, t.Any]:
    with scratch_folder(work_folder) as folder, scratch_server(folder, tool_folder, server_account(account)) as connection:
        request = RestoreRequest(connection, one.manifest["database"], one, jobs=jobs, from_other_server=True, analyze=False)
        result = restore_logically(request)
    return {"restored_after_s": result["serving_after_s"], "comparison": result["comparison"], "durations_s": result["durations_s"]}


def _physical(one: BackupSet, work_folder: str, tool_folder: str, account: str, jobs: int) -> t.Dict[str, t.Any]:
    clock, runs_as = Clock(), server_account(account)
    progress = Progress(f"Rehearsing {one.id}")
    one.require_whole(on_bytes=lambda done: progress.say("checking the set", done, one.size_bytes, "bytes"))
    require_whole_chain(one)
    clock.lap("check_set")
    with scratch_folder(work_folder) as folder:
        own(folder, runs_as)
        data = os.path.join(folder, "data")
        unpack(one, data, Service(data, account=runs_as, tool_folder=tool_folder), progress)
        clock.lap("unpack")
        settings = {"archive_mode": "off", "logging_collector": "off", "max_wal_senders": "0"}
        with private_server(data, tool_folder, runs_as, settings, superuser_of(one)) as connection:
            clock.lap("start")
            restored_after_s = clock.total()
            progress.say("reading every row")
            hasher = TableHasher(connection, one.manifest["database"], one.manifest["server"]["version_num"], jobs=jobs or 2)
            with Session(connection, one.manifest["database"]) as session:
                for table in tables(session):
                    hasher.add(table)
            rows = hasher.finish()
            clock.lap("read_rows")
    compared = {"tables": len(rows), "rows": sum(table["rows"] for table in rows.values())}
    unknown = [
        "row content against the live server: a physical copy holds a later moment than any fingerprint; its files were checked one by one"
    ]
    return {
        "restored_after_s": restored_after_s,
        "comparison": {"same": True, "differences": [], "unknown": unknown, "compared": compared},
        "durations_s": clock.laps,
    }
