# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What has to be done so that files are again as a rollback point has them: decided from two surveys, and told to the reader."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..backup_set.sets import BackupSet
from ..errors import BadInput
from .in_place import shown
from .points import stored_path
from .survey import ABSENT, FILE, FOLDER, LINK, Entry

_MOST_SHOWN_BYTES = 100_000
_HIDDEN = "(content not shown)\n"


@dataclass(frozen=True)
class SwapPlan:
    """What has to be done.

    Attributes:
        put: Files and links that come from the point, each with what is there now.
        folders: Folders that are made or get back their owner and mode, parents first, each with what is there now.
        remove: What goes, files before the folders that they are in.
    """

    put: t.Sequence[t.Tuple[Entry, Entry]]
    folders: t.Sequence[t.Tuple[Entry, Entry]]
    remove: t.Sequence[Entry]

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.put or self.folders or self.remove)

    def sentences(self) -> t.List[str]:
        """One for each path."""
        said = [f"{'make' if before.kind == ABSENT else 'put back'} {one.path}" for one, before in self.put]
        said += [
            f"{'make' if before.kind == ABSENT else 'give its owner and mode back to'} the folder {one.path}"
            for one, before in self.folders
        ]
        return said + [f"remove {one.path}, which was not there then" for one in self.remove]


def compare(wanted: t.Sequence[Entry], present: t.Sequence[Entry]) -> SwapPlan:
    """Decide what has to be done.

    Args:
        wanted: Entries of the point.
        present: What there is now, at the same roots.

    Raises:
        BadInput: A file has become a folder, or the other way round.
    """
    there = {one.path: one for one in present}
    put: t.List[t.Tuple[Entry, Entry]] = []
    folders: t.List[t.Tuple[Entry, Entry]] = []
    for one in wanted:
        before = there.get(one.path, Entry(one.path, ABSENT))
        if one.kind == ABSENT or one.is_like(before):
            continue
        if FOLDER in (one.kind, before.kind) and before.kind not in (one.kind, ABSENT):
            step = "move it away, then run the procedure again"
            raise BadInput(f"{one.path} was a {one.kind} then and is a {before.kind} now", where=one.path, next_step=step)
        (folders if one.kind == FOLDER else put).append((one, before))
    kept = {one.path for one in wanted if one.kind != ABSENT}
    gone = [one for one in present if one.kind != ABSENT and one.path not in kept]
    return SwapPlan(put, folders, sorted(gone, key=lambda one: one.path, reverse=True))


def difference(plan: SwapPlan, point: BackupSet) -> t.List[t.Dict[str, str]]:
    """Ansible's diff; of what nobody shall see, and of what is no text, only that it changes."""
    found = []
    for one, before in plan.put:
        secret = one.secret or before.secret
        now = _text(before, before.path, secret)
        then = _text(one, point.path(stored_path(one.path)), secret)
        then = then + f"mode {one.mode:04o}, owner {one.uid}:{one.gid}\n" if now == then and not secret else then
        found.append(_diff(one.path, now, then if then != _HIDDEN or now != _HIDDEN else "(content of the point, not shown)\n"))
    for one, before in plan.folders:
        found.append(_diff(one.path, _owner(before), _owner(one)))
    return found + [_diff(one.path, _text(one, one.path, one.secret), "") for one in plan.remove]


def _diff(path: str, before: str, after: str) -> t.Dict[str, str]:
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def _owner(one: Entry) -> str:
    return "" if one.kind == ABSENT else f"folder, mode {one.mode:04o}, owner {one.uid}:{one.gid}\n"


def _text(one: Entry, path: str, secret: bool) -> str:
    if one.kind == LINK:
        return f"link to {one.target}\n"
    if one.kind != FILE:
        return _owner(one)
    if secret or one.size_bytes > _MOST_SHOWN_BYTES:
        return _HIDDEN
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError):
        return _HIDDEN
    return _HIDDEN if "\0" in text else shown(text)
