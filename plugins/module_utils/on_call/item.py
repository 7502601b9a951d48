# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What was tried, and how it went."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

GOOD, ROTTEN, UNTESTED = "good", "rotten", "untested"
_ORDER = {ROTTEN: 0, UNTESTED: 1, GOOD: 2}


@dataclass(frozen=True)
class Item:
    """One thing that people on call rely on.

    Attributes:
        kind: `credential`, `endpoint`, `metric`, `log`, `context`, `contact`, `channel`, `tool`, `procedure`, `proof` or `profile`.
        name: Which one.
        verdict: `good`, `rotten` or `untested`.
        reason: Why it is not good, or what it was proved by.
        next_step: What to do about it.
    """

    kind: str
    name: str
    verdict: str
    reason: str = ""
    next_step: str = ""

    def as_dict(self) -> t.Dict[str, str]:
        """Texts only."""
        return asdict(self)

    @property
    def line(self) -> str:
        """One line for the reader."""
        text = f"{self.verdict.upper():<9} {self.kind:<10} {self.name}"
        text += f": {self.reason.rstrip('.')}" if self.reason else ""
        return text + (f". Next: {self.next_step.rstrip('.')}." if self.next_step and self.verdict != GOOD else "")


def ordered(items: t.Iterable[Item]) -> t.List[Item]:
    """The rotten ones first; within a verdict in the order in which they were tried."""
    return sorted(items, key=lambda item: _ORDER[item.verdict])
