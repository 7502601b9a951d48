# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Times of the schedule: `every 5 min`, `daily 09:00`, `Mon-Fri 18:00`, `Sun 02:00`, `first Sun 01:00`."""

from __future__ import annotations

import re
import typing as t

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86400
_UNITS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "hour": 3600, "hours": 3600, "day": DAY_S, "days": DAY_S}
_EVERY = re.compile(r"every\s+(?:(\d{1,6})\s*)?(s|sec|min|m|hours|hour|h|days|day)\Z")
_TIMES = r"([0-9]{1,2}:[0-9]{2}(?:\s*,\s*[0-9]{1,2}:[0-9]{2}){0,23})\Z"
_DAILY = re.compile(r"daily\s+" + _TIMES)
_WEEKLY = re.compile(r"((?:[a-z]{3}(?:\s*-\s*[a-z]{3})?)(?:\s*,\s*[a-z]{3}(?:\s*-\s*[a-z]{3})?){0,6})\s+" + _TIMES)
_MONTHLY = re.compile(r"(first|second|third|fourth|last)\s+([a-z]{3})\s+" + _TIMES)
_WEEKS_BETWEEN_MONTHLY = 5
"""The first Sunday of a month comes four or five weeks after that of the month before."""


def longest_gap_s(at: t.Any) -> t.Optional[float]:
    """Seconds that can lie between two runs at most; None for a text that is no time of a schedule."""
    text = " ".join(str(at).lower().split()) if isinstance(at, str) else ""
    found = _EVERY.match(text)
    if found:
        length = int(found.group(1) or 1) * _UNITS[found.group(2)]
        return float(length) if length > 0 else None
    found = _DAILY.match(text)
    if found:
        times = _minutes(found.group(1))
        return _longest([minute * 60 for minute in times], DAY_S) if times else None
    found = _MONTHLY.match(text)
    if found:
        return float(_WEEKS_BETWEEN_MONTHLY * 7 * DAY_S) if found.group(2) in DAYS and _minutes(found.group(3)) else None
    found = _WEEKLY.match(text)
    if found:
        days, times = _days(found.group(1)), _minutes(found.group(2))
        moments = [day * DAY_S + minute * 60 for day in days for minute in times]
        return _longest(moments, 7 * DAY_S) if moments else None
    return None


def _longest(moments: t.Sequence[int], round_s: int) -> float:
    ordered = sorted(set(moments))
    return float(max(later - earlier for earlier, later in zip(ordered, [*ordered[1:], ordered[0] + round_s])))


def _minutes(text: str) -> t.List[int]:
    """Minutes of the day; none at all when one of them is no time of day."""
    found = []
    for part in text.split(","):
        hours, _colon, minutes = part.strip().partition(":")
        if int(hours) > 23 or int(minutes) > 59:
            return []
        found.append(int(hours) * 60 + int(minutes))
    return found


def _days(text: str) -> t.List[int]:
    found: t.List[int] = []
    for part in text.split(","):
        first, _hyphen, last = (word.strip() for word in part.partition("-"))
        if first not in DAYS or (last and last not in DAYS):
            return []
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found += [day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)]
    return found
