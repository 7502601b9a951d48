# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Units are started and stopped, waited for, and asked why they do not run."""

from __future__ import annotations

import os
import time
import typing as t

from ...checks.redaction import Redactor
from ...command import Command, run
from ...errors import CommandFailed, DeadlineExceeded, RunbookError
from ...progress import Progress
from ..deadline import Deadline, pauses
from .state import Unit, number, seconds, show

_TIMEOUT_S = 60.0
_LONGEST_PAUSE_S = 0.1
_LAST_LINES = 6
MOST_RESTARTS = 3
"""A unit that systemd has had to start again so often is not waited for any longer."""
_KILL = "9"
_RESULTS = {
    "oom-kill": "it was killed because it used more memory than it may (MemoryMax is {MemoryMax})",
    "timeout": "it did not start, or end, in the time that its unit gives it",
    "start-limit-hit": "it ended so often that systemd does not start it any more",
    "exit-code": "it ended with status {ExecMainStatus}{meaning}",
    "signal": "it was killed by signal {ExecMainStatus}{meaning}",
    "core-dump": "it crashed, signal {ExecMainStatus}",
    "watchdog": "its watchdog did not hear of it in time",
    "resources": "systemd lacked what it needs to start it",
    "protocol": "it did not say that it is ready as its unit's Type asks",
}
_STATUSES = {
    "200": "its working folder is missing",
    "203": "its program cannot be executed",
    "216": "its group does not exist",
    "217": "its user does not exist",
}
"""systemd.exec(5), process exit codes."""


def require_root() -> None:
    """Raise RunbookError unless this account may change units."""
    if os.geteuid() != 0:
        raise RunbookError(
            "This account may not change units of systemd",
            where=f"user id {os.geteuid()} on this host",
            next_step="set become: true for the hosts of the service (ansible_become in the inventory); nothing was changed",
        )


def systemctl(*arguments: str, timeout_s: float = _TIMEOUT_S, check: bool = True) -> str:
    """Call systemctl; returns what it complained about.

    Raises:
        CommandFailed: It failed (only with `check`).
        DeadlineExceeded: It took longer than `timeout_s`; what it had asked of systemd goes on.
    """
    return run(Command(["systemctl", "--no-ask-password", *arguments], timeout_s=timeout_s), check=check).stderr.strip()


def end_units(units: t.Sequence[Unit]) -> None:
    """Stop units, as long as each may take by its TimeoutStopSec; what is then left of it systemd kills.

    Raises:
        RunbookError: One did not stop.
    """
    longest_s = max((seconds(unit.get("TimeoutStopUSec", "")) or 90.0 for unit in units), default=90.0)
    # A unit may be told to end by a command and then by a signal, each with the whole time.
    systemctl("stop", "--", *(unit.name for unit in units), timeout_s=2 * longest_s + 15)


def start_units(verb: str, names: t.Sequence[str], deadline: Deadline) -> None:
    """Start or restart units; whether they then run, their state says, and not this.

    Raises:
        CommandFailed: systemd does not try to.
    """
    try:
        said = systemctl(verb, "--", *names, timeout_s=deadline.left_s, check=False)
    except DeadlineExceeded:
        return
    refused = [line for line in said.splitlines() if line.startswith("Failed to")]
    if refused:
        raise CommandFailed(f"systemd does not {verb} {', '.join(names)}", why="; ".join(refused[:3]))


def last_lines(unit: Unit) -> str:
    """What a unit's last process said last, else what the journal has of the unit, in one line and without secrets; empty for nothing."""
    own = [f"_SYSTEMD_INVOCATION_ID={unit['InvocationID']}"] if unit.get("InvocationID") else []
    for which in (own, [f"--unit={unit.name}"]):
        argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={_LAST_LINES}", *which]
        try:
            said = run(Command(argv, timeout_s=10.0), check=False).stdout if which else ""
        except RunbookError:
            return ""
        lines = [line.strip() for line in Redactor().text(said).splitlines() if line.strip()]
        if lines:
            return "; ".join(line[:300] for line in lines)
    return ""


def cause(unit: Unit) -> str:
    """Why a unit does not run, with what it said last."""
    if unit.get("LoadState") not in ("loaded", "", None):
        why = f"systemd cannot use its file ({unit.get('LoadState')}): {unit.get('LoadError', '').strip()}"
    elif unit.get("ActiveState") == "activating":
        why = f"it is still starting ({unit.get('SubState')}), after {unit.restarts} restarts by systemd" + _told(unit, "; ")
    else:
        why = _told(unit) or f"it is {unit.get('ActiveState')} ({unit.get('SubState')})"
    said = last_lines(unit)
    return f"{unit.name}: {why}" + (f". It said last: {said}" if said else "")


def _told(unit: Unit, before: str = "") -> str:
    result = unit.get("Result", "success")
    if result in ("success", ""):
        return ""
    limit = number(unit.get("MemoryMax", ""))
    memory = f"{limit / (1 << 20):.0f} MiB" if limit is not None else "unlimited"
    meaning = _STATUSES.get(unit.get("ExecMainStatus", ""), "") if result == "exit-code" else ""
    if result == "signal" and unit.get("ExecMainStatus") == _KILL and limit is not None:
        # With the first version of control groups systemd does not tell why the kernel kills.
        meaning = f"as the kernel does with one that uses more memory than it may, MemoryMax is {memory}"
    words = {"ExecMainStatus": "unknown", **unit, "MemoryMax": memory, "meaning": f" ({meaning})" if meaning else ""}
    return before + _RESULTS.get(result, f"systemd says {result}").format(**words)


class Waiting:
    """Waits until units are active and stay so.

    Args:
        settle_s: Seconds that each must have been active.
    """

    def __init__(self, settle_s: float, progress: Progress) -> None:
        self.settle_s, self._progress = settle_s, progress

    def until_stable(self, names: t.Sequence[str], deadline: Deadline, before: t.Sequence[Unit] = ()) -> t.List[Unit]:
        """Wait for units.

        Args:
            deadline: Until when they must be stable.
            before: As they were before they were started; what systemd had restarted then does not count.

        Raises:
            CommandFailed: One does not become stable; `facts` has the names of those that are not as `unwell`.
        """
        counted = {unit.name: unit.restarts for unit in before}
        for _again in pauses(_LONGEST_PAUSE_S):
            units = show(names)
            unwell = [unit for unit in units if not self.is_stable(unit)]
            if not unwell:
                break
            ended = [unit for unit in unwell if _has_ended(unit, counted.get(unit.name, 0))]
            if ended or not deadline.left_s:
                raise _failure(ended or unwell, "" if ended else f" steadily after {deadline.seconds:g} s")
            self._progress.say(f"waiting for {', '.join(unit.name for unit in unwell[:3])}", len(units) - len(unwell), len(units), "units")
        return units

    def until_same(self, before: t.Sequence[Unit]) -> None:
        """See for `settle_s` seconds that units that run go on running with their processes.

        Raises:
            CommandFailed: One ended.
        """
        processes = {unit.name: unit.get("MainPID") for unit in before}
        until = time.monotonic() + self.settle_s
        while True:
            ended = [unit for unit in show(list(processes)) if not unit.active or unit.get("MainPID") != processes[unit.name]]
            if ended:
                raise _failure(ended)
            if time.monotonic() >= until:
                return
            time.sleep(_LONGEST_PAUSE_S)

    def is_stable(self, unit: Unit) -> bool:
        """Whether a unit is active, and has been for long enough."""
        entered = int(unit.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
        return unit.active and time.clock_gettime(time.CLOCK_MONOTONIC) - entered >= self.settle_s


def require_running(names: t.Sequence[str]) -> None:
    """Raise CommandFailed where a unit has ended."""
    ended = [unit for unit in show(names) if _has_ended(unit, unit.restarts)]
    if ended:
        raise _failure(ended)


def _failure(units: t.Sequence[Unit], late: str = "") -> RunbookError:
    names = ", ".join(unit.name for unit in units)
    return CommandFailed(
        f"{names} {'do' if len(units) > 1 else 'does'} not run{late}",
        why=" | ".join(cause(unit) for unit in units[:3]),
        facts={"unwell": [unit.name for unit in units]},
    )


def _has_ended(unit: Unit, restarts_before: int) -> bool:
    if unit.get("ActiveState") in ("failed", "inactive") or unit.get("LoadState") != "loaded":
        return True
    return not unit.active and unit.restarts - restarts_before >= MOST_RESTARTS
