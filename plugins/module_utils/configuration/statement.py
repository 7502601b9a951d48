# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One variable in an environment file, and where it stands there."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..errors import BadInput


@dataclass(frozen=True)
class Statement:
    """A variable as a file has it.

    Attributes:
        name: Its name.
        value: Its value; None where that depends on other variables, or where the file only passes one on (`NAME` alone).
        start: Offset in the text where the statement begins.
        value_start: Offset where its value begins, quotes included; of `NAME` alone where the name ends.
        value_end: Offset behind its value, quotes included.
        is_bare: Whether it is a name alone.
    """

    name: str
    value: t.Optional[str]
    start: int
    value_start: int
    value_end: int
    is_bare: bool = False


def not_understood(text: str, offset: int, why: str) -> BadInput:
    """The error for a file that its reader would refuse. The line is not repeated: it may be a secret."""
    line = text.count("\n", 0, offset) + 1
    return BadInput(f"Line {line} of the file is not understood", why=why, next_step="correct that line; nothing was changed")
