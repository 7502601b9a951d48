# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What cron is given: lines of crontab(5).

A run begins only when one is due that has not begun (start.py), so a line may fire more often than the timetable says: where the days are
none that cron can name (the first Sunday of a month), or the clock is not the one that cron goes by, more lines fire than runs begin.
"""

from __future__ import annotations

import shlex
import typing as t
from datetime import datetime, timedelta, tzinfo
from math import gcd

from .entry import Entry
from .moments import next_runs
from .timetable import LAST, Timetable

_LOOK_AHEAD_DAYS = 800
"""Two changes of the clocks each way lie in that time."""
ALL = "*"


def times_of(entry: Entry, now: datetime) -> t.List[int]:
    """Minutes of the day, on the entry's own clock, at which it is due: those of its timetable, and those to which clocks move them."""
    begin, moments = now, set()
    # Only what is due between midnight and six can be moved: clocks change at night, Antarctica's and Cuba's included.
    if any(minute < 360 for minute in entry.table.minutes):
        for moment in next_runs(entry.table, entry.zone, begin, _LOOK_AHEAD_DAYS * len(entry.table.minutes)):
            wall = moment.astimezone(entry.zone)
            moments.add(wall.hour * 60 + wall.minute)
            if moment - now > timedelta(days=_LOOK_AHEAD_DAYS):
                break
    return sorted({*entry.table.minutes, *moments})


def cron_times(entry: Entry, clock: tzinfo, same_clock: bool, now: datetime) -> t.List[str]:
    """The five fields of each line for an entry.

    Args:
        entry: What is to run.
        clock: The time zone that cron goes by.
        same_clock: Whether that is the entry's.
        now: The time.
    """
    if entry.table.every_s or not same_clock:
        # Lines with any hour are run by the time that passes, whatever the clocks do (cron(8), daylight saving time).
        return [f"{_numbers(_minutes(entry, clock, now), 60)} * * * *"]
    day_of_month, day_of_week = days_of(entry.table)
    return [f"{times} {day_of_month} * {day_of_week}" for times in grouped(times_of(entry, now))]


def days_of(table: Timetable) -> t.Tuple[str, str]:
    """The fields day of month and day of week; together they name no day too few. One of them is always `*`: cron takes either of two."""
    if table.week:
        return "22-31" if table.week == LAST else f"{table.week * 7 - 6}-{table.week * 7}", ALL
    if table.month_days:
        return ",".join("28-31" if day == LAST else str(day) for day in sorted(table.month_days, key=lambda day: day % 32)), ALL
    return ALL, ",".join(str((day + 1) % 7) for day in table.weekdays) or ALL


def grouped(minutes: t.Sequence[int]) -> t.List[str]:
    """The fields minute and hour for minutes of the day, one for each minute of the hour."""
    hours: t.Dict[int, t.List[int]] = {}
    for minute in minutes:
        hours.setdefault(minute % 60, []).append(minute // 60)
    return [f"{minute} {_numbers(of_minute, 24)}" for minute, of_minute in sorted(hours.items())]


def cron_file(
    head: str,
    entries: t.Sequence[t.Tuple[Entry, t.Sequence[str]]],
    *,
    account: str,
    named_zones: bool,
    clock: tzinfo,
    clock_name: str,
    now: datetime,
) -> str:
    """The drop-in file of a profile, for /etc/cron.d.

    Args:
        head: First line, a comment.
        entries: What runs, each with the argument list that starts it.
        account: Account that runs it.
        named_zones: Whether this cron knows CRON_TZ, as cronie does and Debian's does not.
        clock: The time zone that it goes by otherwise.
        clock_name: Its name; empty when it is not known.
        now: The time.
    """
    lines = [head, "SHELL=/bin/sh", ""]
    # CRON_TZ holds for all lines below it, and intervals go by cron's own clock.
    for entry, argv in sorted(entries, key=lambda pair: not pair[0].table.every_s):
        lines.append(f"# {entry.name}: {entry.procedure}, {entry.spoken}")
        named = named_zones and not entry.table.every_s
        if named:
            lines.append(f"CRON_TZ={entry.zone_name}")
        same = named or (bool(clock_name) and clock_name == entry.zone_name)
        times = cron_times(entry, entry.zone if named else clock, same, now)
        # cron makes a line break of a percent sign.
        command = " ".join(shlex.quote(part) for part in argv).replace("%", "\\%")
        lines += [f"{one} {account} {command}" for one in times]
    return "\n".join(lines) + "\n"


def _minutes(entry: Entry, clock: tzinfo, now: datetime) -> t.List[int]:
    """Minutes of the hour, on cron's clock, at which the entry can be due."""
    if entry.table.every_s:
        step = gcd(entry.table.every_s // 60, 60)
        offsets = {
            int(((now + timedelta(days=30 * month)).astimezone(clock).utcoffset() or timedelta()).total_seconds() // 60)
            for month in range(13)
        }
        return sorted({(minute + offset) % 60 for minute in range(0, 60, step) for offset in offsets})
    moments = next_runs(entry.table, entry.zone, now, 14 * len(entry.table.minutes))
    for month in range(1, 14):
        moments += next_runs(entry.table, entry.zone, now + timedelta(days=30 * month), 2 * len(entry.table.minutes))
    return sorted({moment.astimezone(clock).minute for moment in moments})


def _numbers(values: t.Sequence[int], end: int) -> str:
    """Numbers as cron writes them, with a step where they fill the whole range evenly."""
    if len(values) == end:
        return ALL
    step = values[1] - values[0] if len(values) > 1 else 0
    if len(values) > 2 and end % step == 0 and list(values) == list(range(0, end, step)):
        return f"*/{step}"
    return ",".join(str(value) for value in values)
