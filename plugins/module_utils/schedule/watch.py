# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Did every run of the schedule take place? The operation of the module schedule_info: entries beside what is on record of their runs."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..controller import Controller
from ..errors import BadInput, RunbookError
from ..run_record import Runs
from ..state import spoken, state_folder, utc_now, utc_text, utc_time
from .entry import GRACE_S, TIMEOUT_S, Entry, entries_of, lease_of
from .job import Job, folder_of, jobs_path, read_jobs, read_status
from .moments import runs_between

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "entries": {"type": "list", "elements": "dict", "default": []},
    "profile": {"type": "str", "required": True},
    "grace_s": {"type": "float", "default": GRACE_S},
    "timeout_s": {"type": "float", "default": TIMEOUT_S},
    "except_procedures": {"type": "list", "elements": "str", "default": []},
    "without_record": {"type": "list", "elements": "str", "default": []},
    "state_folder": {"type": "path"},
}
"""Described in plugins/modules/schedule_info.py."""
ON_TIME, WAITING, RUNNING, MISSED, FAILED, UNKNOWN, OFF = "on_time", "waiting", "running", "missed", "failed", "unknown", "off"
BAD = (MISSED, FAILED, UNKNOWN)
TOLD = "told.json"
"""What was told of each entry last, in the folder of the profile's jobs."""
_EARLY = timedelta(seconds=30)
_MOST_RECORDS = 5000
_ORDER = (MISSED, FAILED, UNKNOWN, RUNNING, ON_TIME, WAITING, OFF)


@dataclass(frozen=True)
class LastRun:
    """The newest run of an entry.

    Attributes:
        started_at: When it began.
        status: `running`, `succeeded`, `failed`, `ended`, `abandoned`.
        due: What it was for, where that is on record.
        run_id: Its id.
        log: Its log; empty where there is none.
        why: Why it did not succeed.
    """

    started_at: datetime
    status: str
    due: t.Optional[datetime] = None
    run_id: str = ""
    log: str = ""
    why: str = ""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Hold the entries in `parameters` (valid for OPTIONS) against what ran; it only reads, so check mode does the same.

    Raises:
        BadInput: An entry makes no sense.
    """
    profile, now = str(parameters["profile"]), utc_now()
    entries = entries_of(parameters["entries"], grace_s=parameters["grace_s"], timeout_s=parameters["timeout_s"])
    state = state_folder(parameters["state_folder"])
    folder = folder_of(state, profile)
    jobs = _jobs(folder)
    records = _records(Runs(state), profile, entries)
    rows = [
        judged(
            entry,
            jobs.get(entry.name),
            _last(read_status(folder, entry.name), records.get(entry.name)),
            now,
            without_record=entry.procedure in parameters["without_record"],
        )
        for entry in entries
        if entry.procedure not in parameters["except_procedures"]
    ]
    rows.sort(key=lambda row: _ORDER.index(row["verdict"]))
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in _ORDER}
    bad = [row for row in rows if row["verdict"] in BAD]
    told_before = _told(folder)
    news = [row for row in bad if told_before.get(row["name"]) != _memory(row)]
    known = {row["name"]: row for row in rows}
    over = [name for name in told_before if name in known and known[name]["verdict"] not in BAD]
    return {
        "changed": False,
        "msg": _said(rows, bad),
        "entries": rows,
        "counts": counts,
        "table": [_line(row) for row in rows],
        "bad": [row["name"] for row in bad],
        "news": [_line(row) for row in news] + [f"OVER     {name} runs again" for name in over],
        "all_over": not bad,
        "told_file": os.path.join(folder, TOLD),
        "told_content": json.dumps({row["name"]: _memory(row) for row in bad}, sort_keys=True),
    }


def judged(
    entry: Entry, job: t.Optional[Job], last: t.Optional[LastRun], now: datetime, *, without_record: bool = False
) -> t.Dict[str, t.Any]:
    """An entry with its verdict; a pure function.

    Args:
        entry: What the profile says.
        job: What was set up for it; None for nothing.
        last: Its newest run; None for none.
        now: The time.
        without_record: Whether its procedure leaves no run record.
    """
    row: t.Dict[str, t.Any] = {
        "name": entry.name,
        "procedure": entry.procedure,
        "at": entry.spoken,
        "verdict": ON_TIME,
        "why": "",
        "next_step": "",
        "missed": 0,
        "missed_since": "",
        "last_started_at": utc_text(last.started_at) if last else "",
        "last_status": last.status if last else "",
        "last_run_id": last.run_id if last else "",
        "log": last.log if last else "",
        "next_run": "".join(utc_text(moment) for moment in (entry.next_runs(now) if entry.enabled else [])),
    }
    if not entry.enabled:
        return {**row, "verdict": OFF, "why": "it is switched off in the profile"}
    if job is None:
        return {**row, "verdict": UNKNOWN, "why": "the schedule has not been set up for it", "next_step": "run schedule_setup"}
    if (job.at, job.time_zone, job.procedure) != (entry.table.text, entry.zone_name, entry.procedure):
        why = f"the profile says {entry.spoken}, and {job.at} {job.time_zone} was set up"
        return {**row, "verdict": UNKNOWN, "why": why, "next_step": "run schedule_setup"}
    until = now - timedelta(seconds=entry.grace_s)
    if last is None and job.scheduler in ("awx", "semaphore") and without_record:
        return {**row, "verdict": WAITING, "why": f"{job.scheduler} runs it, and it leaves no record here"}
    since = utc_time(job.since)
    begun = (last.due or last.started_at) if last else None
    if last is not None and last.status == "running":
        # What is due meanwhile has to wait: one run at a time.
        took_s = (now - last.started_at).total_seconds()
        if took_s > entry.timeout_s + entry.grace_s:
            step = "see what it waits for, or end it"
            return {**row, "verdict": FAILED, "why": f"it has been running for {took_s:.0f} s, longer than it may", "next_step": step}
        return {**row, "verdict": RUNNING}
    due = entry.previous_run(until)
    if due is not None and due >= since and (begun is None or begun < due - _EARLY):
        missed = runs_between(entry.table, entry.zone, max(since - timedelta(microseconds=1), begun or since), until)
        missed = [moment for moment in missed if begun is None or moment > begun + _EARLY]
        return {
            **row,
            "verdict": MISSED,
            "missed": len(missed),
            "missed_since": utc_text(missed[0]),
            "why": f"it was due {spoken(missed[-1])} and has not begun" + (f"; {len(missed)} runs are missing" if len(missed) > 1 else ""),
            "next_step": "see whether cron or systemd runs on the host of the schedule, run the procedure by hand, then schedule_setup",
        }
    if last is None:
        return {**row, "verdict": WAITING, "why": "it has not been due yet"}
    if last.status != "succeeded":
        step = f"read {last.log}" if last.log else "read the report of the run"
        return {**row, "verdict": FAILED, "why": last.why or f"its last run has {last.status}", "next_step": step}
    return row


def _jobs(folder: str) -> t.Dict[str, Job]:
    try:
        return read_jobs(jobs_path(folder))
    except BadInput:
        return {}


def _last(status: t.Mapping[str, t.Any], record: t.Optional[LastRun]) -> t.Optional[LastRun]:
    """The newer one of what the starter and what the run record say."""
    own = None
    try:
        if status.get("started_at"):
            said = str(status.get("status"))
            controller = Controller.from_dict(status.get("controller"))
            killed = said == "running" and controller is not None and controller.alive() is False
            why = "it was killed" if killed else str(status.get("why") or "")
            started, due = utc_time(str(status["started_at"])), utc_time(str(status["due"]))
            own = LastRun(started, "abandoned" if killed else said, due, str(status.get("run_id")), str(status.get("log") or ""), why)
    except (KeyError, ValueError):
        own = None
    if own is None or record is None or own.run_id == record.run_id:
        return own or record
    return max(own, record, key=lambda run: run.started_at)


def _records(runs: Runs, profile: str, entries: t.Sequence[Entry]) -> t.Dict[str, LastRun]:
    """The newest run record of each entry: one that names it, or, for the only entry of a procedure, one that names none."""
    procedures = [entry.procedure for entry in entries]
    by_lease = {lease_of(profile, entry.name): entry.name for entry in entries}
    alone = {entry.procedure: entry.name for entry in entries if procedures.count(entry.procedure) == 1}
    found: t.Dict[str, LastRun] = {}
    for run_id in runs.ids()[:_MOST_RECORDS]:
        try:
            record = runs.read(run_id)
            if record.get("check_mode") or record.get("profile") != profile:
                continue
            leases = [one for one in record.get("resources") or [] if str(one).startswith("schedule:")]
            names = [by_lease[one] for one in leases if one in by_lease] if leases else [alone.get(str(record.get("procedure")), "")]
            why = str((record.get("error") or {}).get("message") or "")
            run = LastRun(utc_time(str(record["started_at"])), str(record.get("status")), None, run_id, "", why)
        except (RunbookError, KeyError, TypeError, ValueError):
            continue
        for name in filter(None, names):
            if name not in found or run.started_at > found[name].started_at:
                found[name] = run
        if len(found) == len(entries):
            break
    return found


def _told(folder: str) -> t.Dict[str, t.Any]:
    try:
        with open(os.path.join(folder, TOLD), encoding="utf-8") as stream:
            content = json.load(stream)
        return content if isinstance(content, dict) else {}
    except (OSError, ValueError):
        return {}


def _memory(row: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """What makes a bad verdict the same as that of the check before: it is told once."""
    return {"verdict": str(row["verdict"]), "since": str(row["missed_since"] or row["last_started_at"])}


def _line(row: t.Mapping[str, t.Any]) -> str:
    text = f"{str(row['verdict']).upper():<8} {row['name']} ({row['at']})"
    text += f": {str(row['why']).rstrip('.')}" if row["why"] else ""
    return text + (f". Next: {row['next_step']}" if row["next_step"] else "")


def _said(rows: t.Sequence[t.Mapping[str, t.Any]], bad: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    if not rows:
        return "Nothing is run by itself."
    if not bad:
        return f"All {len(rows)} entries of the schedule are on time."
    return f"{len(bad)} of {len(rows)} entries of the schedule are not as they should be: " + "; ".join(_line(row) for row in bad)[:4000]
