# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The frame of every procedure: begin (confirmation, lease, record) and finish or fail (record, reports, lease given back)."""

from __future__ import annotations

import os
import typing as t
from datetime import timedelta

from .controller import Controller
from .errors import BadInput, NotConfirmed, RunbookError
from .files import locked
from .lease import Leases
from .run_clean import Cleaner
from .run_record import RECORD, Beginning, Ending, Runs
from .run_report import headline
from .run_steps import decisions_of, diffs_of, error_of, measurements_of, steps_of
from .schedule.told import lease_for, not_today
from .state import make_folder, spoken, state_folder, utc_now, utc_time

_LEASE_S = 4 * 3600
"""Longer than the longest restore that a profile of this collection allows (RTO 2 h), so that a lease does not run out under a run."""

OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "operation": {"type": "str", "required": True, "choices": ["begin", "finish", "fail", "clean_up"]},
    "state_folder": {"type": "path"},
    "procedure": {"type": "str"},
    "title": {"type": "str", "default": ""},
    "profile": {"type": "str", "default": ""},
    "target": {"type": "str", "default": ""},
    "resources": {"type": "list", "elements": "str", "default": []},
    "reason": {"type": "str", "default": ""},
    "who": {"type": "str", "default": ""},
    "incident": {"type": "str", "default": ""},
    "lease_s": {"type": "float", "default": _LEASE_S},
    "takeover": {"type": "str", "default": ""},
    "destroys": {"type": "bool"},
    "confirmed": {"type": "str", "default": ""},
    "run_id": {"type": "str", "default": ""},
    "schedule": {"type": "dict", "default": {}},
    "results": {"type": "list", "elements": "dict", "default": []},
    "measurements": {"type": "dict", "default": {}},
    "targets": {"type": "dict", "default": {}},
    "decisions": {"type": "list", "elements": "str", "default": []},
    "failed_result": {"type": "dict", "default": {}},
    "failed_task": {"type": "str", "default": ""},
    "failed_host": {"type": "str", "default": ""},
    "secrets": {"type": "list", "elements": "raw", "default": [], "no_log": True},
    "controller": {"type": "dict"},
    "versions": {"type": "dict", "default": {}},
    "timeline": {"type": "list", "elements": "dict", "default": []},
}
"""Described in plugins/modules/procedure_run.py."""
REQUIRED_IF = [("operation", "begin", ["procedure"])]


class ProcedureFailed(RunbookError):
    """The end of a procedure in which a step failed; its message is that of the step."""

    def __init__(self, message: str, facts: t.Mapping[str, t.Any]) -> None:
        self._message = message
        super().__init__(message, facts=facts)

    @property
    def message(self) -> str:
        """The step's own message, unchanged."""
        return self._message


def operate(options: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Carry out the operation that `options` (valid for OPTIONS) asks for; in check mode write nothing.

    Raises:
        NotConfirmed: The procedure destroys something and its target was not named.
        LeaseHeld: Another run works on the resource.
        ProcedureFailed: Always, for the operation `fail`.
        RunbookError: The state folder cannot be used, or an option makes no sense.
    """
    operations = {"begin": begin, "finish": finish, "fail": fail, "clean_up": clean_up}
    return operations[options["operation"]](options, check_mode)


def begin(options: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Ask for confirmation, take the leases, write the record of a run that goes on. Nothing is kept when one of these fails."""
    controller = Controller.from_dict(options["controller"])
    state = state_folder(options["state_folder"])
    leases, runs, cleaner = Leases(state), Runs(state), Cleaner(options["secrets"])
    skipped = not_today(options["schedule"], utc_now())
    if skipped:
        return {"changed": False, "skip": True, "msg": skipped, "run_id": "", "record": "", "state_folder": state, "leases": []}
    # A procedure within another one belongs to the same start.
    scheduled = [] if runs.of(controller) else lease_for(options["schedule"], options["profile"])
    beginning = Beginning(
        procedure=options["procedure"],
        title=options["title"],
        profile=options["profile"],
        target=options["target"],
        resources=sorted({*filter(None, options["resources"]), *scheduled}),
        reason=options["reason"] or options["title"] or options["procedure"],
        who=options["who"] or str(controller or ""),
        versions=options["versions"],
        expires_at=utc_now() + timedelta(seconds=options["lease_s"]),
        incident=options["incident"],
        controller=controller,
    )
    notes = _confirmation(options, check_mode)
    run_id = options["run_id"] or "this run"
    if not check_mode:
        make_folder(state)
        notes += _abandon_dead(state, leases, runs, cleaner)
        run_id = runs.reserve(beginning.procedure, options["run_id"])
    taken: t.List[str] = []
    try:
        for resource in beginning.resources:
            wanted = leases.wanted(
                resource,
                run_id,
                who=cleaner.text(beginning.who),
                reason=cleaner.text(beginning.reason),
                duration_s=options["lease_s"],
                controller=controller,
            )
            decision = (leases.check if check_mode else leases.acquire)(wanted, options["takeover"])
            notes += [decision.note] if decision.note else []
            taken.append(resource)
        if not check_mode:
            runs.begin(run_id, beginning, notes, cleaner)
    except BaseException:
        if not check_mode:
            _take_back(leases, runs, run_id, taken)
        raise
    if check_mode:
        free = f"the lease on {', '.join(taken)} is free" if taken else "it takes no lease"
        message = f"Would begin {beginning.procedure}: {free}; nothing is written."
        return {"changed": False, "msg": message, "run_id": "", "record": "", "state_folder": state, "leases": taken, "notes": notes}
    return {
        "changed": False,
        "msg": f"Began {run_id}" + (f", with the lease on {', '.join(taken)} until {spoken(beginning.expires_at)}." if taken else "."),
        "run_id": run_id,
        "record": os.path.join(runs.folder(run_id), RECORD),
        "state_folder": state,
        "leases": taken,
        "notes": notes,
    }


def finish(options: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Complete the record of the run that succeeded, write its reports, give its leases back."""
    # Bad numbers must be told in a rehearsal, too.
    measurements = measurements_of(options["measurements"], options["targets"])
    if check_mode:
        message = "Would write the record of the run and give its lease back."
        return {"changed": False, "msg": message, "run_id": "", "status": "succeeded", "measurements": measurements, "notes": []}
    runs = Runs(state_folder(options["state_folder"]))
    run_id = _run_to_end(runs, options)
    if not run_id:
        raise BadInput(
            "There is no run to finish", where=runs.state, next_step="begin the procedure first, with the role procedure, entry point begin"
        )
    return _end(runs, run_id, options, "succeeded", measurements, None)


def fail(options: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Complete the record of the run in which a step failed, give its leases back, and fail with the step's own message.

    Whatever goes wrong with the record is told after that message, never instead of it.
    """
    error = {**error_of(options["failed_result"], options["failed_task"]), "host": options["failed_host"]}
    facts: t.Dict[str, t.Any] = {name: error[name] for name in ("kind", "what", "where", "why", "next_step", "step")}
    message, runs = str(error["message"]), Runs(state_folder(options["state_folder"]))
    run_id = "" if check_mode else _run_to_end(runs, options)
    if run_id:
        try:
            measurements = measurements_of(options["measurements"], options["targets"])
        except BadInput:
            measurements = {}
        try:
            ended = _end(runs, run_id, options, "failed", measurements, error)
            facts.update({name: ended[name] for name in ("run_id", "record", "report", "report_html")})
        except (RunbookError, OSError) as trouble:
            message += f" Besides, the record of the run could not be completed: {trouble}"
    raise ProcedureFailed(Cleaner(options["secrets"]).text(message), facts)


def clean_up(options: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Mark the runs that were killed as abandoned and free their leases."""
    state = state_folder(options["state_folder"])
    leases, runs = Leases(state), Runs(state)
    if check_mode:
        notes = [f"Would mark the run {marker['run_id']} as abandoned: {why}" for marker, why in runs.dead()]
    else:
        notes = _abandon_dead(state, leases, runs, Cleaner(options["secrets"])) if os.path.isdir(state) else []
    return {"changed": False, "msg": "; ".join(notes) or "No run was killed.", "notes": notes}


def _confirmation(options: t.Mapping[str, t.Any], check_mode: bool) -> t.List[str]:
    """Nothing when all is confirmed; in check mode a sentence about what the real run will ask for."""
    if not options["destroys"] or (options["target"] and options["confirmed"] == options["target"]):
        return []
    target, title = options["target"], options["title"] or options["procedure"]
    if not target:
        raise BadInput(f"{title!r} destroys, but does not say what", next_step="name its target in procedure_target")
    if check_mode:
        return [f"The real run will ask for confirmation: -e confirm={target}"]
    said = f"{options['confirmed']!r} was confirmed instead" if options["confirmed"] else ""
    where = ", ".join(options["resources"])
    raise NotConfirmed(
        f"{title!r} replaces or destroys what is in {target!r} and was not confirmed",
        where=where,
        why=said,
        next_step=f"if {target!r} is what you mean, run it again with -e confirm={target}; with --check it shows what would be done",
        facts={"confirm": target},
    )


def _abandon_dead(state: str, leases: Leases, runs: Runs, cleaner: Cleaner) -> t.List[str]:
    notes = []
    with locked(os.path.join(state, ".lock"), wait_s=10.0) as free:
        # Somebody else is tidying up at this moment; that will do.
        for marker, why in runs.dead() if free else ():
            runs.abandon(marker["run_id"], why, cleaner)
            for resource in marker["resources"]:
                leases.release(resource, marker["run_id"])
            notes.append(f"Marked the run {marker['run_id']} as abandoned: {why}")
    return notes


def _take_back(leases: Leases, runs: Runs, run_id: str, taken: t.Iterable[str]) -> None:
    for resource in taken:
        leases.release(resource, run_id)
    runs.forget(run_id)
    folder = runs.folder(run_id)
    try:
        os.unlink(os.path.join(folder, RECORD))
    except OSError:
        pass
    try:
        os.rmdir(folder)
    except OSError:
        pass


def _run_to_end(runs: Runs, options: t.Mapping[str, t.Any]) -> str:
    """The run that is named, else the innermost that this ansible-playbook process has begun; empty for none."""
    own = runs.of(Controller.from_dict(options["controller"]))
    return options["run_id"] or (own[-1] if own else "")


def _end(
    runs: Runs,
    run_id: str,
    options: t.Mapping[str, t.Any],
    status: str,
    measurements: t.Mapping[str, t.Any],
    error: t.Optional[t.Mapping[str, t.Any]],
) -> t.Dict[str, t.Any]:
    leases, results = Leases(runs.state), options["results"]
    started, own = runs.read(run_id), Controller.from_dict(options["controller"])
    notes = []
    try:
        for resource in started["resources"]:
            other = leases.look(resource)
            # A procedure around this one holds it from before, and in the same process.
            later = other is not None and other.acquired_at >= utc_time(started["started_at"])
            if other is not None and later and other.holder != run_id and (own is None or other.controller != own):
                notes.append(f"The lease on {resource} was lost before the end: {other.told()}")
        ending = Ending(
            status=status,
            steps=steps_of(options["timeline"], results, utc_time(started["started_at"]).timestamp()),
            decisions=[*decisions_of(options["decisions"], results), *notes],
            measurements=measurements,
            error=error,
            diffs=diffs_of(results),
        )
        record = runs.end(run_id, ending, Cleaner(options["secrets"]))
    finally:
        # The lease goes whatever becomes of the record: a full disk must not block the service's next procedure.
        for resource in started["resources"]:
            leases.release(resource, run_id)
    folder = runs.folder(run_id)
    return {
        "changed": False,
        "msg": headline(record) + ".",
        "run_id": run_id,
        "status": record["status"],
        "duration_s": record["duration_s"],
        "measurements": record["measurements"],
        "record": os.path.join(folder, RECORD),
        "report": os.path.join(folder, "report.md"),
        "report_html": os.path.join(folder, "report.html"),
        "notes": notes,
    }
