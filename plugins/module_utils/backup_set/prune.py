# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which sets may go. The decision is a pure function over what there is."""

from __future__ import annotations

import datetime
import os
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput
from ..files import fsync_path, remove_tree
from .in_use import claimed
from .sets import BackupSet


@dataclass(frozen=True)
class Keep:
    """What to keep of every store and method. A set stays when any of the rules keeps it; without any rule (all are 0) everything stays.

    Attributes:
        last: So many of the newest sets.
        days: Sets younger than so many days.
        daily: The newest good set of each of so many days; days without one do not count.
        weekly: The same for weeks, which begin on Monday (ISO 8601).
        monthly: The same for months.
        time_zone: Zone of the calendar by which days, weeks and months are told apart (a name of the IANA database).
    """

    last: int = 7
    days: int = 30
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    time_zone: str = "UTC"

    @property
    def has_rule(self) -> bool:
        """Whether anything says what may go."""
        return any(rule > 0 for rule in (self.last, self.days, *(getattr(self, name) for name in _PERIODS)))


@dataclass(frozen=True)
class PrunePlan:
    """What goes and what stays, each with its reason."""

    remove: t.Sequence[BackupSet]
    reasons: t.Mapping[str, str]

    def listing(self, sets: t.Iterable[BackupSet], *, without_removed: bool = False) -> str:
        """One line a set, in the order given: whether it stays, its name, its state, why."""
        going = {one.id for one in self.remove}
        lines = [
            f"{'goes ' if one.id in going else 'stays'} {one.id} ({one.state}, {one.size_bytes} bytes): {self.reasons[one.id]}\n"
            for one in sets
            if not (without_removed and one.id in going)
        ]
        return "".join(lines)


@dataclass
class _Group:
    """The sets of one store and method, newest first, and why each that stays does."""

    sets: t.List[BackupSet] = field(default_factory=list)
    stays: t.Dict[str, str] = field(default_factory=dict)


_DAY_S = 86400
_PERIODS: t.Mapping[str, t.Tuple[str, t.Callable[[datetime.datetime], t.Tuple[int, ...]]]] = {
    "daily": ("day", lambda at: (at.year, at.month, at.day)),
    "weekly": ("week", lambda at: tuple(at.isocalendar())[:2]),
    "monthly": ("month", lambda at: (at.year, at.month)),
}


def plan_prune(
    sets: t.Sequence[BackupSet], keep: Keep, now: datetime.datetime, in_use: t.Optional[t.Mapping[str, str]] = None
) -> PrunePlan:
    """Decide which sets go.

    Whatever the rules say, of every store and method the newest proven set stays, and the newest that is not damaged or failed. So
    does what is in use, what a set that stays is built on (`base` of its manifest), and what cannot be read.

    Args:
        sets: All sets.
        keep: The rules; a set stays when any of them keeps it. Failed sets never take the place of good ones.
        now: The time now, with its zone.
        in_use: Name of a set -> what is being done with it.

    Raises:
        BadInput: There is no such time zone.
    """
    zone = _zone(keep.time_zone)
    if not keep.has_rule:
        return PrunePlan([], {one.id: "no rule says what may go" for one in sets})
    groups: t.Dict[t.Tuple[str, str, str], _Group] = {}
    for one in sorted(sets, key=lambda one: (one.consistent_at, one.id), reverse=True):
        if one.manifest:
            names = tuple(str(one.manifest.get(key)) for key in ("kind", "store", "method"))
            groups.setdefault(t.cast("t.Tuple[str, str, str]", names), _Group()).sets.append(one)
    reasons: t.Dict[str, str] = {one.id: "its manifest cannot be read: look at it by hand" for one in sets if not one.manifest}
    for group in groups.values():
        _decide(group, keep, now, zone)
        reasons.update(group.stays)
    readable = [one for group in groups.values() for one in group.sets]
    for one in readable:
        if one.id not in reasons and one.id in (in_use or {}):
            reasons[one.id] = f"in use: {(in_use or {})[one.id]}"
    _keep_bases(readable, reasons)
    remove = [one for one in readable if one.id not in reasons]
    for one in remove:
        reasons[one.id] = f"older than {keep.days} days and not one of the newest {keep.last}" + _without_period(keep)
    return PrunePlan(remove, reasons)


def _decide(group: _Group, keep: Keep, now: datetime.datetime, zone: datetime.tzinfo) -> None:
    good = [one for one in group.sets if one.state != "failed"]
    proven = [one for one in group.sets if one.state == "proven"]
    stays = group.stays
    if proven:
        stays[proven[0].id] = "the newest proven set always stays"
    if good:
        stays.setdefault(good[0].id, "the newest good set always stays")
    for one in [*good[: max(0, keep.last)], *group.sets[: max(0, keep.last)]]:
        stays.setdefault(one.id, f"one of the newest {keep.last}")
    for one in group.sets:
        if (now - _time(one)).total_seconds() <= keep.days * _DAY_S:
            stays.setdefault(one.id, f"younger than {keep.days} days")
    for rule, (word, period_of) in _PERIODS.items():
        newest: t.Dict[t.Tuple[int, ...], BackupSet] = {}
        for one in good:
            newest.setdefault(period_of(_time(one).astimezone(zone)), one)
        for one in list(newest.values())[: max(0, getattr(keep, rule))]:
            local = _time(one).astimezone(zone)
            stays.setdefault(one.id, f"the newest of its {word} ({_spoken(word, local)}), of which {getattr(keep, rule)} are kept")


def _keep_bases(sets: t.Sequence[BackupSet], reasons: t.Dict[str, str]) -> None:
    known = {one.id: one for one in sets}
    for one in [known[name] for name in list(reasons) if name in known]:
        while True:
            base = one.manifest.get("base")
            name = str(base.get("id") if isinstance(base, dict) else base or "")
            if name not in known or name in reasons:
                break
            reasons[name] = f"{one.id}, which stays, is built on it"
            one = known[name]


def _zone(name: str) -> datetime.tzinfo:
    if name in ("", "UTC"):
        return datetime.timezone.utc
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInput(
            f"There is no time zone {name!r} on this host",
            why=str(error),
            next_step="name one of the IANA database such as Europe/Berlin, or install the system's time zone data (tzdata)",
        ) from error


def _spoken(word: str, local: datetime.datetime) -> str:
    if word == "week":
        return "{}-W{:02d}".format(*tuple(local.isocalendar())[:2])
    return local.strftime("%Y-%m" if word == "month" else "%Y-%m-%d")


def _without_period(keep: Keep) -> str:
    words = [f"{getattr(keep, rule)} {word}s" for rule, (word, _period) in _PERIODS.items() if getattr(keep, rule) > 0]
    return f", nor the newest of one of the last {' or '.join(words)} with a set" if words else ""


def _time(one: BackupSet) -> datetime.datetime:
    return datetime.datetime.strptime(one.consistent_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


def remove_set(one: BackupSet) -> bool:
    """Remove a set unless somebody works with it; returns whether it went.

    It first loses its name, so that a half-removed one is never taken for a set. A removal that is killed leaves what the next run
    clears away (`remove_leftovers`).
    """
    home, name = os.path.split(one.folder)
    with claimed(one.folder) as free:
        if not free:
            return False
        doomed = os.path.join(home, f".{name}.partial")
        try:
            os.rename(one.folder, doomed)
        except FileNotFoundError:  # another pruning of the same folder was faster
            return False
        fsync_path(home)
        remove_tree(doomed)
    return True
