# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Several steps that must come to their end within one time, and the pauses between questions meanwhile."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

_FIRST_PAUSE_S, _GROWTH = 0.02, 1.5


@dataclass(frozen=True)
class Deadline:
    """A moment in time.

    Attributes:
        seconds: How long after `began` it is.
        began: When it was set, by the monotonic clock.
    """

    seconds: float
    began: float = field(default_factory=time.monotonic)

    @property
    def passed_s(self) -> float:
        """Seconds since it was set."""
        return time.monotonic() - self.began

    @property
    def left_s(self) -> float:
        """Seconds that are left; 0 when it is over."""
        return max(0.0, self.seconds - self.passed_s)


def pauses(longest_s: float = 0.3) -> t.Iterator[None]:
    """Sleep before each next question: shortly at first, since most answers come soon, and longer the longer it takes (from 0.02 s on)."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield
        time.sleep(pause_s)
        pause_s = min(pause_s * _GROWTH, longest_s)
