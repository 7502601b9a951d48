# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Ask the same questions again and again over a stretch of time; each keeps its own time, so that a slow one delays no other."""

from __future__ import annotations

import asyncio
import typing as t

from .engine import Run, in_own_loop
from .model import Check, Result
from .redaction import Redactor


class Window(t.NamedTuple):
    """How long a question is put again and again, and how often, in seconds."""

    window_s: float
    every_s: float


class Reading(t.NamedTuple):
    """One of the answers.

    Attributes:
        at_s: When it was there, in seconds since the run began.
    """

    at_s: float
    result: Result


Said = t.Callable[[float, float], None]


def watch(
    checks: t.Sequence[Check],
    windows: t.Mapping[str, Window],
    *,
    concurrency: int = 100,
    redactor: t.Optional[Redactor] = None,
    say: t.Optional[Said] = None,
) -> t.Dict[str, t.List[Reading]]:
    """Ask all checks once, and those that have a window again until it is over. Returns the answers by the name of the check.

    A window begins with the check's first answer and ends with a last one. An answer that takes longer than the interval lets
    the moments that it misses pass.

    Args:
        windows: By the name of the check.
        concurrency: Checks under way at the same time.
        redactor: Masks secrets in what came from outside.
        say: Is told how many seconds of the longest window have passed, and how long that is.
    """
    return in_own_loop(_Watch(checks, windows, redactor or Redactor(), concurrency, say).readings())


class _Watch(Run):
    def __init__(
        self, checks: t.Sequence[Check], windows: t.Mapping[str, Window], redactor: Redactor, concurrency: int, say: t.Optional[Said]
    ) -> None:
        super().__init__(checks, redactor)
        self.windows, self.concurrency, self.say = windows, concurrency, say
        self.longest_s = max((window.window_s for window in windows.values()), default=0.0)
        self.found: t.Dict[str, t.List[Reading]] = {}
        self.following: "t.List[asyncio.Task[None]]" = []

    async def readings(self) -> t.Dict[str, t.List[Reading]]:
        self.room = asyncio.Semaphore(self.concurrency)
        self.begin = asyncio.get_running_loop().time()
        await self.results(self.concurrency)
        await asyncio.gather(*self.following)
        return self.found

    async def one(self, check: Check) -> Result:
        result = await super().one(check)
        self.note(check, result)
        if check.name in self.windows and check.name not in self.done:
            self.following.append(asyncio.get_running_loop().create_task(self.follow(check, self.windows[check.name])))
        return result

    async def follow(self, check: Check, window: Window) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        step, last = 1, max(1, -int(-window.window_s // window.every_s))
        while step <= last:
            # The last one is at the end of the window, be that a multiple of the interval or not.
            await asyncio.sleep(max(0.0, begin + min(step * window.every_s, window.window_s) - loop.time()))
            async with self.room:
                self.note(check, await super().one(check))
            passed = int((loop.time() - begin) // window.every_s)
            step = last + 1 if step == last else max(step + 1, min(passed + 1, last))

    def note(self, check: Check, result: Result) -> None:
        now_s = asyncio.get_running_loop().time() - self.begin
        self.found.setdefault(check.name, []).append(Reading(now_s, result))
        if self.say is not None and self.longest_s:
            self.say(min(now_s, self.longest_s), self.longest_s)
