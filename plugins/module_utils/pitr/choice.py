# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What can be decided without asking anybody: which backup, which timeline, how far the log reaches, which kind of backup is due."""

from __future__ import annotations

import datetime
import re
import typing as t

from ..errors import BadInput
from .model import Backup

DAY_S = 86400
WAL_SEGMENT_BYTES = 16 << 20
"""initdb's default (--wal-segsize)."""
_SEGMENT = re.compile(r"^[0-9A-F]{24}$")
_MOMENT = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?\s*(Z|[+-]\d\d:?(?:\d\d)?)$")

History = t.Sequence[t.Tuple[int, int]]
"""A timeline's ancestors and itself, the oldest first: number, and position (bytes) at which the next one began; -1 for itself."""


def utc(seconds: float) -> str:
    """A moment as UTC ISO 8601, whole seconds."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """Seconds since 1970 of `YYYY-MM-DDTHH:MM:SS[.ffffff]` with `Z` or an offset such as +02:00.

    Raises:
        BadInput: It is none, or has no zone.
    """
    found = _MOMENT.match(text.strip())
    try:
        if found is None:
            raise ValueError("not of the form")
        zone = "+0000" if found[4] == "Z" else found[4].replace(":", "")
        whole = f"{found[1]}T{found[2]}{(found[3] or '.0'):0<7}{zone if len(zone) == 5 else zone + '00'}"
        return datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    except ValueError:
        raise BadInput(
            "The moment to go back to cannot be read",
            where=repr(text),
            why="a date, a time and a zone are needed: at 3 a.m. nobody should have to guess whose clock is meant",
            next_step="write it as 2026-11-21T02:14:00Z, or with an offset as in 2026-11-21T03:14:00+01:00; or say latest",
        ) from None


def for_postgresql(seconds: float) -> str:
    """A moment as recovery_target_time reads it, in microseconds."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00")


def position(lsn: str) -> int:
    """A log position such as 0/3000050 in bytes."""
    high, _slash, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def segment_number(name: str, segment_bytes: int = WAL_SEGMENT_BYTES) -> int:
    """Where a segment's name lies in the log, counted in segments (XLogFromFileName, xlog_internal.h)."""
    return int(name[8:16], 16) * (0x100000000 // segment_bytes) + int(name[16:24], 16)


def segment_name(timeline: str, number: int, segment_bytes: int = WAL_SEGMENT_BYTES) -> str:
    """The name of a segment of a timeline (eight hexadecimal digits) that `segment_number` gives this number."""
    per_log = 0x100000000 // segment_bytes
    return f"{timeline}{number // per_log:08X}{number % per_log:08X}"


def history_of(timeline: int, text: str) -> History:
    """A timeline's history from its history file (lines: ancestor, position, reason); empty text for the first timeline.

    Args:
        timeline: The timeline.
        text: Content of `<timeline>.history`.
    """
    parents = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].isdigit():
            parents.append((int(words[0]), position(words[1])))
    return [*parents, (timeline, -1)]


def fits(backup: Backup, history: History) -> bool:
    """Whether a server that starts from the backup can follow this history."""
    return any(backup.timeline == timeline and (end < 0 or position(backup.lsn_stop) <= end) for timeline, end in history)


def reach(start: str, segments: t.Iterable[str], history: History, segment_bytes: int = WAL_SEGMENT_BYTES) -> t.Tuple[t.List[str], str]:
    """The unbroken row of segments from `start` on along a history, and the first one that is missing though later ones are there.

    Returns:
        The row in order; the name of the missing segment, empty when the row ends with the log.
    """
    ends = dict(history)
    order = {timeline: rank for rank, (timeline, _end) in enumerate(history)}
    best: t.Dict[int, str] = {}
    for name in segments:
        if not _SEGMENT.match(name) or int(name[:8], 16) not in ends:
            continue
        timeline, number = int(name[:8], 16), segment_number(name, segment_bytes)
        if ends[timeline] >= 0 and number > ends[timeline] // segment_bytes:
            continue  # written after the server had left that timeline
        if number not in best or order[int(best[number][:8], 16)] < order[timeline]:
            best[number] = name
    number, row = segment_number(start, segment_bytes), []
    while number in best:
        row.append(best[number])
        number += 1
    later = [one for one in best if one > number]
    if not later:
        return row, ""
    return row, segment_name(best[min(later)][:8], number, segment_bytes)


def choose_backup(backups: t.Sequence[Backup], history: History, target: t.Optional[float]) -> t.Optional[Backup]:
    """The newest backup that was complete before `target` (seconds since 1970; None for the newest state) and follows the history."""
    fitting = [one for one in backups if fits(one, history) and (target is None or one.stopped + 1 <= target)]
    return max(fitting, key=lambda one: one.stopped, default=None)


def kind_that_is_due(backups: t.Sequence[Backup], now: float, full_every_days: float, differential_every_days: float) -> str:
    """`full`, `diff` or `incr`: the least that keeps chains as short as asked. Half an hour early counts as due.

    Args:
        backups: What there is.
        now: Seconds since 1970.
        full_every_days: Days between full backups.
        differential_every_days: Days between differential ones; 0 for none.
    """
    slack = 1800
    full = max((one.started for one in backups if one.type == "full"), default=None)
    if full is None or now - full >= full_every_days * DAY_S - slack:
        return "full"
    wide = max(one.started for one in backups if one.type in ("full", "diff"))
    if differential_every_days and now - wide >= differential_every_days * DAY_S - slack:
        return "diff"
    return "incr"
