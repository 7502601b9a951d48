# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Times of the schedule as people write them, such as `every 5 min`, `Mon-Fri 18:00` or `first Sun 01:00`; FORMS has them all."""

from __future__ import annotations

import calendar
import re
import typing as t
from dataclasses import dataclass
from datetime import date

from ..errors import BadInput

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86400
LAST = -1
"""The last week or day of a month."""
FORMS = "`every 5 min`, `daily 09:00`, `Mon-Fri 09:00, 18:00`, `Sun 02:00`, `first Sun 01:00`, `day 1 03:00` or `last day 23:00`"
_WEEKS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": LAST}
_UNITS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "hour": 3600, "hours": 3600, "day": DAY_S, "days": DAY_S}
_EVERY = re.compile(r"every\s+(?:(\d{1,6})\s*)?(s|sec|min|m|hours|hour|h|days|day)\Z")
_TIMES = r"([0-9]{1,2}:[0-9]{2}(?:\s*,\s*[0-9]{1,2}:[0-9]{2}){0,23})\Z"
_DAILY = re.compile(r"daily\s+" + _TIMES)
_WEEKLY = re.compile(r"((?:[a-z]{3}(?:\s*-\s*[a-z]{3})?)(?:\s*,\s*[a-z]{3}(?:\s*-\s*[a-z]{3})?){0,6})\s+" + _TIMES)
_NTH = re.compile(r"(first|second|third|fourth|last)\s+([a-z]{3})\s+" + _TIMES)
_MONTHLY = re.compile(r"(?:day\s+([0-9]{1,2}(?:\s*,\s*[0-9]{1,2}){0,27})|(last)\s+day|monthly)\s+" + _TIMES)
_LATEST_DAY = 28
"""The last day that every month has."""
_LONGEST_MONTH = 31
_WEEKS_BETWEEN_NTH = 5
"""The first Sunday of a month comes four or five weeks after that of the month before."""


@dataclass(frozen=True)
class Timetable:
    """When something is due. Either an interval, or times of the day on certain days.

    Attributes:
        text: As it is written, in lower case with single spaces.
        every_s: Seconds between two runs, counted from 1970-01-01 00:00 UTC; 0 for times of the day.
        minutes: Minutes of the day, ascending.
        every_days: Every so many days, counted from 0001-01-01 (`date.toordinal`); 1 for each day.
        weekdays: 0 (Monday) to 6; empty for all.
        week: Which of the month's such weekdays, 1 to 4 or LAST; 0 for all.
        month_days: Days of the month, 1 to 28 or LAST; empty for all.
    """

    text: str
    every_s: int = 0
    minutes: t.Tuple[int, ...] = ()
    every_days: int = 1
    weekdays: t.Tuple[int, ...] = ()
    week: int = 0
    month_days: t.Tuple[int, ...] = ()

    def is_on(self, day: date) -> bool:
        """Whether it is due on this day at all; an interval is due on every day."""
        if day.toordinal() % self.every_days or (self.weekdays and day.weekday() not in self.weekdays):
            return False
        length = calendar.monthrange(day.year, day.month)[1]
        if self.week and self.week != (LAST if self.week == LAST and day.day > length - 7 else (day.day + 6) // 7):
            return False
        return not self.month_days or day.day in self.month_days or (LAST in self.month_days and day.day == length)

    @property
    def longest_gap_s(self) -> float:
        """Seconds that lie between two runs at most, on clocks that are not changed."""
        if self.every_s:
            return float(self.every_s)
        if self.week:
            return float(_WEEKS_BETWEEN_NTH * 7 * DAY_S)
        if self.month_days:
            # Days are counted in a month of 31, in which the way from one to the same of the next month is longest.
            days = sorted(_LONGEST_MONTH if day == LAST else day for day in self.month_days)
            return _longest([(day - 1) * DAY_S + minute * 60 for day in days for minute in self.minutes], _LONGEST_MONTH * DAY_S)
        if self.weekdays:
            return _longest([day * DAY_S + minute * 60 for day in self.weekdays for minute in self.minutes], 7 * DAY_S)
        return _longest([minute * 60 for minute in self.minutes], self.every_days * DAY_S)


def parse(at: t.Any) -> Timetable:
    """The timetable that a text says.

    Raises:
        BadInput: It is no time of a schedule.
    """
    text = " ".join(at.lower().split()) if isinstance(at, str) else ""
    found = _read(text)
    if found is None:
        said = " ".join(str(at).split())[:60]
        raise BadInput(f"The time {said!r} of the schedule cannot be understood", next_step=f"write it like {FORMS}")
    return found


def longest_gap_s(at: t.Any) -> t.Optional[float]:
    """Seconds that can lie between two runs at most; None for a text that is no time of a schedule."""
    try:
        return parse(at).longest_gap_s
    except BadInput:
        return None


def _read(text: str) -> t.Optional[Timetable]:
    found = _EVERY.match(text)
    if found:
        length = int(found.group(1) or 1) * _UNITS[found.group(2)]
        if length >= DAY_S and length % DAY_S == 0:
            return Timetable(text, minutes=(0,), every_days=length // DAY_S)
        return Timetable(text, every_s=length) if length > 0 else None
    found = _DAILY.match(text)
    if found:
        return _with_minutes(found.group(1), text=text)
    found = _NTH.match(text)
    if found and found.group(2) in DAYS:
        return _with_minutes(found.group(3), text=text, week=_WEEKS[found.group(1)], weekdays=(DAYS.index(found.group(2)),))
    found = _MONTHLY.match(text)
    if found:
        days = [LAST] if found.group(2) else [int(day) for day in (found.group(1) or "1").split(",")]
        allowed = all(day == LAST or 1 <= day <= _LATEST_DAY for day in days)
        return _with_minutes(found.group(3), text=text, month_days=tuple(sorted(set(days)))) if allowed else None
    found = _WEEKLY.match(text)
    weekdays = _days(found.group(1)) if found else []
    return _with_minutes(found.group(2), text=text, weekdays=tuple(sorted(set(weekdays)))) if found and weekdays else None


def _with_minutes(times: str, **rest: t.Any) -> t.Optional[Timetable]:
    """A timetable with these times of day; None when one of them is none."""
    minutes = set()
    for part in times.split(","):
        hours, _colon, after = part.strip().partition(":")
        if int(hours) > 23 or int(after) > 59:
            return None
        minutes.add(int(hours) * 60 + int(after))
    return Timetable(minutes=tuple(sorted(minutes)), **rest)


def _days(text: str) -> t.List[int]:
    found: t.List[int] = []
    for part in text.split(","):
        first, _hyphen, last = (word.strip() for word in part.partition("-"))
        if first not in DAYS or (last and last not in DAYS):
            return []
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found += [day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)]
    return found


def _longest(moments: t.Sequence[int], round_s: int) -> float:
    ordered = sorted(set(moments))
    return float(max(later - earlier for earlier, later in zip(ordered, [*ordered[1:], ordered[0] + round_s])))
