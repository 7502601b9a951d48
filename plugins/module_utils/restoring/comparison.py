# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What comes of comparing restored data with what was backed up, of whatever kind."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass
class Comparison:
    """What came of comparing.

    Attributes:
        differences: One sentence for each; empty when all that was compared is equal.
        unknown: What could not be compared, and why.
        compared: How much was: `tables`, `rows`, `sequences`, ...
    """

    differences: t.List[str] = field(default_factory=list)
    unknown: t.List[str] = field(default_factory=list)
    compared: t.Dict[str, int] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For results and records."""
        return {"same": self.same, "differences": self.differences, "unknown": self.unknown, "compared": self.compared}
