# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What web front ends are given, as JSON for their interfaces: schedules of AWX (rules of RFC 5545) and of Semaphore (cron with CRON_TZ).

AWX takes rules with `INTERVAL`, no weekday with a number (`BYSETPOS` serves), and moves the start of rules by the minute or hour to a
week ago, keeping the time of day (awx/main/models/schedules.py): an interval must divide a day. Semaphore's cron (robfig/cron 3) takes a
day that fits either field of days: there the procedure itself sees whether it is the first Sunday (variable `procedure_schedule`).
"""

from __future__ import annotations

import json
import typing as t
from datetime import date, timedelta

from ..errors import BadInput
from .cron import ALL, days_of, grouped
from .entry import Entry
from .moments import UTC
from .timetable import DAYS, LAST

_DAY_MIN = 24 * 60
_FIRST_DAY = date(2026, 1, 1)
"""Where the rules begin; any day that is over will do, and a fixed one keeps them from changing."""
VARIABLE = "procedure_schedule"


def variables_of(entry: Entry) -> t.Dict[str, t.Any]:
    """The extra variables of an entry's runs, with what the role `procedure` needs to know of the entry."""
    return {**entry.variables, VARIABLE: {"name": entry.name, "at": entry.table.text, "time_zone": entry.zone_name}}


def awx_schedules(entries: t.Sequence[Entry], profile: str, template: str) -> t.List[t.Dict[str, t.Any]]:
    """The schedules for AWX, in the form of its interface and of the module awx.awx.schedule; one for each time of day.

    Args:
        entries: What runs.
        profile: Name of the profile; it begins the schedules' names.
        template: Name of the job templates, with `{profile}` and `{procedure}` in it.

    Raises:
        BadInput: AWX cannot run something at these times.
    """
    found = []
    for entry in entries:
        rules = rrules(entry)
        for at, rule in rules.items():
            found.append(
                {
                    "name": " ".join(filter(None, [profile, entry.name, at if len(rules) > 1 else ""])),
                    "description": f"{entry.procedure}, {entry.spoken}",
                    "unified_job_template": _named(template, profile, entry.procedure),
                    "rrule": rule,
                    "enabled": entry.enabled,
                    "extra_data": variables_of(entry),
                }
            )
    return found


def rrules(entry: Entry) -> t.Dict[str, str]:
    """A rule for each time of day at which an entry is due; an interval has one.

    Raises:
        BadInput: AWX cannot keep to it.
    """
    table = entry.table
    if table.every_s:
        minutes = _dividing(entry, "AWX")
        frequency = f"FREQ=HOURLY;INTERVAL={minutes // 60}" if minutes % 60 == 0 else f"FREQ=MINUTELY;INTERVAL={minutes}"
        return {"": f"DTSTART:{_FIRST_DAY:%Y%m%d}T000000Z RRULE:{frequency}"}
    weekdays = ",".join(DAYS[day][:2].upper() for day in table.weekdays)
    if table.week:
        rule = f"FREQ=MONTHLY;INTERVAL=1;BYDAY={weekdays};BYSETPOS={table.week}"
    elif table.month_days:
        rule = f"FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY={','.join(str(day) for day in table.month_days)}"
    elif table.weekdays:
        rule = f"FREQ=WEEKLY;INTERVAL=1;BYDAY={weekdays}"
    else:
        rule = f"FREQ=DAILY;INTERVAL={table.every_days}"
    first = _FIRST_DAY + timedelta(days=-_FIRST_DAY.toordinal() % table.every_days)
    found = {}
    for minute in table.minutes:
        start = f"{first:%Y%m%d}T{minute // 60:02d}{minute % 60:02d}00"
        begin = f"DTSTART:{start}Z" if entry.zone_name == UTC else f"DTSTART;TZID={entry.zone_name}:{start}"
        found[f"{minute // 60:02d}:{minute % 60:02d}"] = f"{begin} RRULE:{rule}"
    return found


def semaphore_content(entries: t.Sequence[Entry], profile: str, template: str) -> t.Dict[str, t.Any]:
    """Templates and schedules for Semaphore: a schedule has no variables there, so each entry has a template that gives them.

    Raises:
        BadInput: Semaphore cannot run something at these times.
    """
    templates, schedules = [], []
    for entry in entries:
        name = f"{_named(template, profile, entry.procedure)} ({entry.name})"
        variables = variables_of(entry)
        variables[VARIABLE]["look"] = _names_too_many_days(entry)
        arguments = ["--extra-vars", json.dumps(variables, sort_keys=True)]
        templates.append(
            {
                "name": name,
                "app": "ansible",
                "playbook": f"playbooks/{entry.procedure}.yml",
                "arguments": json.dumps(arguments),
                "allow_override_args_in_task": False,
                "description": f"{entry.procedure}, {entry.spoken}",
            }
        )
        formats = cron_formats(entry)
        for number, one in enumerate(formats, start=1):
            label = f"{profile} {entry.name}" + (f" {number}" if len(formats) > 1 else "")
            schedules.append({"name": label, "cron_format": one, "active": entry.enabled, "template": name})
    return {"templates": templates, "schedules": schedules}


def cron_formats(entry: Entry) -> t.List[str]:
    """The values of `cron_format` for an entry, as robfig/cron reads them; for some days the procedure itself must see whether it is one.

    Raises:
        BadInput: Semaphore cannot keep to it.
    """
    if entry.table.every_s:
        minutes = _dividing(entry, "Semaphore")
        return (
            [f"CRON_TZ={UTC} {times} * * *" for times in grouped(range(0, _DAY_MIN, minutes))]
            if minutes >= 60 or 60 % minutes
            else [f"CRON_TZ={UTC} */{minutes} * * * *"]
        )
    day_of_month, day_of_week = days_of(entry.table)
    return [f"CRON_TZ={entry.zone_name} {times} {day_of_month} {ALL} {day_of_week}" for times in grouped(entry.table.minutes)]


def clocks_skip(entry: Entry, times: t.Sequence[int]) -> bool:
    """Whether clocks skip a moment of the entry; cron and systemd get it later, AWX and Semaphore leave it out."""
    return not entry.table.every_s and bool(set(times) - set(entry.table.minutes))


def _names_too_many_days(entry: Entry) -> bool:
    """Whether five fields name more days than the timetable."""
    return bool(entry.table.week or LAST in entry.table.month_days or entry.table.every_days > 1)


def _dividing(entry: Entry, what: str) -> int:
    minutes = entry.table.every_s // 60
    if _DAY_MIN % minutes:
        unit = 60 if minutes >= 60 else 1
        near = max(one for one in range(unit, max(minutes, unit) + 1, unit) if _DAY_MIN % one == 0)
        why = f"{what} counts anew each day, and {minutes} minutes do not divide it"
        step = f"write every {near // 60} h" if unit == 60 else f"write every {near} min"
        raise BadInput(f"{what} cannot run {entry.name!r} {entry.table.text}", why=why, next_step=step)
    return minutes


def _named(template: str, profile: str, procedure: str) -> str:
    return template.replace("{profile}", profile).replace("{procedure}", procedure)
