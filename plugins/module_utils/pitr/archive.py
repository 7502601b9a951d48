# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What an archive holds: its backups, its log, and the last moment in it. Works without the server and without its data folder."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import tempfile
import typing as t
from dataclasses import dataclass, field

from ..command import Command, Place, end, run
from ..errors import BadInput, CommandFailed, SetNotFound, WrongTarget
from ..pipeline import Pipeline
from ..postgresql.restore_folder import system_identifier_of
from .choice import WAL_SEGMENT_BYTES, History, fits, history_of, reach, segment_name, segment_number
from .model import Archive, Backup
from .program import call, command, explain

_IN_REPOSITORY = re.compile(r"(?:^|/)(?P<name>[0-9A-F]{24})-[0-9a-f]{40}(?:\.[a-z0-9]+)?$")
_HISTORY = re.compile(r"(?:^|/)(?P<timeline>[0-9A-F]{8})\.history$")
_COMMIT = re.compile(r"desc: COMMIT(?:_PREPARED)? (?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")
_DECOMPRESSORS = {".zst": ["zstd", "-dcq"], ".gz": ["gzip", "-dc"], ".lz4": ["lz4", "-dcq"], ".bz2": ["bzip2", "-dc"]}
_NO_STANZA, _NO_BACKUP = (1, 3), 2
"""Status codes of a stanza (pgBackRest, src/command/info/info.c): missing path, missing data; no valid backups."""
_SEGMENTS_TO_READ = 256
"""Segments without any commit that are looked at from the newest backwards: 4 GB of log that a single statement wrote."""


@dataclass
class Holdings:
    """What is there.

    Attributes:
        exists: Whether the stanza was made.
        backups: Oldest first.
        archive_id: Name of the server's present archive, e.g. `15-1`.
        system_identifier: Of the server that archives here.
        version: Its major version.
        files: Names of the archived segments -> path in the repository.
        histories: Timeline -> path of its history file.
    """

    exists: bool
    backups: t.List[Backup] = field(default_factory=list)
    archive_id: str = ""
    system_identifier: str = ""
    version: str = ""
    files: t.Dict[str, str] = field(default_factory=dict)
    histories: t.Dict[int, str] = field(default_factory=dict)


def holdings(archive: Archive, *, with_log: bool = True) -> Holdings:
    """Read what pgBackRest knows of the stanza, and list its archived log.

    Raises:
        RunbookError: The repository cannot be read.
    """
    told = json.loads(call(archive, "info", "--output=json").stdout or "[]")
    one = next((stanza for stanza in told if stanza["name"] == archive.stanza), None)
    if one is None or one["status"]["code"] in _NO_STANZA:
        return Holdings(exists=False)
    if one["status"]["code"] not in (0, _NO_BACKUP):
        causes = [str(repository["status"].get("message", "")) for repository in one.get("repo", [])]
        why = "; ".join(cause for cause in causes if cause) or str(one["status"]["message"])
        raise explain(archive, CommandFailed("The archive cannot be read", why=" ".join(why.split()), facts={"tool": "pgbackrest"}))
    server = max(one["db"], key=lambda entry: int(entry["id"]))
    backups = [_backup(entry) for entry in one["backup"] if entry["database"]["id"] == server["id"]]
    found = Holdings(
        exists=True,
        backups=sorted(backups, key=lambda entry: entry.stopped),
        archive_id=next((entry["id"] for entry in one["archive"] if entry["database"]["id"] == server["id"]), ""),
        system_identifier=str(server["system-id"]),
        version=str(server["version"]),
    )
    if with_log and found.archive_id:
        folder = f"archive/{archive.stanza}/{found.archive_id}"
        listed = json.loads(call(archive, "repo-ls", folder, "--recurse", "--output=json", with_stanza=False).stdout)
        for path in listed:
            segment, history = _IN_REPOSITORY.search(path), _HISTORY.search(path)
            if segment:
                found.files[segment["name"]] = f"{folder}/{path}"
            elif history:
                found.histories[int(history["timeline"], 16)] = f"{folder}/{path}"
    return found


def _backup(entry: t.Mapping[str, t.Any]) -> Backup:
    return Backup(
        label=entry["label"],
        type=entry["type"],
        started=entry["timestamp"]["start"],
        stopped=entry["timestamp"]["stop"],
        wal_start=entry["archive"]["start"],
        wal_stop=entry["archive"]["stop"],
        lsn_stop=entry["lsn"]["stop"],
        size_bytes=entry["info"]["size"],
        added_bytes=entry["info"]["repository"]["delta"],
        prior=entry.get("prior") or "",
        error=bool(entry.get("error")),
    )


def require_stanza(archive: Archive, found: Holdings) -> None:
    """Raise unless the archive exists and is this server's."""
    if not found.exists:
        raise BadInput(
            "There is no archive for this server yet",
            where=f"stanza {archive.stanza}, {archive.repository}",
            next_step="set it up first: playbooks/pitr_setup.yml",
        )
    here = live_identifier(archive)
    for whose, wanted in (("the data folder's", here), ("the inventory's", archive.expected_identifier)):
        if wanted and wanted != found.system_identifier:
            raise WrongTarget(
                "This archive is of another server",
                where=f"stanza {archive.stanza}, {archive.repository}",
                why=f"its system identifier is {found.system_identifier}, {whose} is {wanted}",
                next_step="correct stanza, repository or data folder in the inventory",
            )


def live_identifier(archive: Archive) -> str:
    """The `system_identifier` of the data folder in use; empty when it is lost."""
    control = os.path.join(archive.service.data_folder, "global", "pg_control")
    return system_identifier_of(archive.service.data_folder, archive.service) if os.path.exists(control) else ""


def live_timeline(archive: Archive) -> int:
    """The timeline of the data folder in use; 0 when it is lost."""
    return _control(archive, "Latest checkpoint's TimeLineID") or 0


def _control(archive: Archive, what: str) -> t.Optional[int]:
    """A number out of the control file of the data folder in use; None when that is lost."""
    folder = archive.service.data_folder
    if not os.path.exists(os.path.join(folder, "global", "pg_control")):
        return None
    program = Place(tool_folder=archive.service.tool_folder).program("pg_controldata")
    said = run(Command([program, folder], account=archive.service.account)).stdout
    found = re.search(rf"^{re.escape(what)}:\s+(\d+)", said, re.MULTILINE)
    return int(found.group(1)) if found else None


def history(archive: Archive, found: Holdings, timeline: int) -> History:
    """The timeline and its ancestors; `timeline` 0 means the newest that the archive knows.

    Raises:
        SetNotFound: The archive does not know that timeline.
    """
    known = {1, *found.histories, *(int(name[:8], 16) for name in found.files)}
    wanted = timeline or max(known)
    if wanted not in known:
        raise SetNotFound(
            f"The archive knows no timeline {wanted}",
            where=f"stanza {archive.stanza}, {archive.repository}",
            why="it knows " + ", ".join(str(one) for one in sorted(known)),
            next_step="leave the timeline out",
        )
    path = found.histories.get(wanted, "")
    return history_of(wanted, call(archive, "repo-get", path, with_stanza=False).stdout if path else "")


@dataclass(frozen=True)
class Window:
    """The moments that can be restored along one history.

    Attributes:
        history: It.
        oldest: The backup with which the oldest moment begins; None when there is none.
        first: Seconds since 1970: the oldest moment.
        last: Time of the last commit that is archived without a gap; moments before it can be restored.
        newest_segment: Last segment before the end, or the first gap.
        missing: First missing segment; empty when there is none.
    """

    history: History
    oldest: t.Optional[Backup]
    first: float
    last: float
    newest_segment: str
    missing: str

    @property
    def newest_whole_second(self) -> float:
        """The newest moment that can be named in whole seconds."""
        return float(int(self.last - 1e-6)) if self.last else 0.0


def window(archive: Archive, found: Holdings, along: History, backup: t.Optional[Backup] = None) -> Window:
    """Find the moments that can be restored, or only those that can be from one backup on."""
    fitting = [one for one in found.backups if fits(one, along)]
    if not fitting:
        return Window(along, None, 0.0, 0.0, "", "")
    newest = backup or fitting[-1]
    row, missing = reach(newest.wal_start, found.files, along, segment_bytes(archive))
    last = newest_commit(archive, found, row)
    first = min(fitting, key=lambda one: one.stopped)
    return Window(along, first, first.stopped + 1.0, max(last, 0.0), row[-1] if row else "", missing)


def segment_bytes(archive: Archive) -> int:
    """Size of the server's log segments; the usual one when its data folder is lost."""
    return _control(archive, "Bytes per WAL segment") or WAL_SEGMENT_BYTES


def newest_commit(archive: Archive, found: Holdings, row: t.Sequence[str]) -> float:
    """Time of the last commit in a row of segments, in seconds since 1970; 0.0 when the last segments hold none.

    PostgreSQL can stop only at commits, so a moment can be restored when a later commit is archived.
    """
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as folder:
        for name in list(reversed(row))[:_SEGMENTS_TO_READ]:
            at = _last_commit(archive, found.files[name], os.path.join(folder, name))
            if at:
                return at
            os.unlink(os.path.join(folder, name))
    return 0.0


def _last_commit(archive: Archive, path: str, target: str) -> float:
    fetch = command(archive, "repo-get", path, with_stanza=False)
    unpack = _DECOMPRESSORS.get(os.path.splitext(path)[1], [])
    with open(target, "wb") as stream:
        try:
            with Pipeline(fetch, *([Command([Place().program(unpack[0]), *unpack[1:]])] if unpack else []), stdout=stream):
                pass
        except CommandFailed as error:
            raise explain(archive, error) from error
    # The last record goes on in the next segment, which is not there: that is no failure.
    return max(_commits(archive, target), default=0.0)


def first_commit_after(archive: Archive, segment: str) -> t.Optional[float]:
    """Time (seconds since 1970) of the first commit in the server's own log behind a segment: 0.0 for none, None when that log is gone."""
    size, folder = segment_bytes(archive), os.path.join(archive.service.data_folder, "pg_wal")
    number = segment_number(segment, size) + 1
    if not os.path.exists(os.path.join(folder, segment_name(segment[:8], number, size))):
        return None
    where = [f"--path={folder}", f"--timeline={int(segment[:8], 16)}", f"--start={number * size >> 32:X}/{number * size & 0xFFFFFFFF:X}"]
    found = _commits(archive, *where, account=archive.service.account)
    return next(found, 0.0)


def _commits(archive: Archive, *which: str, account: str = "") -> t.Iterator[float]:
    """Times of the commits that pg_waldump finds, in seconds since 1970, in the log's order."""
    waldump = Place(tool_folder=archive.service.tool_folder).program("pg_waldump")
    process = Command([waldump, "--rmgr=Transaction", *which], environment={"TZ": "UTC"}, account=account).start(stdout=subprocess.PIPE)
    try:
        for line in t.cast("t.IO[bytes]", process.stdout):
            at = _COMMIT.search(line.decode(errors="replace"))
            if at:
                yield _seconds(at["at"])
    finally:
        end(process)


def _seconds(text: str) -> float:
    form = "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S"
    return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc).timestamp()
