# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Procedures: they can be read by ansible-playbook, and those that must work have worked lately."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta

from ..command import Command, run
from ..errors import RunbookError
from ..profile.finding import clip, items, mapping, number, spoken_s
from ..run_record import Runs
from ..schedule.timetable import DAY_S, longest_gap_s
from ..state import spoken, utc_time
from .item import GOOD, ROTTEN, UNTESTED, Item

_GRACE = 2.0
"""A scheduled procedure may fail to succeed once; after the second time nobody noticed."""
_SYNTAX_S = 120.0
_MOST_RECORDS = 5000


def syntax(playbooks: t.Mapping[str, str], program: str, inventory: str) -> t.List[Item]:
    """Every playbook of the catalogue, read by ansible-playbook with this inventory; nothing is run."""
    if not playbooks:
        return []
    whole = _read(list(playbooks.values()), program, inventory)
    if not whole:
        return [Item("procedure", name, GOOD, "can be read") for name in playbooks]
    found = []
    for name, path in playbooks.items():
        said = _read([path], program, inventory)
        found.append(Item("procedure", name, ROTTEN if said else GOOD, said or "can be read", "install what it lacks"))
    return found


def _read(paths: t.Sequence[str], program: str, inventory: str) -> str:
    """What ansible-playbook says against the playbooks; empty when it can read them."""
    where = [f"--inventory={inventory}"] if inventory else []
    plain = {
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACKS_ENABLED": "",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }
    try:
        done = run(Command([program, "--syntax-check", *where, *paths], environment=plain, timeout_s=_SYNTAX_S), check=False)
    except RunbookError as error:
        return clip(error.message, 300)
    if done.status == 0:
        return ""
    said = re.search(r"(?:ERROR!?|\[ERROR\]):?\s*(.+)", done.stderr + done.stdout, re.DOTALL)
    return clip(said.group(1) if said else done.stderr or done.stdout or f"exit status {done.status}", 300)


def required(variables: t.Mapping[str, t.Any], procedures: t.Mapping[str, t.Any]) -> t.List[Item]:
    """Scheduled procedures have the variables that they need."""
    found = []
    for name in sorted({str(entry.get("procedure")) for _position, entry in items(variables.get("schedule_entries"))}):
        if name not in procedures:
            found.append(Item("procedure", name, ROTTEN, "the schedule runs it, and there is no such procedure", "correct schedule.yml"))
            continue
        wanted = mapping(procedures.get(name)).get("required_variables") or []
        missing = [str(one) for one in wanted if variables.get(str(one)) in (None, "", [], {})]
        if missing:
            found.append(Item("procedure", name, ROTTEN, f"it is scheduled and lacks {', '.join(missing)}", "add them to the profile"))
    return found


def proofs(
    variables: t.Mapping[str, t.Any],
    procedures: t.Mapping[str, t.Any],
    runs: Runs,
    profile: str,
    limits_days: t.Mapping[str, t.Any],
    now: datetime,
) -> t.List[Item]:
    """When each procedure last succeeded for this profile; too long ago, or never, for those of which it is expected.

    It is expected of what `limits_days` names, and of what the schedule runs: within twice the time between two runs.
    """
    newest = last_successes(runs, profile)
    limits: t.Dict[str, float] = {}
    for _position, entry in items(variables.get("schedule_entries")):
        gap, name = longest_gap_s(entry.get("at")), str(entry.get("procedure"))
        # What asks this question cannot wait for its own success.
        if gap is not None and name != "on_call_check":
            limits[name] = min(limits.get(name, gap * _GRACE), gap * _GRACE)
    for name, days in limits_days.items():
        limit = number(days)
        if limit is not None:
            limits[str(name)] = limit * DAY_S
    found = []
    for name, entry in procedures.items():
        if not mapping(entry).get("leaves_record", True) and name not in limits_days:
            continue
        when = newest.get(name)
        if when is None:
            late = name in limits
            why = f"it has never succeeded, and must have within {spoken_s(limits[name])}" if late else "it has never succeeded here"
            found.append(Item("proof", name, ROTTEN if late else UNTESTED, why, "run it"))
            continue
        age_s = (now - when).total_seconds()
        told = f"last proven {spoken(when)}"
        if name in limits and now - when > timedelta(seconds=limits[name]):
            why = f"{told}, {spoken_s(age_s)} ago, and must not be older than {spoken_s(limits[name])}"
            found.append(Item("proof", name, ROTTEN, why, "run it, and see why it no longer succeeds by itself"))
        else:
            found.append(Item("proof", name, GOOD, told))
    return found


def last_successes(runs: Runs, profile: str) -> t.Dict[str, datetime]:
    """When each procedure last succeeded for the profile, from the run records; a record that cannot be read proves nothing."""
    newest: t.Dict[str, datetime] = {}
    for run_id in runs.ids()[:_MOST_RECORDS]:
        try:
            record = runs.read(run_id)
            if record.get("status") != "succeeded" or record.get("check_mode") or (profile and record.get("profile") != profile):
                continue
            when = utc_time(str(record.get("finished_at") or record["started_at"]))
        except (RunbookError, KeyError, TypeError, ValueError):
            continue
        name = str(record.get("procedure"))
        newest[name] = max(when, newest.get(name, when))
    return newest
