# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module recovery_state: open, look, gate, enter, restores, restored, leave, fail, close."""

from __future__ import annotations

import os
import typing as t

from ..errors import BadInput, RunbookError
from ..run_clean import Cleaner
from ..run_record import Runs
from ..state import slug, state_folder, utc_now
from . import gate
from .plan import RESTORED, restore_steps
from .record import COMPLETE, DONE, FILE, FOLDER, PHASES, Recovery, begin, open_recovery, read
from .times import recovery_times, serving_at

OPERATIONS = ("open", "look", "gate", "enter", "restores", "restored", "leave", "fail", "close")
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "operation": {"type": "str", "required": True, "choices": list(OPERATIONS)},
    "kind": {"type": "str", "choices": sorted(PHASES)},
    "service": {"type": "str", "default": ""},
    "recovery": {"type": "str", "default": ""},
    "phase": {"type": "str", "default": ""},
    "run_id": {"type": "str", "default": ""},
    "set": {"type": "str", "default": ""},
    "take_up": {"type": "str", "default": ""},
    "take_up_within_s": {"type": "float", "default": 43200.0},
    "again": {"type": "list", "elements": "str", "default": []},
    "begin_anew": {"type": "bool", "default": False},
    "since": {"type": "str", "default": ""},
    "gates": {"type": "list", "elements": "str"},
    "confirmed": {"type": "list", "elements": "str", "default": []},
    "answer": {"type": "str", "default": ""},
    "wait_s": {"type": "float", "default": 0.0},
    "told": {"type": "list", "elements": "str", "default": []},
    "problem": {"type": "str", "default": ""},
    "settings": {"type": "dict", "default": {}},
    "components": {"type": "list", "elements": "dict", "default": []},
    "stores": {"type": "list", "elements": "dict", "default": []},
    "state_folder": {"type": "path"},
    "secrets": {"type": "list", "elements": "raw", "default": [], "no_log": True},
}
"""Described in plugins/modules/recovery_state.py."""
CONSTRAINTS: t.Mapping[str, t.Any] = {
    "required_if": [
        ("operation", "open", ["kind", "service"]),
        *((("operation", name, ["phase"])) for name in ("look", "gate", "enter", "leave")),
    ]
}


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Carry out the operation that `parameters` (valid for OPTIONS) asks for; in check mode write nothing, and let every gate through.

    Returns:
        `recovery`, `folder`, `phases`, `stores`, `todo` (whether the phase has to be done), `notes`, and what the operation adds.

    Raises:
        NotConfirmed: Nobody let the phase begin.
        RunbookError: The record cannot be used, or an option makes no sense.
    """
    state, cleaner = state_folder(parameters["state_folder"]), Cleaner(parameters["secrets"])
    notes: t.List[str] = []
    operation = parameters["operation"]
    if operation == "open":
        recovery, notes = open_recovery(
            state,
            parameters["kind"],
            parameters["service"],
            stores=[str(store["name"]) for store in parameters["stores"]],
            words=parameters["set"],
            take_up=parameters["take_up"],
            take_up_within_s=parameters["take_up_within_s"],
            begin_anew=parameters["begin_anew"],
            since=parameters["since"],
            dry_run=check_mode,
        )
        forgotten = recovery.again([name.strip() for name in parameters["again"] if name.strip()])
        notes += [f"Does again, as asked: {', '.join(forgotten)}"] if forgotten else []
        if not check_mode:
            recovery.save()
        return _result(recovery, notes)
    if operation == "fail" and not parameters["recovery"]:
        return {"changed": False, "msg": "No recovery was under way.", "notes": []}
    recovery = _named(state, parameters, check_mode)
    further = _OPERATIONS[operation](recovery, parameters, cleaner, check_mode)
    if not check_mode and operation != "look":
        recovery.save()
    return _result(recovery, notes, parameters["phase"], further)


def _named(state: str, options: t.Mapping[str, t.Any], check_mode: bool) -> Recovery:
    name = options["recovery"]
    if not name or name != os.path.basename(name) or name.startswith("."):
        raise BadInput(f"{name!r} is no id of a recovery", next_step="give the one that the operation open returned")
    folder = os.path.join(state, FOLDER, name)
    if check_mode and not os.path.exists(os.path.join(folder, FILE)) and options["kind"] and slug(options["service"]):
        # A rehearsal writes nothing, so a recovery that it has opened is nowhere.
        blank = begin(state, options["kind"], options["service"])
        return Recovery(folder, {**blank.content, "id": name})
    return read(folder)


def _look(recovery: Recovery, options: t.Mapping[str, t.Any], cleaner: Cleaner, check_mode: bool) -> t.Dict[str, t.Any]:
    phase = options["phase"]
    found = "a rehearsal asks nobody" if check_mode else gate.confirmed_by(recovery, phase, options["gates"], options["confirmed"], "")
    return {"confirmed_by": found, "how_to": gate.how_to(recovery, phase)}


def _gate(recovery: Recovery, options: t.Mapping[str, t.Any], cleaner: Cleaner, check_mode: bool) -> t.Dict[str, t.Any]:
    phase = options["phase"]
    if check_mode or recovery.phase(phase)["status"] == DONE:
        return {"confirmed_by": "a rehearsal asks nobody" if check_mode else "it is done", "waited_s": 0.0}
    found, waited = gate.wait(recovery, phase, options["gates"], options["confirmed"], options["answer"], options["wait_s"])
    recovery.content["waited_s"] = float(recovery.content["waited_s"]) + waited
    recovery.phase(phase)["confirmed_by"] = found
    return {"confirmed_by": found, "waited_s": round(waited, 2)}


def _enter(recovery: Recovery, options: t.Mapping[str, t.Any], cleaner: Cleaner, check_mode: bool) -> t.Dict[str, t.Any]:
    earlier = PHASES[recovery.content["kind"]]
    before = earlier[: earlier.index(recovery.phase(options["phase"])["name"])]
    missing = [name for name in before if recovery.phase(name)["status"] != DONE]
    if missing and not check_mode:
        raise BadInput(f"The phase {options['phase']} comes after {missing[0]}, which is not done", where=recovery.id)
    if recovery.phase(options["phase"])["status"] != DONE:
        recovery.start(options["phase"], options["run_id"])
    return {}


def _restores(recovery: Recovery, options: t.Mapping[str, t.Any], cleaner: Cleaner, check_mode: bool) -> t.Dict[str, t.Any]:
    """Which restores are left to do. The ids of their runs are written down first, so that a later run finds what became of them."""
    _look_up(recovery, cleaner)
    # What could not be restored and is not wanted any more must not stand in the way of the others.
    wanted = {str(store["name"]) for store in options["stores"]}
    known = {name: one for name, one in recovery.content["stores"].items() if name in wanted or one["status"] == RESTORED}
    steps = restore_steps(options["stores"], known, recovery.id, utc_now(), options["settings"])
    for step in steps:
        known[step["name"]] = {"run_id": step["variables"]["procedure_run_id"], "status": "", "serving_at": "", "problem": ""}
    recovery.content["stores"] = known
    return {"steps": steps}


def _restored(recovery: Recovery, options: t.Mapping[str, t.Any], cleaner: Cleaner, check_mode: bool) -> t.Dict[str, t.Any]:
    """What became of the restores: sentences, and the stores that are not back."""
    _look_up(recovery, cleaner)
    stores = recovery.content["stores"]
    told = []
    for name, one in stores.items():
        told.append(f"{name}: serves again since {one['serving_at']}" if one["status"] == RESTORED else f"{name}: not restored")
        told += [f"{name}: {decision}" for decision in one.get("decisions", [])]
    return {"told": told, "left": [name for name, one in stores.items() if one["status"] != RESTORED]}


def _look_up(recovery: Recovery, cleaner: Cleaner) -> None:
    runs = Runs(os.path.dirname(os.path.dirname(recovery.folder)))
    for entry in recovery.content["stores"].values():
        if entry["status"] == RESTORED:
            continue
        try:
            record = runs.read(entry["run_id"])
        except RunbookError as error:
            # It was ended before it began, or never could.
            entry.update(status="not begun", problem=cleaner.text(error.what))
            continue
        done = record["status"] == "succeeded"
        entry["status"] = RESTORED if done else str(record["status"])
        entry["serving_at"] = serving_at(record) if done else ""
        entry["measurements"] = record["measurements"]
        entry["decisions"] = [cleaner.text(str(one)) for one in record.get("decisions") or []]
        entry["problem"] = cleaner.text(str((record["error"] or {}).get("message") or ""))


def _leave(recovery: Recovery, options: t.Mapping[str, t.Any], cleaner: Cleaner, check_mode: bool) -> t.Dict[str, t.Any]:
    if recovery.phase(options["phase"])["status"] != DONE:
        recovery.leave(options["phase"], [cleaner.text(one) for one in options["told"]], options["set"])
    return {}


def _fail(recovery: Recovery, options: t.Mapping[str, t.Any], cleaner: Cleaner, check_mode: bool) -> t.Dict[str, t.Any]:
    return {"failed_phase": recovery.fail(cleaner.text(options["problem"]))}


def _close(recovery: Recovery, options: t.Mapping[str, t.Any], cleaner: Cleaner, check_mode: bool) -> t.Dict[str, t.Any]:
    measured, targets, said = recovery_times(recovery, options["components"], options["stores"])
    recovery.content.update(status=COMPLETE, measurements=measured, targets=targets)
    return {"measurements": {} if check_mode else measured, "targets": {} if check_mode else targets, "times": said}


_OPERATIONS: t.Mapping[str, t.Callable[..., t.Dict[str, t.Any]]] = {
    "look": _look,
    "gate": _gate,
    "enter": _enter,
    "restores": _restores,
    "restored": _restored,
    "leave": _leave,
    "fail": _fail,
    "close": _close,
}


def _result(
    recovery: Recovery, notes: t.Sequence[str], phase: str = "", further: t.Optional[t.Mapping[str, t.Any]] = None
) -> t.Dict[str, t.Any]:
    phases = recovery.content["phases"]
    found = {
        # The record is evidence; of the service nothing has changed.
        "changed": False,
        "msg": f"{recovery.id}: " + ", ".join(f"{entry['name']} {entry['status']}" for entry in phases),
        "recovery": recovery.id,
        "folder": recovery.folder,
        "since": recovery.content["since"],
        "set": recovery.set_to_restore,
        "phases": phases,
        "stores": recovery.content["stores"],
        "notes": list(notes),
        "todo": recovery.phase(phase)["status"] != DONE if phase else True,
    }
    return {**found, **dict(further or {})}
