# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which sets there are, and which one a restore should take."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ..errors import BadInput, SetNotFound
from .sets import BackupSet, read_set

SERVICES = "services"
"""Folder among the sets that says which of them belong together (module service_sets)."""
_BEFORE, _MOMENT = "before ", "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Wanted:
    """What kind of set is looked for.

    Attributes:
        store: Name of the store in the profile; empty for any.
        method: `logical` or `physical`; empty for any.
        system_identifier: Of the server it must come from; empty for any.
        name: Name of one set, when it is said which.
        newest: Whether the newest is wanted, however far it is proven (for rehearsals), instead of the most trusted.
        before: Moment before which the set must show its store, UTC ISO 8601 with seconds; empty for any.
    """

    store: str = ""
    method: str = ""
    system_identifier: str = ""
    name: str = ""
    newest: bool = False
    before: str = ""

    def fits(self, candidate: BackupSet) -> bool:
        """Whether a set is of that kind. A set whose manifest cannot be read fits when its name does."""
        return not self.misfit(candidate)

    def misfit(self, candidate: BackupSet) -> str:
        """What makes a set another one than is looked for; empty when it fits."""
        if self.name:
            return "" if candidate.id == self.name else "has another name"
        manifest = candidate.manifest
        if not manifest:
            return ""
        server = manifest.get("server", {})
        if self.store and manifest.get("store") != self.store:
            return f"is of the store {manifest.get('store')}"
        if self.method and manifest.get("method") != self.method:
            return f"was taken by the {manifest.get('method')} method"
        if self.system_identifier and server.get("system_identifier") != self.system_identifier:
            return f"is from another server ({server.get('address')}, system identifier {server.get('system_identifier')})"
        if self.before and not is_before(candidate.consistent_at, self.before):
            return f"is of {candidate.consistent_at or 'an unknown moment'}, not before {self.before}"
        return ""


@dataclass
class Choice:
    """The set that was chosen, and why.

    Attributes:
        chosen: The set; None when none will do.
        reason: One sentence.
        passed_over: One sentence for each newer or better placed set that was not taken.
    """

    chosen: t.Optional[BackupSet]
    reason: str
    passed_over: t.List[str] = field(default_factory=list)


def named(words: str) -> t.Dict[str, str]:
    """What C(set) asks for, as fields of Wanted: one set by its name, or `before 2026-11-20T12:00:00Z` for those of an earlier moment.

    Raises:
        BadInput: What follows `before` is no moment.
    """
    text = words.strip()
    if not text.startswith(_BEFORE):
        return {"name": text}
    try:
        moment = datetime.strptime(text[len(_BEFORE) :].strip(), _MOMENT)  # noqa: DTZ007  (it is written as it was read)
        return {"before": moment.strftime(_MOMENT)}
    except ValueError:
        raise BadInput(f"{words!r} names no moment", next_step="write it in UTC, for example `before 2026-11-20T12:00:00Z`") from None


def is_before(consistent_at: str, moment: str) -> bool:
    """Whether a set shows its store before a moment; both as UTC ISO 8601 with seconds. Of an unknown moment nobody knows."""
    return "" < consistent_at < moment


def list_sets(backup_folder: str) -> t.List[BackupSet]:
    """The finished sets of a folder, the newest first (names begin with their time); an absent folder has none."""
    try:
        names = os.listdir(backup_folder)
    except FileNotFoundError:
        return []
    folders = [os.path.join(backup_folder, name) for name in names if not name.startswith(".") and name != SERVICES]
    sets = [read_set(folder) for folder in folders if os.path.isdir(folder)]
    return sorted(sets, key=lambda one: (one.consistent_at or one.id, one.id), reverse=True)


def in_order_of_trust(sets: t.Sequence[BackupSet], wanted: Wanted) -> t.List[BackupSet]:
    """The sets that fit, best first: the newest proven, older proven ones, the newest verified, ..., then merely written ones.

    A set that failed, or whose manifest is damaged, comes only when it was named.
    """
    rank = {"proven": 0, "verified": 1, "written": 2, "failed": 3}
    fitting = [one for one in sets if wanted.fits(one) and (one.state != "failed" or wanted.name)]
    return fitting if wanted.newest else sorted(fitting, key=lambda one: rank[one.state])  # stable: newest first within a rank


def choose(sets: t.Sequence[BackupSet], wanted: Wanted, problems_of: t.Callable[[BackupSet], t.Sequence[str]]) -> Choice:
    """Take the best set whose files are whole.

    Args:
        sets: All sets, newest first.
        wanted: What is looked for.
        problems_of: Reads a set's files and says what is wrong; asked for one candidate after the other until one is whole.
    """
    passed_over = [
        f"{one.id}: {'; '.join(one.damage) or 'failed its last check'}"
        for one in sets
        if wanted.fits(one) and one.state == "failed" and not wanted.name
    ]
    candidates = in_order_of_trust(sets, wanted)
    damaged = set()
    for candidate in candidates:
        problems = problems_of(candidate)
        if problems:
            damaged.add(candidate.id)
            passed_over.append(f"{candidate.id}: {'; '.join(problems[:3])}")
            continue
        reason = "it was named" if wanted.name else f"it is the newest {'' if wanted.newest else candidate.state + ' '}set{_limit(wanted)}"
        newest = max((one for one in candidates if one.id not in damaged), key=lambda one: one.consistent_at)
        if not wanted.name and newest.consistent_at > candidate.consistent_at and newest.state != candidate.state:
            passed_over.append(f"{newest.id}: newer, but only {newest.state}; name it with restore_set to take it")
        return Choice(candidate, reason, passed_over)
    return Choice(None, "no set will do", passed_over)


def none_found(wanted: Wanted, place: str, passed_over: t.Sequence[str], sets: t.Sequence[BackupSet]) -> SetNotFound:
    """The error for a choice among `sets` that came to nothing."""
    others = [f"{one.id} {wanted.misfit(one)}" for one in sets if not wanted.fits(one)]
    more = [f"and {len(others) - 5} more"] if len(others) > 5 else []
    if wanted.name:
        what = f"There is no usable backup set {wanted.name!r}"
    else:
        what = f"There is no usable backup set of {wanted.store or 'any store'}" + (
            f" by the {wanted.method} method" if wanted.method else ""
        )
        what += _limit(wanted)
    return SetNotFound(
        what,
        where=place,
        why="; ".join([*passed_over, *others[:5], *more]) or "none is there",
        next_step="look at what there is with the module sre.runbooks.backup_set_info, or take a backup first",
        facts={"passed_over": list(passed_over)},
    )


def _limit(wanted: Wanted) -> str:
    return f" before {wanted.before}" if wanted.before else ""
