# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Sizes of memory as people write them: `2g`, `512m`, `2Gi`, `2GiB`, each a power of 1024, as Docker means them; `none` is no limit."""

from __future__ import annotations

import re
import typing as t
from fractions import Fraction

_SIZE = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,6})?)\s*([kmgtpe]?)(?:i?b|i)?", re.IGNORECASE)


def is_none(given: t.Any) -> bool:
    """Whether the limit is to be taken away."""
    return isinstance(given, str) and given.strip() == "none"


def bytes_of(given: t.Any) -> t.Optional[int]:
    """The number of bytes; None for what is no size."""
    found = _SIZE.fullmatch(str(given).strip())
    if found is None:
        return None
    return int(Fraction(found.group(1)) * 1024 ** " kmgtpe".index(found.group(2).lower() or " "))
