# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What systemd is given: a timer and a service for each entry (systemd.timer(5), systemd.time(7)).

systemd passes over what the clocks skip and counts the repeated hour of an interval once, so intervals are written in UTC, and the times to
which skipped ones move are written beside them. A run begins only when one is due that has not begun (start.py).
"""

from __future__ import annotations

import typing as t
from datetime import datetime
from math import gcd

from .cron import times_of
from .entry import Entry
from .timetable import DAYS, LAST

_DAY_MIN = 24 * 60


def on_calendar(entry: Entry, now: datetime) -> t.List[str]:
    """The values of OnCalendar= for an entry; together they elapse at every moment of the entry, and perhaps at others."""
    table = entry.table
    if table.every_s:
        every = table.every_s // 60
        step = every if _DAY_MIN % every == 0 else gcd(every, 60)
        return [f"*-*-* {times}:00 UTC" for times in _grouped(range(0, _DAY_MIN, step))]
    weekdays = ",".join(DAYS[day].capitalize() for day in table.weekdays)
    if table.week:
        dates = ["*-*~07/1" if table.week == LAST else f"*-*-{table.week * 7 - 6:02d}..{table.week * 7:02d}"]
    elif table.month_days:
        days = ",".join(f"{day:02d}" for day in table.month_days if day != LAST)
        dates = ([f"*-*-{days}"] if days else []) + (["*-*~01"] if LAST in table.month_days else [])
    else:
        dates = ["*-*-*"]
    front = f"{weekdays} " if weekdays else ""
    return [f"{front}{date} {times}:00 {entry.zone_name}" for date in dates for times in _grouped(times_of(entry, now))]


def timer_unit(head: str, entry: Entry, description: str, now: datetime) -> str:
    """The text of a timer unit."""
    calendar = "\n".join(f"OnCalendar={one}" for one in on_calendar(entry, now))
    return (
        f"{head}\n[Unit]\nDescription={_plain(description)}: {entry.spoken}\n\n[Timer]\n{calendar}\n"
        "# What was due while the machine was off is run when it is on again.\nPersistent=true\nAccuracySec=1s\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def widened(text: str, before: str) -> str:
    """The text of a timer unit that also elapses whenever the one before it did."""
    more = "".join(f"{line}\n" for line in before.splitlines() if line.startswith("OnCalendar=") and line not in text.splitlines())
    return text.replace("[Timer]\n", f"[Timer]\n{more}", 1)


def service_unit(head: str, argv: t.Sequence[str], description: str, account: str) -> str:
    """The text of the service unit that a timer starts."""
    command = " ".join(_quoted(part) for part in argv)
    user = f"User={account}\n" if account else ""
    return (
        f"{head}\n[Unit]\nDescription={_plain(description)}\nWants=network-online.target\nAfter=network-online.target\n\n[Service]\n"
        f"Type=oneshot\n{user}ExecStart={command}\n# The run has a time limit of its own.\nTimeoutStartSec=infinity\n"
    )


def _grouped(minutes: t.Iterable[int]) -> t.List[str]:
    """Hours and minutes as systemd writes them, one text for each minute of the hour, or one for whole steps."""
    values = sorted(minutes)
    step = values[1] - values[0] if len(values) > 1 else _DAY_MIN
    if len(values) > 2 and values == list(range(0, _DAY_MIN, step)) and (60 % step == 0 or step % 60 == 0):
        return [f"*:00/{step}" if step < 60 else "*:00" if step == 60 else f"00/{step // 60}:00"]
    hours: t.Dict[int, t.List[str]] = {}
    for value in values:
        hours.setdefault(value % 60, []).append(f"{value // 60:02d}")
    return [f"{','.join(of_minute)}:{minute:02d}" for minute, of_minute in sorted(hours.items())]


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("%", "%%")


def _quoted(part: str) -> str:
    """A part of a command line of systemd.service(5): quotes, backslashes, percent and dollar signs mean nothing."""
    text = part.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if not text or any(one in text for one in " \t;'\"\\") else text
