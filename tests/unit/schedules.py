# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries for tests of the schedule, and a clockwork that fires lines of crontab(5) as cron does, minute by minute."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

from ansible_collections.sre.runbooks.plugins.module_utils.schedule.entry import Entry, entries_of

TIMES = (
    "every 5 min",
    "every 7 min",
    "every 90 min",
    "every 5 h",
    "every 2 days",
    "daily 02:30",
    "daily 00:00, 23:59",
    "Mon-Fri 09:00, 18:00",
    "Sat, Sun 02:00",
    "first Sun 01:00",
    "fourth Wed 02:15",
    "last Sun 02:30",
    "day 15, 28 00:30",
    "last day 23:00",
)
ZONES = ("UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


def entry(at: str, time_zone: str = "UTC", **rest: Any) -> Entry:
    """An entry of a schedule."""
    return entries_of([{"procedure": "backup", "at": at, "time_zone": time_zone, **rest}])[0]


@functools.cache
def numbers(text: str, first: int, last: int) -> frozenset[int]:
    """The numbers that a field of crontab(5) stands for."""
    found: set[int] = set()
    for part in text.split(","):
        span, _slash, step = part.partition("/")
        begin, _hyphen, end = span.partition("-")
        low, high = (first, last) if span == "*" else (int(begin), int(end or begin))
        found |= set(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def fires(fields: str, wall: datetime) -> bool:
    """Whether a line fires when the wall shows this time; of two fields of days either does, unless one is `*`."""
    minute, hour, day, month, weekday = fields.split()
    assert month == "*"
    assert "*" in (day, weekday), "either of two days would do"
    return (
        wall.minute in numbers(minute, 0, 59)
        and wall.hour in numbers(hour, 0, 23)
        and wall.day in numbers(day, 1, 31)
        and wall.isoweekday() % 7 in {number % 7 for number in numbers(weekday, 0, 7)}
    )


def firings(lines: Iterable[str], clock: tzinfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """When cron fires one of the lines: what the clocks skip as soon as they have skipped it, what they repeat once.

    Lines with any hour go by the time that passes (cron(8) of Debian).
    """
    ordered = list(lines)
    moment, shown = begin, begin.astimezone(clock).replace(tzinfo=None)
    while moment < end:
        wall = moment.astimezone(clock).replace(tzinfo=None)
        by_time = any(fires(line, wall) for line in ordered if line.split()[1] == "*")
        fixed = [line for line in ordered if line.split()[1] != "*"]
        skipped = False
        while shown < wall:
            shown += timedelta(minutes=1)
            skipped = skipped or any(fires(line, shown) for line in fixed)
        if by_time or skipped:
            yield moment
        moment += timedelta(minutes=1)
