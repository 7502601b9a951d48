# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module unit_replicas: the units of a service are started, stopped, restarted, counted up or down, or waited for."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ...errors import CommandFailed, RunbookError
from ...progress import Progress
from ..proxies import proxy_from
from ..state import RUNNING, Replica, State
from .check import reload_and_check
from .control import Waiting, cause, end_units, last_lines, require_root, start_units, systemctl
from .files import notes_on
from .plan import Move, apply_plan, require_units, restart_plan, scale_plan, start_plan, stop_plan
from .proxy import InProxy, no_container
from .ready import Ready
from .state import OPTIONS as UNIT_OPTIONS
from .state import Target, Unit, show, state_of, target_of, units_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **UNIT_OPTIONS,
    "operation": {"type": "str", "choices": ["start", "stop", "restart", "apply", "scale", "wait"], "required": True},
    "way": {"type": "str", "default": "rolling"},
    "replica": {"type": "str", "default": ""},
    "count": {"type": "int"},
    "ready_checks": {"type": "list", "elements": "dict", "default": []},
    "proxy": {"type": "dict", "default": {}},
    "drain_timeout_s": {"type": "float", "default": 30.0},
    "health_timeout_s": {"type": "float", "default": 100.0},
    "settle_s": {"type": "float", "default": 1.0},
}
"""Described in plugins/modules/unit_replicas.py."""


@dataclass
class Work:
    """One call.

    Attributes:
        target: Which units the service is.
        units: They, as they were before.
        waiting: How they are waited for.
        ready: The checks that must pass.
        proxy: The proxy in front of them.
        done: Units with which it is over and well.
        changed: Whether anything was done.
    """

    target: Target
    units: t.List[Unit]
    waiting: Waiting
    ready: Ready
    proxy: InProxy
    done: t.List[str]
    changed: bool = False

    def instances(self, names: t.Sequence[str]) -> t.List[str]:
        """The names of instances behind those of units."""
        return [self.target.instance(name) for name in names] if self.target.is_template else []

    def wait(self, names: t.Sequence[str], before: t.Sequence[Unit]) -> None:
        """Wait until units run steadily and the ready checks pass."""
        units = self.waiting.until_stable(names, before)
        try:
            self.ready.wait(self.instances(names), self.waiting.timeout_s, lambda: self.waiting.require_running(names))
        except CommandFailed as error:
            if "unready" not in error.facts:
                raise
            said = last_lines(units[0])
            error.where, error.why = ", ".join(names), error.why + (f". It said last: {said}" if said else "")
            raise

    def carry_out(self, move: Move) -> None:
        """Do one step.

        Raises:
            RunbookError: It failed; the message is the cause.
        """
        before = show(move.units)
        if move.verb == "stop":
            self._stop(move, before)
        elif move.verb == "restart" and len(before) == 1:
            self._renew(move, before[0])
        else:
            if move.verb != "wait":
                self._start(move, before)
            self.wait(move.units, before)
        self.done += move.units

    def _renew(self, move: Move, before: Unit) -> None:
        """Restart one unit, behind the proxy: the others have its requests meanwhile."""
        servers = self.proxy.take_out(before, needs_others=len(self.units) > 1)
        self.changed = self.changed or bool(servers)
        try:
            self._start(move, [before])
            self.wait(move.units, [before])
            self.proxy.bring_in(show(move.units)[0], servers)
        except RunbookError as error:
            left = self.proxy.let_go(show(move.units)[0], servers)
            error.why = ". ".join(part for part in (error.why, left) if part)
            raise

    def _stop(self, move: Move, before: t.Sequence[Unit]) -> None:
        servers = {unit.name: self.proxy.take_out(unit, needs_others=True) for unit in before} if move.lasting else {}
        end_units(before)
        self.changed = True
        if move.lasting:
            systemctl("disable", "--quiet", "--", *move.units)
        for unit in show(move.units) if any(servers.values()) else []:
            left = self.proxy.let_go(unit, servers[unit.name])
            self.proxy.notes += [left] if left else []

    def _start(self, move: Move, before: t.Sequence[Unit]) -> None:
        failed = [unit.name for unit in before if unit.get("ActiveState") == "failed"]
        if failed:
            # One that ended too often is not started again before its failures are forgotten.
            systemctl("reset-failed", "--", *failed)
        if move.lasting:
            systemctl("enable", "--quiet", "--", *move.units)
        self.changed = True
        start_units(move.verb, move.units, self.waiting.timeout_s)


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Do what `operation` says, in the order of a plan; check mode only makes the plan.

    Raises:
        BadInput: What is asked for cannot be done; nothing was changed.
        RunbookError: A unit failed. What came before it is done, what comes behind it is as it was.
    """
    target = target_of(parameters["unit"], parameters["instances"])
    units = units_of(target)
    progress = Progress(f"{parameters['operation']} of {target.unit}")
    waiting = Waiting(parameters["health_timeout_s"], parameters["settle_s"], progress)
    proxy = InProxy(proxy_from(parameters["proxy"], no_container), parameters["drain_timeout_s"], parameters["health_timeout_s"], progress)
    work = Work(target, units, waiting, Ready(parameters["ready_checks"], progress), proxy, [])
    work.ready.require_sense(work.instances([unit.name for unit in units]))
    moves = _plan(parameters, work)
    before = state_of(units)
    changes = [move for move in moves if move.verb != "wait"]
    if changes:
        proxy.require_answer()
    if changes and not check_mode:
        require_root()
    notes = notes_on(units)
    if changes and parameters["operation"] in ("restart", "apply"):
        notes = reload_and_check(units, read_again=parameters["operation"] == "apply", check_mode=check_mode) or notes
    if check_mode:
        return _result(parameters, before, predicted(before, moves), moves, bool(changes), notes)
    for number, move in enumerate(moves):
        progress.say(move.sentence, number, len(moves), "steps")
        try:
            work.carry_out(move)
        except RunbookError as error:
            raise _failure(parameters, work, moves[number:], error) from error
    after = units_of(target)
    fallen = [unit for unit in after if unit.name in work.done and not unit.active and unit.name not in stopped_by(moves)]
    if fallen:
        raise _failure(parameters, work, moves[-1:], CommandFailed(f"{fallen[0].name} ended again", why=cause(fallen[0])))
    notes += [*proxy.notes, *(note for note in notes_on(after) if work.changed and note not in notes)]
    return _result(parameters, before, state_of(after), moves, work.changed, notes)


def _plan(parameters: t.Mapping[str, t.Any], work: Work) -> t.List[Move]:
    operation, target, units = parameters["operation"], work.target, work.units
    names = tuple(unit.name for unit in units)
    if operation == "apply":
        return apply_plan(target, units)
    if operation == "restart":
        return restart_plan(target, units, parameters["way"], parameters["replica"])
    if operation == "stop":
        return stop_plan(units)
    if operation == "scale":
        if parameters["count"] is None:
            return []
        spare = show([target.of(one) for one in target.instances]) if target.instances else []
        return scale_plan(target, units, parameters["count"], spare)
    require_units(target, units)
    moves = start_plan(target, units) if operation == "start" else []
    started = {name for move in moves for name in move.units}
    rest = tuple(name for name in names if name not in started)
    return [*([Move("wait", rest)] if rest else []), *moves]


def stopped_by(moves: t.Sequence[Move]) -> t.Set[str]:
    """Units that the plan ends with stopped."""
    last = {name: move.verb for move in moves for name in move.units}
    return {name for name, verb in last.items() if verb == "stop"}


def predicted(before: State, moves: t.Sequence[Move]) -> State:
    """The state that there should be after the plan."""
    replicas = {replica.name: replica for replica in before.replicas}
    for move in moves:
        for name in move.units:
            if move.verb == "stop" and move.lasting:
                replicas.pop(name, None)
            elif move.verb == "stop":
                replicas[name] = replace(replicas[name], state="inactive", health="", started_at="", reason="")
            elif move.verb != "wait":
                known = replicas.get(name, Replica(name, RUNNING))
                replicas[name] = replace(known, state=RUNNING, health="", exit_status=None, reason="")
    return State(len(replicas) or None, tuple(replicas.values()))


def _result(
    parameters: t.Mapping[str, t.Any], before: State, after: State, moves: t.Sequence[Move], changed: bool, notes: t.Sequence[str]
) -> t.Dict[str, t.Any]:
    steps = [move.sentence for move in moves if move.verb != "wait" or parameters["operation"] == "wait"]
    return {
        "changed": changed,
        "before": before.as_dict(),
        "after": after.as_dict(),
        "steps": steps,
        "conclusion": after.conclusion,
        "notes": list(notes),
        "diff": {"before": _lines(before), "after": _lines(after)},
    }


def _lines(state: State) -> str:
    return "".join(f"{replica.sentence}\n" for replica in state.replicas)


def _failure(parameters: t.Mapping[str, t.Any], work: Work, left: t.Sequence[Move], error: RunbookError) -> RunbookError:
    """Bring back what can be, and say what runs now."""
    back = _bring_back(parameters["operation"], work, left[0])
    units = units_of(work.target)
    done = f"Done before: {', '.join(work.done)}" if work.done and parameters["operation"] != "wait" else ""
    untouched = [name for move in left[1:] for name in move.units if name not in work.done]
    rest = f"Untouched: {', '.join(untouched)}" if untouched else ""
    why = ". ".join(part for part in (error.why, back, done, rest, f"Now {state_of(units).conclusion}") if part)
    return type(error)(
        error.what,
        where=error.where,
        why=why,
        next_step=error.next_step or f"see journalctl --unit={left[0].units[0]}, mend the cause, then run this again",
        changed=work.changed,
        facts={**error.facts, "done": work.done, "untouched": untouched, "after": state_of(units).as_dict()},
    )


def _bring_back(operation: str, work: Work, move: Move) -> str:
    """Units that did not run before, and do not run well now, do not go on trying. Says what was done."""
    if operation not in ("start", "scale") or move.verb != "start":
        return ""
    now = show(move.units)
    known = {unit.name: unit for unit in work.units}
    new = [unit for unit in now if unit.name not in known]
    wrong = [unit for unit in now if unit.name in known and not known[unit.name].active and not work.waiting.is_stable(unit)]
    try:
        if new:
            end_units(new)
            systemctl("disable", "--quiet", "--", *(unit.name for unit in new))
            systemctl("reset-failed", "--", *(unit.name for unit in new), check=False)
        if wrong:
            end_units(wrong)
    except RunbookError as error:
        return f"It could not be brought back: {error.message}"
    told = [f"{', '.join(unit.name for unit in new)} stopped and disabled again" if new else ""]
    told += [f"{', '.join(unit.name for unit in wrong)} stopped again" if wrong else ""]
    return "; ".join(part for part in told if part)
