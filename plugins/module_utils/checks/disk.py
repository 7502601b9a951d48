# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `disk`."""

from __future__ import annotations

import os
import typing as t

from ..command import Command
from ..place import place_from
from . import conditions
from .model import FAIL, UNKNOWN, Answer, Attempt, NoAnswer
from .network import in_thread
from .programs import PLACE, PathInPlace, output_of

MEASURES = ("used_percent", "inodes_percent", "free_bytes")


class Room(t.NamedTuple):
    """Room in a file system: sizes in bytes, and numbers of inodes; None where it has no fixed number of them.

    Attributes:
        used: What is taken.
        available: What an ordinary account can still take.
    """

    size: int
    used: int
    available: int
    inodes: t.Optional[int]
    inodes_used: t.Optional[int]


class Disk(PathInPlace):
    """The file system that a path lies in: how full it is, by bytes and by inodes."""

    spec = {
        "path": {"type": "path", "default": "/"},
        "measure": {"type": "str", "choices": list(MEASURES), "default": "used_percent"},
        **PLACE,
        **conditions.THRESHOLDS,
    }

    async def ask(self, attempt: Attempt) -> Room:
        path, place = self.options["path"], place_from(self.options)
        attempt.stage = f"asking for the room in {path}"
        if place.is_host:
            # A network file system whose server is gone keeps statvfs for ever.
            return await in_thread(lambda: _room(path))
        counted = []
        for unit in ("-k", "-i") if self.options["measure"] == "inodes_percent" else ("-k",):
            got = await output_of(attempt, Command(["df", "-P", unit, "--", path], place))
            if got.status != 0:
                raise NoAnswer(UNKNOWN, f"df: {got.last_words}")
            counted.append(parse_df(got.text))
        (size, used, available), inodes = counted[0], counted[1] if len(counted) > 1 else (None, None, None)
        return Room(size * 1024, used * 1024, available * 1024, inodes[0], inodes[1])

    def judge(self, got: Room) -> Answer:
        measured = {
            "used_percent": _percent(got.used, got.used + got.available),
            "inodes_percent": None if got.inodes is None or got.inodes_used is None else _percent(got.inodes_used, got.inodes),
            "free_bytes": got.available,
        }
        value = measured[self.options["measure"]]
        if value is None:
            raise NoAnswer(UNKNOWN, "the file system does not say how many inodes it has")
        answer = Answer(observed={**measured, "size_bytes": got.size}, value=float(value))
        what = {"used_percent": "used space in percent", "inodes_percent": "used inodes in percent", "free_bytes": "free space in bytes"}
        answer.findings += conditions.judge_number(value, self.options, what[self.options["measure"]])
        return answer


def _room(path: str) -> Room:
    try:
        found = os.statvfs(path)
    except FileNotFoundError:
        raise NoAnswer(FAIL, "the path does not exist") from None
    except (OSError, ValueError) as error:
        raise NoAnswer(UNKNOWN, f"the path cannot be reached ({getattr(error, 'strerror', None) or error})") from None
    unit = found.f_frsize
    inodes = (found.f_files, found.f_files - found.f_ffree) if found.f_files else (None, None)
    return Room(found.f_blocks * unit, (found.f_blocks - found.f_bfree) * unit, found.f_bavail * unit, *inodes)


def parse_df(text: str) -> t.Tuple[int, int, int]:
    """Total, used and available out of what `df -P` printed (POSIX): its last line, the first three numbers behind the name.

    Raises:
        NoAnswer: There are none.
    """
    words = text.strip().rpartition("\n")[2].split()
    for at in range(1, len(words) - 3):
        if all(word.isdecimal() and len(word) < 20 for word in words[at : at + 3]):
            return int(words[at]), int(words[at + 1]), int(words[at + 2])
    raise NoAnswer(UNKNOWN, "df printed no numbers")


def _percent(part: int, whole: int) -> t.Optional[float]:
    """As df reckons it: what is kept back for root is neither used nor available."""
    return round(100 * part / whole, 2) if whole > 0 else None
