# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module unit_exec: a command runs as the program of a unit would."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import time
import typing as t

from ...command import Command, Place, end
from ...errors import BadInput, CommandFailed, DeadlineExceeded, RunbookError
from ..output import CUT_NOTE, Tail, mask_of, told_of
from .environment import environment_of
from .state import OPTIONS as UNIT_OPTIONS
from .state import Target, Unit, target_of, units_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **UNIT_OPTIONS,
    "replica": {"type": "str", "default": ""},
    "command": {"type": "list", "elements": "str", "required": True},
    "timeout_s": {"type": "float", "default": 60.0},
}
"""Described in plugins/modules/unit_exec.py."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Run the command; check mode only says as whom and where it would run.

    Raises:
        BadInput: There is no such unit, or no command.
        CommandFailed: The command ended with another status than 0; what it said is in `facts`.
        DeadlineExceeded: It was ended at its time limit.
    """
    command = parameters["command"]
    if not command or not command[0] or any("\0" in word for word in command):
        raise BadInput("There is no command to run", next_step="give service_exec_command a list: a program and its arguments")
    target = target_of(parameters["unit"], parameters["instances"])
    unit = chosen(target, units_of(target), parameters["replica"])
    # The one variable of ours that every program gets is no variable of the unit's.
    argv, folder = [*as_user(unit), _tool("env"), "-u", "LC_ALL", "--", *command], folder_of(unit)
    who = unit.get("User") or "root"
    steps = [f"run {command[0]} as {who} in {folder}, with the environment of {unit.name}"]
    answer: t.Dict[str, t.Any] = {"replica": unit.name, "user": who, "folder": folder, "steps": steps, "notes": []}
    if check_mode:
        return {"changed": True, **answer, "conclusion": f"Would {steps[0]}"}
    variables = environment_of(unit)
    if "LC_ALL" in variables:
        argv = [*as_user(unit), *command]
    begun = time.monotonic()
    status, printed, complained = _run(argv, folder, {**_identity(unit), **variables}, parameters["timeout_s"])
    said = told_of(printed, complained, mask_of(variables), status, time.monotonic() - begun)
    last = "; ".join(line.strip() for line in (said["stderr"] or said["stdout"]).strip().splitlines()[-4:])
    if status is None:
        raise DeadlineExceeded(
            f"{command[0]} did not end within {parameters['timeout_s']:g} s and was ended",
            where=unit.name,
            why=last,
            next_step="allow more time by service_exec_timeout_s, or see what it waits for",
            changed=True,
            facts={**answer, **said},
        )
    if status != 0:
        raise CommandFailed(f"{command[0]} ended with status {status}", where=unit.name, why=last, changed=True, facts={**answer, **said})
    notes = [CUT_NOTE] if said["cut"] else []
    conclusion = f"{command[0]} ended with status 0 after {said['duration_s']:g} s"
    return {"changed": True, **answer, **said, "notes": notes, "conclusion": conclusion}


def chosen(target: Target, units: t.Sequence[Unit], replica: str) -> Unit:
    """The unit that is meant: the named one, else the first that runs, else the first.

    Raises:
        BadInput: There is none.
    """
    named = [unit for unit in units if unit.name == target.named(replica)] if replica else sorted(units, key=lambda unit: not unit.active)
    if not named:
        raise BadInput(
            f"{replica!r} is no unit of the service" if replica else "There is no unit of the service",
            where=target.unit,
            next_step=f"give service_exec_replica one of {', '.join(unit.name for unit in units) or 'its instances'}",
        )
    return named[0]


def folder_of(unit: Unit) -> str:
    """The unit's working folder; `!` before it says that it may be missing, as a hyphen in its file does (dbus-execute.c of systemd)."""
    folder = unit.get("WorkingDirectory", "")
    path = folder.lstrip("!-") or "/"
    if path == "~":
        return _account(unit).pw_dir
    if os.path.isdir(path):
        return path
    if path != folder:
        return "/"
    raise BadInput("The unit's working folder is missing", where=path, next_step="make it; the unit cannot start without it either")


def as_user(unit: Unit) -> t.List[str]:
    """The words before a command that make it run as the unit's user and group.

    Raises:
        BadInput: There is no such user or group.
        RunbookError: Only root may do that.
    """
    user, group = unit.get("User", ""), unit.get("Group", "")
    if not user and not group and os.geteuid() == 0:
        return []
    entry = _account(unit)
    if os.geteuid() != 0:
        if os.geteuid() == entry.pw_uid:
            return []
        raise RunbookError(
            "This account may not run a command as the unit's user",
            where=f"user id {os.geteuid()} on this host, {unit.name} runs as {entry.pw_name}",
            next_step="set become: true for the hosts of the service (ansible_become in the inventory)",
        )
    try:
        number = entry.pw_gid if not group else int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise BadInput("The unit's group does not exist", where=group, next_step="make it; the unit cannot start either") from None
    return [_tool("setpriv"), f"--reuid={entry.pw_uid}", f"--regid={number}", "--init-groups", "--"]


def _tool(name: str) -> str:
    """Path of a program of this host, which the search path of the unit need not hold."""
    return shutil.which(Place().program(name)) or name


def _account(unit: Unit) -> pwd.struct_passwd:
    user = unit.get("User", "") or "root"
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise BadInput(
            "The unit's user does not exist",
            where=user,
            next_step="make it; a user that the unit makes itself (DynamicUser) cannot be used",
        ) from None


def _identity(unit: Unit) -> t.Dict[str, str]:
    if not unit.get("User"):
        return {}
    entry = _account(unit)
    return {"HOME": entry.pw_dir, "LOGNAME": entry.pw_name, "USER": entry.pw_name, "SHELL": entry.pw_shell}


def _run(argv: t.Sequence[str], folder: str, environment: t.Mapping[str, str], timeout_s: float) -> t.Tuple[t.Optional[int], Tail, Tail]:
    """Status (None when it was ended at its time limit), standard output and standard error."""
    process = Command(argv, secrets=environment, folder=folder, without=tuple(os.environ)).start(stderr=subprocess.PIPE)
    out, err = (Tail(t.cast("t.IO[bytes]", stream)) for stream in (process.stdout, process.stderr))
    try:
        return process.wait(timeout_s), out, err
    except subprocess.TimeoutExpired:
        return None, out, err
    finally:
        end(process)
