# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the results of all restores have in common."""

from __future__ import annotations

import time
import typing as t


class Clock:
    """Measures the steps of one piece of work.

    Attributes:
        laps: Seconds by name of the step.
    """

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self.laps: t.Dict[str, float] = {}

    def lap(self, name: str) -> None:
        """The step `name` is done."""
        now = time.monotonic()
        self.laps[name] = round(self.laps.get(name, 0.0) + now - self._last, 3)
        self._last = now

    def total(self) -> float:
        """Seconds since the beginning."""
        return round(time.monotonic() - self._start, 3)


def told(steps: t.Sequence[str]) -> t.Dict[str, t.Any]:
    """The steps as a module returns them: a list, and a diff for `--diff`."""
    return {"plan": list(steps), "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)}}
