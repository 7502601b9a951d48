# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Names that restores give: `<collection>_restoring_<time>`, `<collection>_rehearsal_<time>`, and aliases of replaced collections."""

from __future__ import annotations

import re
import typing as t

from ..restoring.names import derived_name, names_derived_from, stamp

KEPT = ("before", "undone")
"""What an alias of a kept collection is called by: `<name>_before_<time>` was replaced by a restore, `<name>_undone_<time>` by an undo."""
_KEPT = re.compile(r".+_(before|undone)_(\d{8}T\d{6}Z)")
UPLOAD_PREFIX = "sre-runbooks-"
"""What the files that we send to a server are called by there."""

__all__ = [
    "KEPT",
    "UPLOAD_PREFIX",
    "derived_name",
    "is_kept_alias",
    "names_derived_from",
    "service_aliases",
    "stamp",
    "stamp_of",
]


def is_kept_alias(alias: str) -> bool:
    """Whether an alias is one by which a replaced collection is kept."""
    return _KEPT.fullmatch(alias) is not None


def stamp_of(name: str) -> str:
    """The time stamp that a derived name ends with."""
    return name[-16:]


def service_aliases(collection: str, aliases: t.Mapping[str, str]) -> t.List[str]:
    """The aliases by which services know a collection."""
    return sorted(alias for alias, real in aliases.items() if real == collection and not is_kept_alias(alias))
