# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A silence as Alertmanager has it (version 2 of its API)."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime

from ..state import utc_text
from .moments import moment_of

MARK = re.compile(r"\[run ([A-Za-z0-9._:-]{1,100})\]\Z")
UNMARKED = "[no run]"
Matcher = t.Tuple[str, str, bool, bool]


@dataclass(frozen=True)
class Silence:
    """A silence in Alertmanager.

    Attributes:
        matchers: Name, value, whether that is a pattern, whether it must fit; sorted.
        state: `active`, `pending` or `expired`.
    """

    id: str
    matchers: t.Tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    state: str
    created_by: str
    comment: str

    @property
    def run_id(self) -> str:
        """Id of the run that made it; empty for none."""
        found = MARK.search(self.comment)
        return found.group(1) if found else ""

    @property
    def is_marked(self) -> bool:
        """Whether the comment ends as those of this module do."""
        return bool(self.run_id) or self.comment.endswith(UNMARKED)

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For a module's result."""
        return {
            "id": self.id,
            "matchers": [
                {"name": name, "value": value, "is_regex": regex, "is_equal": equal} for name, value, regex, equal in self.matchers
            ],
            "starts_at": utc_text(self.starts_at),
            "ends_at": utc_text(self.ends_at),
            "state": self.state,
            "created_by": self.created_by,
            "comment": self.comment,
            "run_id": self.run_id,
        }


def silence_of(raw: t.Any) -> t.Optional[Silence]:
    """A silence out of the answer; None for what is none."""
    if not isinstance(raw, dict):
        return None
    begun, ended = moment_of(raw.get("startsAt")), moment_of(raw.get("endsAt"))
    status, given = raw.get("status"), raw.get("matchers")
    if begun is None or ended is None or not isinstance(given, list) or not isinstance(status, dict):
        return None
    matchers = [
        (str(one.get("name")), str(one.get("value")), bool(one.get("isRegex")), one.get("isEqual") is not False)
        for one in given
        if isinstance(one, dict)
    ]
    return Silence(
        id=str(raw.get("id") or ""),
        matchers=tuple(sorted(matchers)),
        starts_at=begun,
        ends_at=ended,
        state=str(status.get("state") or ""),
        created_by=str(raw.get("createdBy") or ""),
        comment=str(raw.get("comment") or ""),
    )
