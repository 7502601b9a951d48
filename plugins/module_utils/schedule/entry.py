# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The entries of a profile's schedule: what runs, when, with which variables, under which name."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from ..checks.redaction import is_secret_name
from ..errors import BadInput
from ..state import slug
from .moments import UTC, next_runs, previous_run, zone_of
from .timetable import Timetable, parse

GRACE_S = 900.0
"""How long after its moment a run may begin before it counts as missed."""
TIMEOUT_S = 4 * 3600.0
"""How long a run may take: as long as the lease of a procedure lasts."""
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Entry:
    """Something that runs by itself.

    Attributes:
        name: Its name in the profile, as part of file names: lower-case letters, digits, dots, underscores and hyphens.
        procedure: Name of the procedure.
        table: When.
        zone_name: In which time zone.
        zone: The same.
        variables: Extra variables of the run; none is secret.
        enabled: Whether it runs at all.
        grace_s: Seconds after its moment at which a run that has not begun counts as missed.
        timeout_s: Seconds after which a run is ended.
    """

    name: str
    procedure: str
    table: Timetable
    zone_name: str
    zone: tzinfo = field(compare=False)
    variables: t.Mapping[str, t.Any]
    enabled: bool = True
    grace_s: float = GRACE_S
    timeout_s: float = TIMEOUT_S

    @property
    def spoken(self) -> str:
        """When, for the reader: `daily 02:00 Europe/Warsaw`."""
        return self.table.text if self.table.every_s else f"{self.table.text} {self.zone_name}"

    def next_runs(self, after: datetime, count: int = 1) -> t.List[datetime]:
        """See moments.next_runs."""
        return next_runs(self.table, self.zone, after, count)

    def previous_run(self, until: datetime) -> t.Optional[datetime]:
        """See moments.previous_run."""
        return previous_run(self.table, self.zone, until)


def lease_of(profile: str, name: str) -> str:
    """The resource on which the runs of an entry take a lease, so that there is one at a time; run records name the entry by it."""
    return f"schedule:{profile}:{name}"


def entries_of(
    values: t.Any, *, grace_s: float = GRACE_S, timeout_s: float = TIMEOUT_S, procedures: t.Optional[t.Mapping[str, t.Any]] = None
) -> t.List[Entry]:
    """The entries that `schedule_entries` of a profile lists, in its order.

    An entry without a name bears that of its procedure, followed, where the procedure is there several times, by the texts among its
    variables or its time.

    Args:
        values: The list.
        grace_s: For entries that have none of their own.
        timeout_s: The same.
        procedures: The catalogue; empty or None for no check.

    Raises:
        BadInput: An entry makes no sense.
    """
    if not isinstance(values, (list, tuple)):
        raise BadInput("schedule_entries is no list", next_step="write a list of {procedure, at, time_zone, variables}")
    found: t.List[Entry] = []
    names = _names([value if isinstance(value, t.Mapping) else {} for value in values])
    for position, (value, name) in enumerate(zip(values, names)):
        where = f"schedule_entries[{position}]"
        if not isinstance(value, t.Mapping) or not str(value.get("procedure") or ""):
            raise BadInput("An entry of the schedule names no procedure", where=where, next_step="write {procedure: ..., at: ...}")
        if any(one.name == name for one in found):
            raise BadInput(f"Two entries of the schedule are called {name!r}", where=where, next_step="give one of them another `name`")
        found.append(_entry(value, name, where, grace_s, timeout_s, procedures))
    return found


def _entry(
    value: t.Mapping[str, t.Any],
    name: str,
    where: str,
    grace_s: float,
    timeout_s: float,
    procedures: t.Optional[t.Mapping[str, t.Any]],
) -> Entry:
    procedure, variables = str(value["procedure"]), value.get("variables") or {}
    zone_name = str(value.get("time_zone") or UTC)
    try:
        table, zone = parse(value.get("at")), zone_of(zone_name)
    except BadInput as error:
        raise BadInput(error.what, where=where, next_step=error.next_step) from None
    if table.every_s % 60:
        raise BadInput(f"{name!r} runs {table.text}", where=where, next_step="a scheduler's smallest step is a minute")
    if not isinstance(variables, t.Mapping):
        raise BadInput(f"The variables of {name!r} are no dictionary", where=where, next_step="write `variables: {name: value}`")
    secret = sorted(str(one) for one in variables if is_secret_name(str(one)))
    if secret:
        step = "let the profile look it up from the environment, and put it into schedule_environment_file"
        raise BadInput(f"{name!r} has the secret variable {secret[0]!r}", where=where, why="schedules can be read by many", next_step=step)
    known = dict(procedures or {})
    if known and procedure not in known:
        raise BadInput(f"{procedure!r} is no procedure", where=where, next_step="see `sre-runbooks list` for the names")
    if known and (known[procedure] or {}).get("changes") == "destroys":
        step = "take it out of the schedule"
        raise BadInput(f"{procedure} destroys, and nobody is there to confirm it", where=where, next_step=step)
    numbers = {"grace_s": grace_s, "timeout_s": timeout_s}
    for key in numbers:
        if value.get(key) is not None:
            numbers[key] = _positive(value[key], f"{where}.{key}")
    return Entry(name, procedure, table, zone_name, zone, dict(variables), bool(value.get("enabled", True)), **numbers)


def _positive(value: t.Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise BadInput("A time of the schedule is no positive number of seconds", where=where, next_step="correct it")
    return number


def _names(values: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    unnamed = [str(value.get("procedure")) for value in values if not value.get("name")]
    found = []
    for value in values:
        name = str(value.get("name") or value.get("procedure") or "")
        if not value.get("name") and unnamed.count(name) > 1:
            variables = value.get("variables")
            texts = [str(one) for one in variables.values() if isinstance(one, (str, int))] if isinstance(variables, t.Mapping) else []
            name = "-".join([name, *(texts or [str(value.get("at"))])])
        found.append(slug(name, _LONGEST_NAME) or "entry")
    return found
