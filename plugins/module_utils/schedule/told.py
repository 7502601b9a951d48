# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a run is told of the entry that it was started for: variable `procedure_schedule` (name, at, time_zone, due, look)."""

from __future__ import annotations

import typing as t
from datetime import datetime

from ..errors import BadInput
from .entry import lease_of
from .moments import is_due_on, zone_of
from .timetable import parse


def lease_for(told: t.Mapping[str, t.Any], profile: str) -> t.List[str]:
    """The resource on which a run takes a lease because of its entry; none for a run that nobody scheduled."""
    name = str(told.get("name") or "")
    return [lease_of(profile, name)] if name else []


def not_today(told: t.Mapping[str, t.Any], now: datetime) -> str:
    """Why a run that was started shall not go on: its scheduler names more days than the entry does. Empty when it shall.

    Raises:
        BadInput: What it is told makes no sense.
    """
    if str(told.get("look") or "").lower() != "true" or not told.get("at"):
        return ""
    table, zone_name = parse(told["at"]), str(told.get("time_zone") or "UTC")
    try:
        due = is_due_on(table, zone_of(zone_name), now)
    except BadInput as error:
        raise BadInput(error.what, where="procedure_schedule", next_step=error.next_step) from None
    return "" if due else f"{told.get('name')} runs {table.text} {zone_name}, which is not today; nothing was done."
