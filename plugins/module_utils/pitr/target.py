# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Going back to a moment: which backup, which timeline, and whether that moment can be had at all. Decided before anything is done."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ..command import Command, Place, run
from ..errors import BadInput, SetNotFound
from ..files import require_space
from ..postgresql.restore_folder import folders_derived_from
from ..restoring.names import stamp
from .archive import Holdings, Window, history, holdings, live_timeline, require_stanza, window
from .choice import choose_backup, for_postgresql, moment, segment_number, utc
from .model import Archive, Backup
from .program import program
from .server import archiver, mark

LATEST = "latest"


@dataclass(frozen=True)
class Target:
    """A moment, and what it is restored from.

    Attributes:
        text: As it was asked for.
        at: Seconds since 1970; None for all that is archived.
        backup: The backup to start from.
        timeline: The timeline to follow.
        window: What could be had.
        notes: What the reader should know.
    """

    text: str
    at: t.Optional[float]
    backup: Backup
    timeline: int
    window: Window
    notes: t.Sequence[str]

    def arguments(self) -> t.List[str]:
        """How pgBackRest is told; the backup is always named: its own choice may be one that is younger than the moment."""
        common = [f"--set={self.backup.label}", f"--target-timeline={self.timeline}"]
        if self.at is None:
            return ["--type=default", *common]
        return ["--type=time", f"--target={for_postgresql(self.at)}", "--target-action=promote", *common]


@dataclass(frozen=True)
class PitrPlan:
    """What a restore will do; made without changing anything but a commit in the live server's log."""

    target: Target
    live_exists: bool
    restoring: str
    kept_as: str
    leftovers: t.Sequence[str]

    def steps(self, archive: Archive) -> t.List[str]:
        """The plan in sentences."""
        live, target = archive.service.data_folder, self.target
        what = "all that is archived" if target.at is None else f"the log up to {utc(target.at)}"
        lines = [f"remove {path}, left behind by a run that was killed" for path in self.leftovers]
        if not os.path.exists(archive.config_file):
            lines.append(f"write {archive.config_file}, which is lost")
        lines.append(f"restore the {target.backup.type} backup {target.backup.label} into {self.restoring}")
        lines.append(f"replay {what} there, on timeline {target.timeline}")
        lines.append("start it there by itself, read every row and count")
        if self.live_exists:
            lines.append(
                f"stop the server, let {live} and {self.restoring} change places, start it; the replaced folder is kept as {self.kept_as}"
            )
        else:
            lines.append(f"rename {self.restoring} to {live} and start the server")
        return lines


def find_target(archive: Archive, wanted: str, timeline: int = 0, *, ask_server: bool = True) -> t.Tuple[Target, Holdings]:
    """Find what the moment can be restored from.

    Args:
        archive: The server.
        wanted: A moment with its zone, or `latest`.
        timeline: The timeline to follow; 0 for the live server's, or the newest when that is lost.
        ask_server: Whether a live server is asked to archive what it has first; not in a dry run.

    Raises:
        BadInput: It cannot be read, or lies before the oldest backup or after the archived log; the message says what can be had.
        SetNotFound: There is no backup.
    """
    at = None if wanted.strip().lower() == LATEST else moment(wanted)
    notes = []
    if ask_server and archive.service.is_running() and archiver(archive) is not None:
        _at, late = mark(archive, archive.wal_wait_s)
        notes += [f"not all of the live server's log can be restored: {late}"] if late else []
    found = holdings(archive)
    require_stanza(archive, found)
    along = history(archive, found, _timeline(archive, found, timeline))
    backup = choose_backup(found.backups, along, at)
    whole = window(archive, found, along, backup)
    where = f"stanza {archive.stanza}, {archive.repository}"
    if whole.oldest is None:
        raise SetNotFound(
            "The archive holds no backup that fits", where=where, next_step="take one: playbooks/backup.yml -e backup_method=pitr"
        )
    had = f"what can be had is {utc(whole.first)} to {utc(whole.newest_whole_second)}, or latest"
    if not whole.last:
        had = f"only the end of the archived log can be had (latest): no commit was archived after {utc(whole.first)}"
    gap = f"; segment {whole.missing} is missing though later ones are there" if whole.missing else ""
    if backup is None:
        raise BadInput(
            "The moment lies before the oldest backup",
            where=f"{wanted}, {where}",
            why=had + gap,
            next_step="choose a later moment, or an older logical set; nothing was changed",
            facts=_facts(whole),
        )
    if at is not None and at >= whole.last:
        raise BadInput(
            "The moment lies after the end of the archived log",
            where=f"{wanted}, {where}",
            why=had + gap,
            next_step="choose an earlier moment, or restore_time=latest for all that is there; nothing was changed",
            facts=_facts(whole),
        )
    if not whole.newest_segment or segment_number(whole.newest_segment) < segment_number(backup.wal_stop):
        raise SetNotFound(
            f"The log that the backup {backup.label} needs is not all there", where=where, why=f"segment {whole.missing} is missing",
            next_step="choose an earlier moment, or use a logical set", facts=_facts(whole),
        )  # fmt: skip
    if whole.missing:
        notes.append(f"segment {whole.missing} is missing in the archive: nothing after it can be restored")
    return Target(wanted, at, backup, along[-1][0], whole, notes), found


def _timeline(archive: Archive, found: Holdings, wanted: int) -> int:
    """The live server's own history is what "the state at that moment" means. One that has archived nothing yet is not known there."""
    live = wanted or live_timeline(archive)
    return live if wanted or live == 1 or live in found.histories else 0


def _facts(whole: Window) -> t.Dict[str, t.Any]:
    return {
        "oldest_restorable_at": utc(whole.first),
        "newest_restorable_at": utc(whole.newest_whole_second) if whole.last else "",
        "missing_segment": whole.missing,
    }


def plan_pitr(archive: Archive, wanted: str, timeline: int = 0, *, ask_server: bool = True) -> PitrPlan:
    """Look at everything that could stop the restore, before the live data is touched.

    Raises:
        RunbookError: The moment cannot be had, or a program, the right version or room is missing.
    """
    service, live = archive.service, os.path.abspath(archive.service.data_folder)
    if os.path.ismount(live):
        raise BadInput(
            "The data folder is a mount point, which cannot change places with another folder",
            where=live,
            next_step="mount its parent instead",
        )
    program(archive)
    for name in ("postgres", "pg_ctl", "pg_controldata", "pg_waldump"):
        Place(tool_folder=service.tool_folder).program(name)
    target, found = find_target(archive, wanted, timeline, ask_server=ask_server)
    require_version(archive, found)
    require_space(os.path.dirname(live), int(target.backup.size_bytes * 1.05))
    now = stamp(lambda at: any(os.path.lexists(f"{live}_{word}_{at}") for word in ("restoring", "before")))
    return PitrPlan(
        target=target,
        live_exists=os.path.isdir(live),
        restoring=f"{live}_restoring_{now}",
        kept_as=f"{live}_before_{now}",
        leftovers=folders_derived_from(live, "restoring"),
    )


def require_version(archive: Archive, found: Holdings) -> None:
    """Raise BadInput unless the server's programs here are of the archive's major version."""
    said = run(Command([Place(tool_folder=archive.service.tool_folder).program("postgres"), "--version"])).stdout
    major = said.split("(PostgreSQL)")[-1].split()[0].split(".")[0]
    if major != found.version:
        raise BadInput(
            f"The archive needs PostgreSQL {found.version}",
            where=archive.service.tool_folder or "the search path",
            why=f"the programs here are of version {major}",
            next_step="install that version, or correct tool_folder of the store",
        )
