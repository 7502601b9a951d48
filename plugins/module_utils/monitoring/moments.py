# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Times as Alertmanager writes them (RFC 3339, up to nanoseconds)."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta, timezone

_FORM = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))\Z")


def moment_of(text: t.Any) -> t.Optional[datetime]:
    """The moment, in UTC; None for what is none."""
    found = _FORM.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    day, clock, fraction, sign, hours, minutes = found.groups()
    try:
        local = datetime.strptime(f"{day}T{clock}", "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
        local += timedelta(microseconds=int(((fraction or "") + "000000")[:6]))
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        return None
