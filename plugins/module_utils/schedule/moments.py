# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The moments at which a timetable is due in a time zone. Pure: the clock is an argument.

What the clock skips in spring is due as much later as it was set forward (02:30 becomes 03:30), what it repeats in autumn is due the
first time (PEP 495, `fold=0`). So nothing is left out and nothing happens twice.
"""

from __future__ import annotations

import typing as t
from datetime import date, datetime, time, timedelta, timezone, tzinfo

from ..errors import BadInput, ToolMissing
from .timetable import Timetable

UTC = "UTC"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FARTHEST_DAYS = 70
"""A day on which a timetable is due lies within two months of any other day, unless it counts days."""
_MOST = 100_000


def zone_of(name: str) -> tzinfo:
    """The time zone of this name of the IANA database.

    Raises:
        BadInput: There is none.
        ToolMissing: Python cannot read time zones here.
    """
    if name in ("", UTC):
        return timezone.utc
    try:
        import zoneinfo
    except ImportError as error:
        raise ToolMissing("Time zones cannot be read", why=str(error), next_step="use Python 3.9 or later, or the time zone UTC") from None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        step = "write it like Europe/Warsaw or UTC; a machine without the package tzdata knows none but UTC"
        raise BadInput(f"There is no time zone {name[:40]!r} here", next_step=step) from None


def next_runs(table: Timetable, zone: tzinfo, after: datetime, count: int = 1) -> t.List[datetime]:
    """The next `count` moments later than `after`, in UTC, ascending; fewer where the calendar ends."""
    found: t.List[datetime] = []
    for moment in _moments(table, zone, after, forward=True):
        if len(found) >= count:
            break
        if moment > after and moment not in found:
            found.append(moment)
    return found


def previous_run(table: Timetable, zone: tzinfo, until: datetime) -> t.Optional[datetime]:
    """The last moment at or before `until`, in UTC; None before the calendar begins."""
    return next((moment for moment in _moments(table, zone, until, forward=False) if moment <= until), None)


def runs_between(table: Timetable, zone: tzinfo, begin: datetime, end: datetime, most: int = 10_000) -> t.List[datetime]:
    """The moments later than `begin`, up to `end` inclusive, in UTC, ascending; at most `most`."""
    found: t.List[datetime] = []
    for moment in _moments(table, zone, begin, forward=True):
        if moment > end or len(found) >= most:
            break
        if moment > begin and moment not in found[-len(table.minutes) - 1 :]:
            found.append(moment)
    return found


def is_due_on(table: Timetable, zone: tzinfo, moment: datetime) -> bool:
    """Whether the day of `moment`, as the zone counts days, is one on which it is due."""
    return table.is_on(moment.astimezone(zone).date())


def _moments(table: Timetable, zone: tzinfo, near: datetime, *, forward: bool) -> t.Iterator[datetime]:
    """Moments from about `near` on, in the order of time or against it; the first few may lie on its other side."""
    if table.every_s:
        step = int((near - _EPOCH).total_seconds() // table.every_s)
        for _count in range(_MOST):
            try:
                yield _EPOCH + timedelta(seconds=step * table.every_s)
            except OverflowError:
                return
            step += 1 if forward else -1
        return
    for day in _days(table, near.astimezone(zone).date(), forward=forward):
        moments = {_moment(day, minute, zone) for minute in table.minutes}
        yield from sorted((moment for moment in moments if moment is not None), reverse=not forward)


def _moment(day: date, minute: int, zone: tzinfo) -> t.Optional[datetime]:
    try:
        return datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone).astimezone(timezone.utc)
    except OverflowError:
        return None


def _days(table: Timetable, near: date, *, forward: bool) -> t.Iterator[date]:
    """Days on which it is due, from the day before (or after) `near` on."""
    step = 1 if forward else -1
    ordinal = near.toordinal() - step
    if table.every_days > 1:
        step *= table.every_days
        ordinal -= ordinal % table.every_days
        ordinal -= 0 if forward else -table.every_days
    without = 0
    while date.min.toordinal() < ordinal < date.max.toordinal() and without < _FARTHEST_DAYS:
        day = date.fromordinal(ordinal)
        if table.is_on(day):
            without = 0
            yield day
        else:
            without += 1
        ordinal += step
