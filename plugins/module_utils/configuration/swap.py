# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Files come back from a rollback point: each in one step, all of them or none.

Everything is written beside its place first; then each takes its place by rename. It is done in a process that goes on when the run is
killed. A journal, written before, names the point that was taken of what is replaced: what fails in the middle goes back to it, and
should the process itself die, the next run on the service does so.
"""

from __future__ import annotations

import glob
import json
import os
import typing as t
from contextlib import contextmanager
from functools import partial

from ..backup_set.hashing import copy_hashed
from ..backup_set.sets import BackupSet
from ..errors import LeaseHeld, RunbookError
from ..files import fsync_path, locked, write_json
from ..restoring.own_session import in_own_session
from ..state import slug
from .points import choose, entries_of, require_whole, stored_path
from .survey import ABSENT, FILE, LINK, Entry, survey
from .swap_plan import SwapPlan, compare
from .unfinished import note_of


def _journal(home: str, service: str) -> str:
    return os.path.join(home, f".{slug(service) or 'service'}.restore.json")


def _outcome(home: str, service: str) -> str:
    return os.path.join(home, f".{slug(service) or 'service'}.outcome.json")


@contextmanager
def nobody_else(home: str, service: str) -> t.Iterator[None]:
    """Hold the lock of all that writes points of a service or restores one; what killed ones left half written goes first.

    Raises:
        LeaseHeld: Another run holds it.
    """
    with locked(os.path.join(home, f".{slug(service) or 'service'}.lock"), wait_s=5.0) as free:
        if not free:
            raise LeaseHeld("Another run works with the rollback points of this service", where=service, next_step="wait for it, or end it")
        for path in (_journal(home, service), _outcome(home, service), note_of(home, service)):
            for left in glob.glob(f"{glob.escape(home)}/.{glob.escape(os.path.basename(path))}.*.partial"):
                os.unlink(left)
        if os.path.exists(_outcome(home, service)):
            os.unlink(_outcome(home, service))
        yield


def swap(home: str, service: str, point: BackupSet, plan: SwapPlan, safety: BackupSet) -> None:
    """Do what the plan says; what was replaced is in `safety`.

    Raises:
        RunbookError: It failed; everything is as it was, unless `changed` says otherwise.
    """
    journal = _journal(home, service)
    suffix = f".{point.id[-4:]}{os.getpid()}.restoring"
    drafts = {one.path: _beside(one.path, suffix) for one, _before in plan.put}
    made = [one.path for one, before in plan.folders if before.kind == ABSENT]
    write_json(journal, {"point": point.id, "safety": safety.id, "drafts": list(drafts.values()), "folders": made, "stage": "drafts"})
    in_own_session(
        partial(_work, home, service, point, plan, safety, drafts),
        _outcome(home, service),
        what="The exchange of files",
        where=service,
        next_step="everything is as it was; mend the cause, then run the procedure again",
    )


def _beside(path: str, suffix: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}{suffix}")


def _work(home: str, service: str, point: BackupSet, plan: SwapPlan, safety: BackupSet, drafts: t.Mapping[str, str]) -> None:
    journal = _journal(home, service)
    told = {"point": point.id, "safety": safety.id, "drafts": list(drafts.values())}
    made = [one.path for one, before in plan.folders if before.kind == ABSENT]
    try:
        _make_folders(plan)
        for one, _before in plan.put:
            _draft(one, point, drafts[one.path])
        write_json(journal, {**told, "folders": made, "stage": "places"})
        _exchange(plan, lambda one: drafts[one.path])
        _must_be_as(point)
    except (OSError, RunbookError):
        go_back(home, service, safety)
        raise
    os.unlink(journal)
    fsync_path(home)


def _make_folders(plan: SwapPlan) -> None:
    for one, before in plan.folders:
        if before.kind == ABSENT:
            os.mkdir(one.path, 0o700)


def _exchange(plan: SwapPlan, draft_of: t.Callable[[Entry], str]) -> None:
    """Let everything take its place; `draft_of` says where what is put there lies."""
    for one, _before in plan.put:
        os.rename(draft_of(one), one.path)
    for one in plan.remove:
        _remove(one)
    for one, _before in reversed(plan.folders):
        os.chown(one.path, one.uid, one.gid)
        os.chmod(one.path, one.mode)
    _fsync_folders(plan)


def _must_be_as(point: BackupSet) -> None:
    left = compare(entries_of(point), survey(point.manifest["roots"], point.manifest["secret"])[0])
    if left.changed:
        why = f"somebody else writes to them: still to do was to {'; to '.join(left.sentences()[:3])}"
        raise RunbookError(
            "The files are not as the point has them", why=why, next_step="let what writes to them come to rest", changed=False
        )


def _draft(one: Entry, point: BackupSet, draft: str) -> None:
    if one.kind == LINK:
        os.symlink(one.target, draft)
        os.chown(draft, one.uid, one.gid, follow_symlinks=False)
        return
    with open(point.path(stored_path(one.path)), "rb", buffering=0) as source:
        written = copy_hashed(source, draft)
    if written["sha256"] != one.sha256:
        raise RunbookError("The point changed while it was restored", where=point.folder, next_step="name another point")
    os.chown(draft, one.uid, one.gid)
    os.chmod(draft, one.mode)


def _remove(one: Entry) -> None:
    if one.kind in (FILE, LINK):
        os.unlink(one.path)
    else:
        os.rmdir(one.path)


def _fsync_folders(plan: SwapPlan) -> None:
    paths = [one.path for one, _before in [*plan.put, *plan.folders]] + [one.path for one in plan.remove]
    for folder in sorted({os.path.dirname(path) for path in paths}):
        if os.path.isdir(folder):
            fsync_path(folder)


def go_back(home: str, service: str, safety: BackupSet) -> None:
    """Put everything back to what `safety` kept, and forget the journal.

    Raises:
        RunbookError: That failed, too; the journal stays, and the next run tries again.
    """
    journal = _journal(home, service)
    try:
        with open(journal, encoding="utf-8") as stream:
            told = json.load(stream)
        for draft in told["drafts"]:
            if os.path.lexists(draft):
                os.unlink(draft)
        if told["stage"] == "places":
            _put_back(safety)
        for folder in reversed(told["folders"]):
            if os.path.isdir(folder) and not os.listdir(folder):
                os.rmdir(folder)
    except (OSError, RunbookError) as error:
        raise RunbookError(
            "What was replaced could not be put back",
            where=str(error.filename or service) if isinstance(error, OSError) else error.where or service,
            why=(error.strerror or str(error)) if isinstance(error, OSError) else error.what,
            next_step=f"mend the cause and run the procedure again, which puts it back; the files are in {safety.folder}",
            changed=True,
        ) from error
    os.unlink(journal)
    fsync_path(home)


def _put_back(safety: BackupSet) -> None:
    plan = compare(entries_of(safety), survey(safety.manifest["roots"], safety.manifest["secret"])[0])
    _make_folders(plan)

    def drafted(one: Entry) -> str:
        draft = _beside(one.path, f".{os.getpid()}.restoring")
        _draft(one, safety, draft)
        return draft

    _exchange(plan, drafted)


def is_interrupted(home: str, service: str) -> bool:
    """Whether a restore died in the middle and has to be taken back."""
    return os.path.exists(_journal(home, service))


def take_back_interrupted(home: str, service: str) -> t.List[str]:
    """Take back a restore whose process died; under `nobody_else`. Returns sentences about it, none when there was none.

    Raises:
        RunbookError: It cannot be taken back.
    """
    journal = _journal(home, service)
    try:
        with open(journal, encoding="utf-8") as stream:
            told = json.load(stream)
    except FileNotFoundError:
        return []
    except ValueError:
        step = "compare the files with the points by hand, then remove the journal"
        raise RunbookError("The journal of an interrupted restore is not what was written", where=journal, next_step=step) from None
    safety = choose(home, service, told["safety"])
    require_whole(safety)
    go_back(home, service, safety)
    return [f"the restore of {told['point']} had been interrupted; what it had replaced was put back first"]
