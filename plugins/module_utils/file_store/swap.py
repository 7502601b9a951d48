# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Letting restored files take the place of those in use: each path in one step, all of them or none, also when the run is killed.

Two paths change places in a single system call (renameat2, RENAME_EXCHANGE). A journal beside every path says what is meant for all of
them. The exchange runs in a process of its own session, which goes on when the run that asked for it is killed; should even that process
die, the next run on any of the paths completes what was begun, or takes back what was not.

What a path is replaced with, and what is kept of it, lies beside it as `.<name>_<word>_<time>`. The dot keeps it from programs that take
all files of a folder (cron.d, conf.d).
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

from ..errors import LeaseHeld, RunbookError
from ..files import exchange, fsync_path, inode_of, locked, remove_tree, write_json
from ..restoring.names import stamp
from ..restoring.own_session import in_own_session
from .volume import Volume

WORDS = ("before", "undone")
"""What is kept: what a restore replaced, and what an undo did."""


@dataclass(frozen=True)
class Member:
    """One path of an exchange.

    Attributes:
        live: The path in use.
        other: What takes its place, on the same file system.
        kept_as: Where what was in use is kept; empty when there is nothing at `live`.
    """

    live: str
    other: str
    kept_as: str


def beside(live: str, word: str, time_stamp: str) -> str:
    """The name `.<name>_<word>_<time>` beside a path."""
    head, tail = os.path.split(live)
    return os.path.join(head, f".{tail}_{word}_{time_stamp}")


def free_stamp(lives: t.Sequence[str]) -> str:
    """A time stamp later than all that things beside the paths bear, so that each restore and each undo can be told from those before."""
    return stamp(after=max((at for live in lives for word in ("restoring", *WORDS) for at in derived_from(live, word)), default=""))


def derived_from(live: str, word: str) -> t.Dict[str, str]:
    """What lies beside a path by that word: time stamp -> path, the newest first."""
    head, tail = os.path.split(live)
    pattern = re.compile(rf"^\.{re.escape(tail)}_{word}_(\d{{8}}T\d{{6}}Z)$")
    names = os.listdir(head) if os.path.isdir(head) else []
    found = {match.group(1): os.path.join(head, name) for name in names for match in [pattern.match(name)] if match}
    return dict(sorted(found.items(), reverse=True))


@contextmanager
def nobody_else_at(paths: t.Sequence[str]) -> t.Iterator[None]:
    """Hold the locks of all that replaces, puts back or removes these paths.

    Raises:
        LeaseHeld: Another run holds one.
    """
    with ExitStack() as stack:
        for path in sorted(paths):
            head, tail = os.path.split(path)
            if not stack.enter_context(locked(os.path.join(head, f".{tail}.restore.lock"))):
                raise LeaseHeld("Another restore of these files is running", where=path, next_step="wait for it, or end it")
        yield


def _journal_path(live: str) -> str:
    head, tail = os.path.split(live)
    return os.path.join(head, f".{tail}.exchange.json")


def exchange_paths(members: t.Sequence[Member], volume: t.Optional[Volume] = None) -> float:
    """Let all members take their places.

    Args:
        members: What and where; nothing changes unless all `other` are there.
        volume: Docker volume whose running containers are stopped meanwhile, since they would go on in the replaced folder.

    Returns:
        Seconds for which containers were stopped; for plain files, that the exchange took.

    Raises:
        RunbookError: It failed; everything is as it was.
    """
    journal = {
        "members": [{**asdict(member), "inode": os.lstat(member.other).st_ino} for member in members],
        "volume": asdict(volume) if volume else None,
        "containers": volume.users() if volume else [],
    }
    for member in members:
        write_json(_journal_path(member.live), journal)
    outcome = f"{_journal_path(members[0].live)[: -len('.json')]}.{os.getpid()}.json"
    return in_own_session(
        lambda: _complete(journal),
        outcome,
        what="The exchange of files",
        where=members[0].live,
        next_step="the files in use are as they were",
    )


def _complete(journal: t.Mapping[str, t.Any]) -> None:
    """Do what the journal says, or the rest of it; may be repeated. What fails before all have changed places is taken back."""
    members, containers = journal["members"], journal["containers"]
    volume = Volume(**journal["volume"]) if journal["volume"] else None
    done = []
    try:
        if volume:
            volume.stop(containers)
        for member in members:
            if _has_changed(member):
                continue
            if member["kept_as"]:
                exchange(member["live"], member["other"])
            else:
                os.rename(member["other"], member["live"])
            done.append(member)
            fsync_path(os.path.dirname(member["live"]))
    except (RunbookError, OSError):
        for member in reversed(done):
            if member["kept_as"]:
                exchange(member["live"], member["other"])
            else:
                os.rename(member["live"], member["other"])
        _forget(members)
        if volume:
            volume.start(containers)
        raise
    for member in members:
        if member["kept_as"] and os.path.lexists(member["other"]):
            os.rename(member["other"], member["kept_as"])
        fsync_path(os.path.dirname(member["live"]))
    try:
        if volume:
            _start_again(volume, containers)
    finally:
        _forget(members)


def _start_again(volume: Volume, containers: t.Sequence[str]) -> None:
    """Start the containers on what was restored; one that does not start takes nothing back."""
    try:
        volume.start(containers)
    except RunbookError as error:
        error.changed = True
        error.next_step = (
            f"the files have changed places and what was replaced is kept; mend the cause and start {', '.join(containers)}, "
            "or go back with restore_undo"
        )
        raise


def _has_changed(member: t.Mapping[str, t.Any]) -> bool:
    """Judged by the side that nobody writes to: a program may have replaced the file in use since."""
    return inode_of(member["other"]) != int(member["inode"])


def _forget(members: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    for member in members:
        try:
            os.unlink(_journal_path(member["live"]))
        except FileNotFoundError:
            pass


def complete_interrupted(paths: t.Sequence[str]) -> t.List[str]:
    """Complete, or take back, an exchange whose process died; returns sentences about it, none when there was none."""
    notes = []
    for path in paths:
        try:
            with open(_journal_path(path), encoding="utf-8") as stream:
                journal = json.load(stream)
        except FileNotFoundError:
            continue
        if any(_has_changed(member) for member in journal["members"]):
            _complete(journal)
            notes.append(f"completed the exchange that an earlier run had begun at {path}")
        else:
            _forget(journal["members"])
            if journal["volume"]:
                Volume(**journal["volume"]).start(journal["containers"])
            notes.append(f"an earlier run was killed before it exchanged {path}, which is as it was")
    return notes


def remove_leftovers(paths: t.Sequence[str], *, dry_run: bool = False) -> t.List[str]:
    """Remove what killed restores left half done beside the paths, under `nobody_else_at`; returns what."""
    found = []
    for path in paths:
        head, tail = os.path.split(path)
        untold = re.compile(rf"^\.{re.escape(tail)}\.exchange\.\d+\.json$")
        found += [os.path.join(head, name) for name in (os.listdir(head) if os.path.isdir(head) else []) if untold.match(name)]
        found += derived_from(path, "restoring").values()
    if not dry_run:
        for path in found:
            remove(path)
    return found


def remove(path: str) -> None:
    """Remove a folder or a file."""
    if os.path.isdir(path) and not os.path.islink(path):
        remove_tree(path)
    elif os.path.lexists(path):
        os.unlink(path)
