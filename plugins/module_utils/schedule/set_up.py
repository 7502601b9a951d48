# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module schedule_config: what a profile's schedule needs is in its place, and what it no longer needs is gone."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from dataclasses import replace
from datetime import datetime

from ..errors import BadInput, RunbookError
from ..files import locked
from ..state import make_folder, slug, state_folder, utc_now, utc_text
from . import host, placing, switch
from .cron import cron_file, times_of
from .entry import GRACE_S, TIMEOUT_S, Entry, entries_of
from .environment import check_environment_file
from .front_ends import awx_schedules, clocks_skip, semaphore_content
from .job import JOBS, Job, folder_of, jobs_path, jobs_text, read_jobs
from .placing import MARK, File, Plan
from .systemd import service_unit, timer_unit

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "entries": {"type": "list", "elements": "dict", "default": []},
    "profile": {"type": "str", "required": True},
    "scheduler": {"type": "str", "choices": ["auto", "cron", "systemd", "awx", "semaphore"], "default": "auto"},
    "inventory": {"type": "path"},
    "playbook_folder": {"type": "path"},
    "ansible_playbook": {"type": "path"},
    "python": {"type": "path"},
    "collections_path": {"type": "str", "default": ""},
    "working_folder": {"type": "path"},
    "account": {"type": "str", "default": ""},
    "environment_file": {"type": "path"},
    "cron_folder": {"type": "path", "default": "/etc/cron.d"},
    "unit_folder": {"type": "path", "default": "/etc/systemd/system"},
    "output_file": {"type": "path"},
    "template": {"type": "str", "default": "{profile} {procedure}"},
    "procedures": {"type": "dict", "default": {}},
    "grace_s": {"type": "float", "default": GRACE_S},
    "timeout_s": {"type": "float", "default": TIMEOUT_S},
    "state_folder": {"type": "path"},
}
"""Described in plugins/modules/schedule_config.py."""
_PROGRAM = "ansible_collections.sre.runbooks.plugins.module_utils.schedule.start"


class _Wanted(t.NamedTuple):
    files: t.List[File]
    timers: t.List[str]
    notes: t.List[str]
    content: t.Any


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Put the schedule in `parameters`, valid for OPTIONS, in place; in check mode only tell what that would change.

    Raises:
        BadInput: An entry makes no sense, or a file that is not ours is in the way; nothing was changed.
        RunbookError: systemd does not take the units (nothing was changed), or does not start the timers.
    """
    profile, now = str(parameters["profile"]), utc_now()
    entries = entries_of(
        parameters["entries"], grace_s=parameters["grace_s"], timeout_s=parameters["timeout_s"], procedures=parameters["procedures"]
    )
    state = state_folder(parameters["state_folder"])
    scheduler = host.chosen(parameters["scheduler"]) if entries else parameters["scheduler"]
    wanted = _wanted(parameters, profile, entries, state, scheduler, now)
    if check_mode:
        plan = _plan(parameters, profile, state, wanted)
        return _result(plan, host.asleep(wanted.timers), entries, scheduler, wanted, now)
    locks = make_folder(os.path.join(make_folder(state), "locks"))
    with locked(os.path.join(locks, f"schedule-{slug(profile)}.lock"), wait_s=30) as free:
        if not free:
            raise RunbookError("Another run sets up this schedule", where=state, next_step="wait until it has ended")
        plan, asleep = _plan(parameters, profile, state, wanted), host.asleep(wanted.timers)
        switch.carry_out(plan, wanted.files, wanted.timers, asleep, folder_of(state, profile))
    return _result(plan, asleep, entries, scheduler, wanted, now)


def _wanted(
    parameters: t.Mapping[str, t.Any], profile: str, entries: t.Sequence[Entry], state: str, scheduler: str, now: datetime
) -> _Wanted:
    head, folder = MARK.format(profile), folder_of(state, profile)
    owner = host.account_id(parameters["account"])
    enabled = [entry for entry in entries if entry.enabled]
    on_host = scheduler in (host.CRON, host.SYSTEMD)
    environment_file = os.path.abspath(parameters["environment_file"]) if parameters.get("environment_file") else ""
    if on_host and enabled and owner is not None and (not os.path.isdir(state) or os.stat(state).st_uid != owner):
        step = f"make it for {parameters['account']}, and name it in procedure_state_folder"
        raise BadInput("The account that shall run the schedule has no state folder of its own", where=state, next_step=step)
    if on_host and enabled and environment_file:
        check_environment_file(environment_file, owner)
    files, timers, notes, content = [], [], [], None
    if enabled:
        before = _jobs_before(folder)
        jobs = [_job(parameters, profile, entry, before.get(entry.name), state, environment_file, now, scheduler) for entry in enabled]
        files.append(File(jobs_path(folder), jobs_text(jobs), 0o600, owner))
    starts = [(entry, _argv(parameters, jobs_path(folder), entry.name)) for entry in enabled]
    if scheduler == host.CRON and enabled:
        clock, clock_name = host.clock_of_host()
        account = parameters["account"] or host.account_name()
        named = host.knows_named_zones()
        text = cron_file(head, starts, account=account, named_zones=named, clock=clock, clock_name=clock_name, now=now)
        files.append(File(_cron_path(parameters, profile), text))
    elif scheduler == host.SYSTEMD:
        for entry, argv in starts:
            base, description = f"{_unit_prefix(profile)}{entry.name}", f"{entry.procedure} of {profile}"
            service = service_unit(head, argv, description, parameters["account"])
            files.append(File(os.path.join(parameters["unit_folder"], f"{base}.service"), service))
            files.append(File(os.path.join(parameters["unit_folder"], f"{base}.timer"), timer_unit(head, entry, description, now)))
            timers.append(f"{base}.timer")
    elif enabled:
        make = awx_schedules if scheduler == host.AWX else semaphore_content
        content = make(entries, profile, parameters["template"])
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        files.append(File(_output(parameters, folder, scheduler), text, 0o600, owner))
        skipped = [entry.name for entry in enabled if clocks_skip(entry, times_of(entry, now))]
        if skipped:
            names = ", ".join(skipped)
            notes.append(f"{scheduler} passes over what the clocks skip in spring: give {names} a time before 01:00 or after 04:00")
    return _Wanted(files, timers, notes, content)


def _jobs_before(folder: str) -> t.Dict[str, Job]:
    try:
        return read_jobs(jobs_path(folder))
    except BadInput:
        return {}


def _job(
    parameters: t.Mapping[str, t.Any],
    profile: str,
    entry: Entry,
    before: t.Optional[Job],
    state: str,
    environment_file: str,
    now: datetime,
    scheduler: str,
) -> Job:
    playbook = os.path.join(parameters.get("playbook_folder") or "", f"{entry.procedure}.yml")
    argv = [parameters.get("ansible_playbook") or "ansible-playbook"]
    argv += ["--inventory", os.path.abspath(parameters["inventory"])] if parameters.get("inventory") else []
    environment = {"PATH": _path(parameters)}
    if parameters.get("collections_path"):
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(parameters["collections_path"])
    job = Job(
        profile=profile,
        name=entry.name,
        procedure=entry.procedure,
        at=entry.table.text,
        time_zone=entry.zone_name,
        since=utc_text(now),
        argv=[*argv, playbook if parameters.get("playbook_folder") else f"sre.runbooks.{entry.procedure}"],
        variables=entry.variables,
        environment=environment,
        environment_file=environment_file,
        folder=str(parameters.get("working_folder") or ""),
        state_folder=state,
        timeout_s=entry.timeout_s,
        scheduler=scheduler,
    )
    # What keeps its time keeps its beginning: otherwise a run that is missed now would be forgotten.
    same = before is not None and (before.at, before.time_zone, before.procedure) == (job.at, job.time_zone, job.procedure)
    return replace(job, since=before.since) if before is not None and same else job


def _path(parameters: t.Mapping[str, t.Any]) -> str:
    """cron and systemd give little of a search path; the programs beside ansible-playbook come first."""
    folder = os.path.dirname(parameters.get("ansible_playbook") or "")
    return os.pathsep.join(filter(None, [folder, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]))


def _argv(parameters: t.Mapping[str, t.Any], jobs: str, name: str) -> t.List[str]:
    python, path = parameters.get("python") or sys.executable, str(parameters.get("collections_path") or "")
    return [*(["/usr/bin/env", f"PYTHONPATH={path}"] if path else []), str(python), "-m", _PROGRAM, jobs, name]


def _plan(parameters: t.Mapping[str, t.Any], profile: str, state: str, wanted: _Wanted) -> Plan:
    head, folder, cron = f"{MARK.format(profile)}\n", folder_of(state, profile), _cron_path(parameters, profile)
    prefix, ours = _unit_prefix(profile), {_output(parameters, folder, one) for one in (host.AWX, host.SEMAPHORE)} | {jobs_path(folder)}
    there = [
        *placing.like(cron, lambda name: name == os.path.basename(cron) or name.startswith(switch.beside(os.path.basename(cron)))),
        *placing.like(
            os.path.join(parameters["unit_folder"], prefix), lambda name: name.startswith(prefix) and name.endswith(switch.UNITS)
        ),
    ]
    for path in sorted(ours):
        there += placing.like(path, os.path.basename(path).__eq__)

    def owned(path: str, text: str) -> bool:
        # Of what was being written when a run was killed there may be the beginning only, or nothing.
        return (
            path in ours
            or text.startswith(head)
            or (placing.is_partial(path) and (os.path.dirname(path) == folder or head.startswith(text)))
        )

    plan = placing.plan(wanted.files, there, owned)
    for path in [one.path for one, _before in plan.write] + [path for path, _text in plan.remove]:
        if not placing.can_write(os.path.dirname(path)):
            step = "run it as root (become), or name a folder of your own (schedule_cron_folder, schedule_unit_folder)"
            raise BadInput("The schedule cannot be written there", where=path, next_step=step)
    return plan


def _result(
    plan: Plan, asleep: t.Sequence[str], entries: t.Sequence[Entry], scheduler: str, wanted: _Wanted, now: datetime
) -> t.Dict[str, t.Any]:
    notes = list(wanted.notes)
    if scheduler == host.SYSTEMD and wanted.timers and not host.systemd_runs():
        notes.append("systemd does not run here: the units are written, and nobody starts them")
    shown: t.List[t.Dict[str, t.Any]] = [
        {
            "name": entry.name,
            "procedure": entry.procedure,
            "at": entry.spoken,
            "enabled": entry.enabled,
            "next_runs": [utc_text(moment) for moment in (entry.next_runs(now, 3) if entry.enabled else [])],
        }
        for entry in entries
    ]
    count = sum(entry.enabled for entry in entries)
    return {
        "changed": plan.changed or bool(asleep),
        "msg": f"{count} procedures are run by {scheduler}." if count else "Nothing is run by itself.",
        "scheduler": scheduler,
        "entries": shown,
        "table": [f"{one['name']}: {one['at']}, next {(one['next_runs'] or ['never, it is off'])[0]}" for one in shown],
        "files": [one.path for one in wanted.files],
        "written": [one.path for one, _before in plan.write],
        "removed": [path for path, _text in plan.remove],
        "started": list(asleep),
        "content": wanted.content,
        "obsolete": _obsolete(plan, wanted.content if scheduler == host.AWX else []),
        "notes": notes,
        "diff": plan.diff(),
    }


def _obsolete(plan: Plan, content: t.Any) -> t.List[t.Dict[str, str]]:
    """Schedules of AWX that were made before and are no longer wanted, by the file that was written then."""
    before = [text for one, text in plan.write if one.path.endswith(".json") and os.path.basename(one.path) != JOBS and text]
    before += [text for path, text in plan.remove if path.endswith(".json") and os.path.basename(path) != JOBS]
    names = {(one["name"], one["unified_job_template"]) for one in content or []}
    found = set()
    for text in before:
        try:
            found |= {(str(one["name"]), str(one["unified_job_template"])) for one in json.loads(text)}
        except (ValueError, KeyError, TypeError):
            continue
    return [{"name": name, "unified_job_template": template} for name, template in sorted(found - names)]


def _cron_path(parameters: t.Mapping[str, t.Any], profile: str) -> str:
    # cron passes over names with a dot in /etc/cron.d (cron(8)).
    return os.path.join(parameters["cron_folder"], f"sre-runbooks-{slug(profile).replace('.', '-') or 'profile'}")


def _unit_prefix(profile: str) -> str:
    return f"sre-runbooks-{slug(profile) or 'profile'}--"


def _output(parameters: t.Mapping[str, t.Any], folder: str, scheduler: str) -> str:
    return os.path.abspath(parameters["output_file"]) if parameters.get("output_file") else os.path.join(folder, f"{scheduler}.json")
