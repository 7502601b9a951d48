# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module recovery_run: commands, playbooks and procedures of a recovery, each with a deadline."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import typing as t

from ..errors import BadInput, DeadlineExceeded, RunbookError
from ..progress import Progress
from ..run_clean import Cleaner
from ..state import make_folder, slug, state_folder, utc_now
from .calls import Call, Ended, run_calls
from .record import FOLDER

_STEP: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "title": {"type": "str", "default": ""},
    "command": {"type": "list", "elements": "str"},
    "playbook": {"type": "path"},
    "procedure": {"type": "str"},
    "on_host": {"type": "str"},
    "variables": {"type": "dict", "default": {}},
    "environment": {"type": "dict", "default": {}},
    "folder": {"type": "path"},
    "deadline_s": {"type": "float"},
}
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "steps": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": _STEP,
        "mutually_exclusive": [("command", "playbook", "procedure"), ("on_host", "playbook"), ("on_host", "procedure")],
        "required_one_of": [("command", "playbook", "procedure")],
    },
    "recovery": {"type": "str", "required": True},
    "deadline_s": {"type": "float", "default": 3600.0},
    "at_once": {"type": "int", "default": 1},
    "stop_at_failure": {"type": "bool", "default": True},
    "state_folder": {"type": "path"},
    "secrets": {"type": "list", "elements": "raw", "default": [], "no_log": True},
    # What only the controller knows; given by the action plugin.
    "ansible_playbook": {"type": "list", "elements": "str", "default": []},
    "playbooks": {"type": "dict", "default": {}},
    "on_host_playbook": {"type": "path"},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "extra_vars": {"type": "dict", "default": {}, "no_log": True},
    "vault_secrets": {"type": "dict", "default": {}, "no_log": True},
}
"""Described in plugins/modules/recovery_run.py."""
_NOT_INHERITED = (
    "ANSIBLE_CALLBACKS_ENABLED",
    "ANSIBLE_STDOUT_CALLBACK",
    "AWX_ISOLATED_DATA_DIR",
    "SRE_RUNBOOKS_PROGRESS_FILE",
    "SRE_RUNBOOKS_TIMELINE_FILE",
)
"""What the run around it is told by; what a playbook within it does is in a record of its own."""
_OWN_VARIABLES = ("confirm", "procedure_name", "procedure_run_id", "procedure_takeover", "procedure_reason", "procedure_resource")
_PRIVATE = ".private-"


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Run the steps that `parameters` (valid for OPTIONS) name.

    In check mode commands are only told; playbooks and procedures run in check mode themselves.

    Returns:
        `steps` with `name`, `ok`, `status`, `duration_s`, `problem`, `log`; `failed` with `msg` when one is not ok.

    Raises:
        BadInput: A step makes no sense, or a procedure is not of this collection.
        DeadlineExceeded: A step did not end in time.
    """
    name = parameters["recovery"]
    if not name or name != os.path.basename(name) or name.startswith("."):
        raise BadInput(f"{name!r} is no id of a recovery", next_step="give the one that recovery_state returned")
    _require_hosts(parameters)
    commands = [step for step in parameters["steps"] if step["command"] is not None]
    told = [{**_told(step), "skipped": check_mode and step in commands} for step in parameters["steps"]]
    wanted = [step for step in parameters["steps"] if not (check_mode and step in commands)]
    if not wanted:
        return {"changed": bool(told), "msg": "; ".join(one["said"] for one in told) or "There is nothing to run.", "steps": told}
    # A rehearsal leaves nothing, not even its output.
    folder = tempfile.mkdtemp() if check_mode else os.path.join(state_folder(parameters["state_folder"]), FOLDER, name)
    if not check_mode:
        make_folder(os.path.dirname(folder))
        make_folder(folder)
        _remove_private(folder)
    private = os.path.join(folder, f"{_PRIVATE}{os.getpid()}")
    os.mkdir(private, 0o700)
    cleaner, progress = Cleaner([parameters["secrets"], list(parameters["vault_secrets"].values())]), Progress("Recovering")
    try:
        calls = [_call(step, number, parameters, folder, private) for number, step in enumerate(wanted)]
        progress.say(", ".join(call.name for call in calls), 0, len(calls), "steps")
        ended = run_calls(calls, at_once=parameters["at_once"], stop_at_failure=parameters["stop_at_failure"])
    finally:
        _remove_private(folder)
        if check_mode:
            shutil.rmtree(folder, ignore_errors=True)
    found = {one.name: {**one.as_dict(), "problem": cleaner.text(one.problem)} for one in ended}
    steps = [{**one, **found.get(one["name"], {})} for one in told]
    return _result(steps, [one for one in ended if not one.ok], found, wanted, check_mode)


def _require_hosts(parameters: t.Mapping[str, t.Any]) -> None:
    """Ansible says nothing of a host that it does not know, and ends well."""
    for step in parameters["steps"]:
        if step["on_host"] and step["on_host"] not in parameters["hosts"]:
            raise BadInput(
                f"The step {step['name']!r} cannot be run",
                where=step["on_host"],
                why="the inventory has no such host",
                next_step="correct on_host of the step; nothing was begun",
            )


def _result(
    steps: t.List[t.Dict[str, t.Any]],
    failed: t.Sequence[Ended],
    found: t.Mapping[str, t.Mapping[str, t.Any]],
    wanted: t.Sequence[t.Mapping[str, t.Any]],
    check_mode: bool,
) -> t.Dict[str, t.Any]:
    if not failed:
        said = ", ".join(f"{one['name']} ({one['duration_s']:g} s)" for one in steps if "duration_s" in one)
        return {"changed": True, "msg": f"Done: {said}" if said else "Done.", "steps": steps}
    left = [step["name"] for step in wanted if step["name"] not in found]
    first = failed[0]
    kind = DeadlineExceeded if "did not end within" in first.problem else RunbookError
    error = kind(
        f"{'These steps' if len(failed) > 1 else 'The step'} {', '.join(one.name for one in failed)} failed",
        where=first.log,
        why=" | ".join(str(found[one.name]["problem"]) for one in failed) + (f"; not begun: {', '.join(left)}" if left else ""),
        next_step="mend the cause and run the same procedure again: it goes on at this phase, and what is done is not done again",
        changed=not check_mode,
    )
    return {"failed": True, "changed": not check_mode, "msg": error.message, "steps": steps, "error": {"kind": error.kind}}


def _told(step: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    what = f"the procedure {step['procedure']}" if step["procedure"] else f"the playbook {step['playbook']}" if step["playbook"] else ""
    what = what or f"the command {step['command'][0]}" if step["command"] or what else "nothing"
    what += f" on {step['on_host']}" if step["on_host"] else ""
    return {"name": step["name"], "title": step["title"] or step["name"], "said": f"{step['title'] or step['name']}: runs {what}"}


def _call(step: t.Mapping[str, t.Any], number: int, parameters: t.Mapping[str, t.Any], logs: str, private: str) -> Call:
    if step["command"] is not None and not step["command"]:
        raise BadInput(f"The step {step['name']!r} has an empty command", next_step="name a program and its arguments")
    deadline_s = step["deadline_s"] if step["deadline_s"] is not None else parameters["deadline_s"]
    if not 0 < deadline_s < 1e7:
        raise BadInput(f"The step {step['name']!r} has the deadline {deadline_s:g} s", next_step="give it some seconds or hours")
    environment = {str(key): str(value) for key, value in step["environment"].items()}
    log = os.path.join(logs, f"{utc_now():%Y%m%dT%H%M%S.%fZ}-{slug(step['name'], 40) or 'step'}.log")
    folder = step["folder"] or ""
    if step["on_host"]:
        there = {**step, "folder": folder, "environment": environment, "deadline_s": deadline_s}
        variables = {"recovery_step_host": step["on_host"], "recovery_step_base64": base64.b64encode(json.dumps(there).encode()).decode()}
        argv = _playbook({**step, "playbook": parameters["on_host_playbook"], "variables": variables}, number, parameters, private)
        environment, folder = {}, ""
    elif step["command"]:
        argv = list(step["command"])
    else:
        argv = _playbook(step, number, parameters, private)
    return Call(step["name"], argv, deadline_s, log, folder, environment, _NOT_INHERITED)


def _playbook(step: t.Mapping[str, t.Any], number: int, parameters: t.Mapping[str, t.Any], private: str) -> t.List[str]:
    if not parameters["ansible_playbook"]:
        raise BadInput("Playbooks can only be started by the controller", next_step="use this module as a task of a playbook")
    path = parameters["playbooks"].get(step["procedure"]) if step["procedure"] else step["playbook"]
    if not path or not os.path.isfile(path):
        known = f"{step['procedure']!r} is no procedure of this collection" if step["procedure"] else "there is no such playbook"
        raise BadInput(f"The step {step['name']!r} cannot be run", where=str(path or ""), why=known, next_step="correct the name")
    inherited = {key: value for key, value in parameters["extra_vars"].items() if key not in _OWN_VARIABLES}
    variables = os.path.join(private, f"variables-{number}.json")
    _write(variables, json.dumps({**inherited, **step["variables"]}, default=str).encode())
    vault: t.List[str] = []
    for label, secret in parameters["vault_secrets"].items():
        name = os.path.join(private, f"vault-{slug(label) or 'default'}-{number}")
        _write(name, secret.encode())
        vault += ["--vault-id", f"{label}@{name}"]
    return [*parameters["ansible_playbook"], *vault, "-e", f"@{variables}", path]


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def _remove_private(folder: str) -> None:
    """Remove what was only for the eyes of a playbook, what a killed run left of it too."""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        owner = name[len(_PRIVATE) :]
        alive = owner.isdigit() and owner != str(os.getpid()) and os.path.exists(f"/proc/{owner}")
        if name.startswith(_PRIVATE) and not alive:
            for inner in os.listdir(path):
                os.unlink(os.path.join(path, inner))
            os.rmdir(path)
