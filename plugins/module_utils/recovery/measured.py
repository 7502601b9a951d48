# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Recovery times and backup sizes that earlier runs have measured, out of their records."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ..checks.conditions import number
from ..errors import RunbookError
from ..run_record import Runs
from ..state import spoken

RESTORES = ("restore", "restore_drill", "restore_point_in_time", "pitr_verify", "disaster_recovery", "data_corruption")
_OF_INTEREST = (*RESTORES, "backup")
_MADE_UP = re.compile(r"RUN-\d{8}T\d{6}Z-([a-z0-9_]+)-[0-9a-f]+")
"""The form of ids that nobody asked for: the procedure is in them, so that most records need not be read."""
_COMPONENT = re.compile(r"rto_([a-z0-9_]+)_s")


@dataclass(frozen=True)
class Measured:
    """A recovery that was measured.

    Attributes:
        at: When it began, in seconds since 1970-01-01 UTC.
        rto_s: How long it took until the data served again, in seconds.
        procedure: What was done.
        store: The store; empty when a whole component was measured.
        component: The component, as in the name of the measurement; empty when a store was measured.
        run_id: The run.
    """

    at: float
    rto_s: float
    procedure: str
    store: str
    component: str
    run_id: str

    @property
    def on(self) -> str:
        """The day, for readers."""
        return spoken(datetime.fromtimestamp(self.at, timezone.utc))[:10]


def records(state: str, since: float) -> t.List[t.Dict[str, t.Any]]:
    """Records of restores, rehearsals, recoveries and backups that succeeded since a moment, the newest first."""
    runs, found = Runs(state), []
    for run_id in runs.ids():
        made_up = _MADE_UP.fullmatch(run_id)
        if made_up and made_up.group(1) not in _OF_INTEREST:
            continue
        try:
            record = runs.read(run_id)
        except RunbookError:
            continue
        at = moment_of(record.get("started_at"))
        if at is not None and at >= since and record.get("procedure") in _OF_INTEREST and record.get("status") == "succeeded":
            found.append(record)
    return sorted(found, key=lambda record: str(record["started_at"]), reverse=True)


def measured(found: t.Sequence[t.Mapping[str, t.Any]], profile: str = "") -> t.List[Measured]:
    """The recovery times in such records, the newest first; a recovery of a whole service gives one for each component."""
    result = []
    for record in found:
        if record.get("procedure") not in RESTORES or (profile and record.get("profile") not in ("", None, profile)):
            continue
        at, numbers = moment_of(record.get("started_at")), record.get("measurements")
        for name, given in (numbers if isinstance(numbers, t.Mapping) else {}).items():
            value = number(given.get("value") if isinstance(given, t.Mapping) else given)
            component = _COMPONENT.fullmatch(str(name))
            if at is None or value is None or not (name == "rto_s" or component):
                continue
            whole = record["procedure"] in ("disaster_recovery", "data_corruption")
            if whole != bool(component):
                continue  # the time of the whole service is nobody's objective
            store = "" if component else _store_of(record)
            procedure, run_id = str(record["procedure"]), str(record.get("run_id"))
            result.append(Measured(at, value, procedure, store, component.group(1) if component else "", run_id))
    return result


def sizes(found: t.Sequence[t.Mapping[str, t.Any]], sets: t.Sequence[t.Mapping[str, t.Any]], store: str) -> t.List[t.Tuple[float, float]]:
    """Moment and size in bytes of every backup of a store that is known, also of sets that are gone; the oldest first."""
    points: t.Dict[float, float] = {}
    for record in found:
        if record.get("procedure") == "backup" and _store_of(record) == store:
            given = (record.get("measurements") or {}).get("size_bytes")
            at, value = moment_of(record.get("started_at")), number(given.get("value") if isinstance(given, t.Mapping) else given)
            if at is not None and value is not None:
                points[at] = value
    for one in sets:
        at, value = moment_of(one.get("started_at") or one.get("consistent_at")), number(one.get("size_bytes"))
        if one.get("store") == store and at is not None and value is not None:
            # A set and the run that took it are seconds apart.
            points = {other: size for other, size in points.items() if abs(other - at) > 60}
            points[at] = value
    return sorted(points.items())


def moment_of(text: t.Any) -> t.Optional[float]:
    """Seconds since 1970-01-01 UTC of an ISO 8601 text; None when it is none."""
    try:
        return datetime.strptime(str(text)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _store_of(record: t.Mapping[str, t.Any]) -> str:
    for resource in record.get("resources") or ():
        kind, _colon, name = str(resource).partition(":")
        if name and kind != "recovery":
            return name
    return str(record.get("target") or "")
