# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Restore of a physical set: into a new data folder beside the live one, checked and started there, then put in its place."""

from __future__ import annotations

import filecmp
import glob
import os
import re
import shutil
import time
import typing as t
from dataclasses import dataclass

from ..backup_set.chain import base_of, require_whole_chain
from ..backup_set.sets import BackupSet
from ..command import Command, Place, run
from ..errors import BadInput, CommandFailed, SetDamaged, WrongTarget
from ..files import no_space_or, remove_tree, require_space
from ..progress import Progress
from ..restoring.names import stamp
from ..restoring.origin import other_server
from ..restoring.result import Clock, told
from .dump import full_disk
from .exchange import Service, complete_interrupted, exchange_folders, nobody_else_in
from .incremental import begin_lineage
from .scratch import own, private_server
from .unpack import decompressor, unpack

_CONFIGURATION = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")
"""Files that belong to the data folder unless the server is told otherwise (manual, 19.2)."""
_SIGNAL_FILE_SINCE = 12
"""recovery.signal took the place of recovery.conf (release notes, E.19.2)."""


@dataclass(frozen=True)
class FolderRequest:
    """What to restore and where.

    Attributes:
        service: The server whose data folder is replaced.
        backup_set: A physical set.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
        from_other_server: Whether a set of another server may be restored here.
    """

    service: Service
    backup_set: BackupSet
    expected_identifier: str = ""
    from_other_server: bool = False


@dataclass(frozen=True)
class FolderPlan:
    """What a restore will do; made without changing anything."""

    live_exists: bool
    restoring: str
    kept_as: str
    leftovers: t.Sequence[str]
    notes: t.Sequence[str] = ()

    def steps(self, request: FolderRequest) -> t.List[str]:
        """The plan in sentences, for dry runs."""
        live = request.service.data_folder
        lines = [f"remove {path}, left behind by a run that was killed" for path in self.leftovers]
        lines.append(f"unpack {request.backup_set.id} into {self.restoring}, check every file, and start it there once by itself")
        if self.live_exists:
            lines.append(
                f"stop the server, let {live} and {self.restoring} change places, start it; the replaced folder is kept as {self.kept_as}"
            )
        else:
            lines.append(f"rename {self.restoring} to {live} and start the server")
        return lines


def plan_folder(request: FolderRequest) -> FolderPlan:
    """Look at everything that could stop the restore, before anything is changed.

    Raises:
        RunbookError: The wrong server, a tool, or room is missing, or the set does not fit.
    """
    one, service = request.backup_set, request.service
    if one.damage:
        raise SetDamaged(f"The backup set {one.id} is damaged", where=one.folder, why="; ".join(one.damage), next_step="use another set")
    if one.manifest.get("kind") != "postgresql" or one.manifest.get("method") != "physical":
        raise BadInput(f"{one.id} is no physical PostgreSQL set", where=one.folder, next_step="choose a physical set")
    live = os.path.abspath(service.data_folder)
    if os.path.ismount(live):
        raise BadInput(
            "The data folder is a mount point, which cannot change places with another folder",
            where=live,
            next_step="mount its parent instead, or use the logical method",
        )
    more = ("pg_combinebackup",) if base_of(one) else ()
    for program in ("postgres", "pg_ctl", "pg_verifybackup", "pg_controldata", *more):
        Place(tool_folder=service.tool_folder).program(program)
    for archive in one.manifest["base_backup"]["archives"]:
        for program in [*decompressor(archive)[:1], "tar"]:
            Place().program(program)
    here = _guard_folder(request, live)
    require_space(os.path.dirname(live), int(one.manifest["cluster_bytes"] * (2.2 if base_of(one) else 1.05)))
    now = stamp(lambda at: any(os.path.lexists(f"{live}_{word}_{at}") for word in ("restoring", "before")))
    return FolderPlan(
        live_exists=os.path.isdir(live),
        restoring=f"{live}_restoring_{now}",
        kept_as=f"{live}_before_{now}",
        leftovers=folders_derived_from(live, "restoring"),
        notes=other_server(one, "system_identifier", here),
    )


def folders_derived_from(live: str, word: str) -> t.List[str]:
    """Folders `<live>_<word>_<time>` beside the data folder, the newest first."""
    head, tail = os.path.split(os.path.abspath(live))
    pattern = re.compile(rf"^{re.escape(tail)}_{word}_\d{{8}}T\d{{6}}Z$")
    names = os.listdir(head) if os.path.isdir(head) else []
    return [os.path.join(head, name) for name in sorted(names, reverse=True) if pattern.match(name)]


def restore_folder(request: FolderRequest) -> t.Dict[str, t.Any]:
    """Restore a physical set.

    Returns:
        `kept_as`, `cut_off_s`, `serving_after_s` (seconds from the call until the server served), `durations_s` by step, `notes`.

    Raises:
        RunbookError: Something failed; the live server is as it was.
    """
    clock, service, one = Clock(), request.service, request.backup_set
    live_folder, progress = os.path.abspath(service.data_folder), Progress(f"Restoring the server in {service.data_folder}")
    with nobody_else_in(live_folder):
        note = complete_interrupted(service)
        one.require_whole(on_bytes=lambda done: progress.say("checking the set", done, one.size_bytes, "bytes"))
        require_whole_chain(one)
        clock.lap("check_set")
        ready = plan_folder(request)
        for path in ready.leftovers:
            remove_tree(path)
        try:
            unpack(one, ready.restoring, service, progress)
            clock.lap("unpack")
            progress.say("starting it by itself")
            begin_lineage(ready.restoring, service.account)
            start_by_itself(ready.restoring, service, superuser_of(one))
            clock.lap("start_by_itself")
        except BaseException as error:
            shutil.rmtree(ready.restoring, ignore_errors=True)
            if isinstance(error, CommandFailed):
                raise full_disk(error, ready.restoring, "restore", "the live server is as it was") from error.__cause__
            if isinstance(error, OSError):
                raise no_space_or(error, ready.restoring) from error
            raise
        notes = [*([note] if note else []), *notes_of(live_folder, ready.restoring), *ready.notes]
        # From here on that name may be the replaced folder's: nothing is removed any more, the next run tidies up.
        progress.say("exchanging the data folders")
        cut_off_s = exchange_folders(service, ready.restoring, ready.kept_as)
    clock.lap("exchange")
    serving_at = time.time()
    return {
        "changed": True,
        "database": one.manifest["database"],
        "kept_as": ready.kept_as if ready.live_exists else "",
        **told(ready.steps(request)),
        "cut_off_s": round(cut_off_s, 3),
        "serving_after_s": clock.total(),
        "serving_at": serving_at,
        "durations_s": clock.laps,
        "notes": notes,
    }


def notes_of(live: str, restored: str) -> t.List[str]:
    """What is not as it was, though the restore did all that it should."""
    notes = []
    emptied = glob.glob(os.path.join(glob.escape(restored), "base", "*", "*_init"))
    if emptied:
        notes.append(f"unlogged tables and their indexes, {len(emptied)} files, are empty: a physical backup does not hold their rows")
    other = [name for name in _CONFIGURATION if _differs(os.path.join(live, name), os.path.join(restored, name))]
    if other:
        notes.append(f"the server's configuration is the set's, not the latest one; not as in the replaced folder: {', '.join(other)}")
    return notes


def _differs(here: str, there: str) -> bool:
    return os.path.exists(here) and not (os.path.exists(there) and filecmp.cmp(here, there, shallow=False))


def describe_folder(request: FolderRequest) -> t.Dict[str, t.Any]:
    """The result of a dry run: the set is read, everything is looked at, nothing is changed."""
    request.backup_set.require_whole()
    require_whole_chain(request.backup_set)
    ready = plan_folder(request)
    return {
        "changed": True,
        "database": request.backup_set.manifest["database"],
        "kept_as": ready.kept_as if ready.live_exists else "",
        **told(ready.steps(request)),
        "notes": list(ready.notes),
    }


def undo_folder(service: Service, replaced: str = "", *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Put the data folder that a restore replaced back into its place; the restored one is kept as `<folder>_undone_<time>`.

    Raises:
        BadInput: There is none to put back.
    """
    live = os.path.abspath(service.data_folder)
    kept = folders_derived_from(live, "before")
    if not kept or (replaced and replaced not in kept):
        raise BadInput(
            f"No replaced data folder {replaced or 'of ' + live} is kept",
            why="there are " + (", ".join(kept) or "none"),
            next_step="restore an earlier backup set instead (restore_set=...)",
        )
    put_back, kept_as = replaced or kept[0], f"{live}_undone_{stamp(lambda at: os.path.lexists(f'{live}_undone_{at}'))}"
    result = {
        "changed": True,
        "put_back": put_back,
        "kept_as": kept_as,
        **told([f"stop the server, let {put_back} take its place again, start it"]),
    }
    if dry_run:
        return result
    with nobody_else_in(live):
        complete_interrupted(service)
        return {**result, "cut_off_s": round(exchange_folders(service, put_back, kept_as), 3)}


def superuser_of(one: BackupSet) -> str:
    """A role of the set that may log in and do everything."""
    return next((role["name"] for role in one.manifest["roles"] if role["superuser"] and role["login"]), "postgres")


def start_by_itself(folder: str, service: Service, user: str) -> None:
    """Start a restored data folder where nobody can reach it, so that it replays its log, and stop it again.

    It begins a timeline of its own there (manual, 26.3.6). On the old one its log would go on with other content under the names that the
    log had before the restore, and neither an archive nor an incremental backup could tell the two apart.

    Raises:
        CommandFailed: It does not start, or does not become consistent.
    """
    settings = {"archive_mode": "off", "max_wal_senders": "0", "logging_collector": "off"}
    with open(os.path.join(folder, "PG_VERSION"), encoding="ascii") as stream:
        major = int(stream.read().split(".")[0])
    if major >= _SIGNAL_FILE_SINCE:
        signal_file = os.path.join(folder, "recovery.signal")
        with open(signal_file, "w", encoding="ascii"):
            pass
        own(signal_file, service.account)
        # All the log that it needs is in the set: there is nothing to fetch.
        settings.update(restore_command="false", recovery_target_timeline="current", hot_standby="off")
    try:
        with private_server(folder, service.tool_folder, service.account, settings, user):
            pass
    except CommandFailed as error:
        error.next_step = "use another set; the live server is as it was"
        raise


def system_identifier_of(folder: str, service: Service) -> str:
    """The `system_identifier` in a data folder's control file, whether or not its server runs (pg_controldata)."""
    program = Place(tool_folder=service.tool_folder).program("pg_controldata")
    said = run(Command([program, folder], account=service.account)).stdout
    found = re.search(r"Database system identifier:\s+(\d+)", said)
    return found.group(1) if found else ""


def _guard_folder(request: FolderRequest, live: str) -> str:
    server = request.backup_set.manifest["server"]
    here = system_identifier_of(live, request.service) if os.path.exists(os.path.join(live, "global", "pg_control")) else ""
    wanted = request.expected_identifier or here
    if here and request.expected_identifier and here != request.expected_identifier:
        raise WrongTarget(
            "This is not the data folder that the inventory means",
            where=live,
            why=f"its system identifier is {here}, the inventory says {request.expected_identifier}",
            next_step="correct the folder, or the identifier in the inventory",
        )
    if wanted and server["system_identifier"] != wanted and not request.from_other_server:
        raise WrongTarget(
            f"The backup set {request.backup_set.id} is from another server",
            where=live,
            why=f"its system identifier is {server['system_identifier']}, here it is {wanted}",
            next_step="choose a set of this server, or say that it is meant: restore_from_other_server=true",
        )
    major = run(Command([Place(tool_folder=request.service.tool_folder).program("postgres"), "--version"])).stdout.split()[-1].split(".")[0]
    if int(major) != server["version_num"] // 10000:
        raise BadInput(
            f"The backup set {request.backup_set.id} needs PostgreSQL {server['version_num'] // 10000}",
            where=live,
            why=f"the programs here are of version {major}",
            next_step="install that version, or use the logical method",
        )
    return here
