# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module unit_replicas: the units of a service are started, stopped, restarted, counted up or down, or waited for."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field, replace

from ...errors import CommandFailed, RunbookError
from ...progress import Progress
from .. import reading
from ..asked import replicas_asked
from ..deadline import Deadline
from ..journal import Journal
from ..proxies import proxy_from
from ..ready import require_sense, until_ready
from ..state import RUNNING, Replica, State
from .check import reload_and_check
from .control import Waiting, cause, end_units, last_lines, require_root, require_running, start_units, systemctl
from .files import notes_on
from .plan import QUIET, RELEASE, WAIT, Move, apply_plan, require_units, restart_plan, scale_plan, start_plan, stop_plan
from .proxy import InProxy, no_container
from .ready import for_instances
from .state import VERB_OPTIONS, Target, Unit, as_verb, show, state_of, target_of, units_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **VERB_OPTIONS,
    **reading.OPTIONS,
    "operation": {"type": "str", "choices": ["start", "stop", "restart", "apply", "scale", "wait"], "required": True},
    "way": {"type": "str", "default": "rolling"},
    "replica": {"type": "str", "default": ""},
    "scale_to": {"type": "raw", "default": ""},
    "replicas_named": {"type": "dict", "default": {}},
    "ready_checks": {"type": "list", "elements": "dict", "default": []},
    "proxy": {"type": "dict", "default": {}},
    "drain_timeout_s": {"type": "float", "default": 30.0},
    "health_timeout_s": {"type": "float", "default": 100.0},
    "settle_s": {"type": "float", "default": 1.0},
}
"""Described in plugins/modules/unit_replicas.py."""
_BEHIND_PROXY = ("restart", "apply", "scale")


@dataclass
class Work:
    """One call.

    Attributes:
        target: Which units the service is.
        units: They, as they were before.
        waiting: How they are waited for.
        health_s: Seconds within which they must be healthy, and have requests, once they are told to start.
        checks: Those that must pass.
        proxy: The proxy in front of them.
        progress: What is told meanwhile.
        done: Units with which it is over and well.
        changed: Whether anything was done.
    """

    target: Target
    units: t.List[Unit]
    waiting: Waiting
    health_s: float
    checks: t.Sequence[t.Mapping[str, t.Any]]
    proxy: InProxy
    progress: Progress
    done: t.List[str] = field(default_factory=list)
    changed: bool = False

    def checks_of(self, names: t.Sequence[str]) -> t.List[t.Dict[str, t.Any]]:
        """The checks for these units."""
        return for_instances(self.checks, [self.target.instance(name) for name in names] if self.target.is_template else [])

    def carry_out(self, move: Move) -> None:
        """Do one step.

        Raises:
            RunbookError: It failed; the message is the cause. Units that were taken out of the proxy are in again where they can be.
        """
        before = show(move.units)
        if move.verb == RELEASE:
            self.proxy.notes += self.proxy.let_go(before)
            return
        try:
            for unit in before if move.drains else ():
                self.proxy.take_out(unit, needs_others=move.lasting or len(self.units) > 1)
            if move.verb == "stop":
                self._stop(move, before)
            else:
                self._start(move, before)
        except RunbookError as error:
            error.why = ". ".join(part for part in (error.why, *self._let_go(move)) if part)
            raise
        self.done += move.units

    def _stop(self, move: Move, before: t.Sequence[Unit]) -> None:
        self.changed = True
        end_units(before)
        if move.lasting:
            systemctl("disable", "--quiet", "--", *move.units)
        self.proxy.notes += self._let_go(move)

    def _start(self, move: Move, before: t.Sequence[Unit]) -> None:
        deadline = Deadline(self.health_s)
        if move.verb != WAIT:
            self.changed = True
            failed = [unit.name for unit in before if unit.get("ActiveState") == "failed"]
            if failed:
                # One that ended too often is not started again before its failures are forgotten.
                systemctl("reset-failed", "--", *failed)
            if move.lasting:
                systemctl("enable", "--quiet", "--", *move.units)
            start_units(move.verb, move.units, deadline)
        units = self.waiting.until_stable(move.units, deadline, before)
        try:
            until_ready(self.checks_of(move.units), deadline, lambda: require_running(move.units), self.progress)
        except CommandFailed as error:
            if "unready" in error.facts:
                said = last_lines(units[0])
                error.where, error.why = ", ".join(move.units), error.why + (f". It said last: {said}" if said else "")
            raise
        for unit in self.proxy.out(units):
            self.proxy.bring_in(unit, deadline)

    def _let_go(self, move: Move) -> t.List[str]:
        """Units may have become others since: they are looked at again where the proxy waits for them."""
        try:
            return self.proxy.let_go(show(move.units)) if self.proxy.proxy else []
        except RunbookError as error:
            return [error.message]


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Do what `operation` says, in the order of a plan; check mode only makes the plan.

    Raises:
        BadInput: What is asked for cannot be done; nothing was changed.
        RunbookError: A unit failed. What came before it is done, what comes behind it is as it was.
    """
    target = target_of(parameters["unit"], parameters["instances"])
    units = units_of(target)
    work = _work(parameters, target, units)
    require_sense(work.checks_of([unit.name for unit in units]))
    moves = _plan(parameters, work)
    before = state_of(units)
    changes = [move for move in moves if move.verb != WAIT]
    if changes:
        work.proxy.require_answer()
    if changes and not check_mode:
        require_root()
    notes = notes_on(units)
    if changes and parameters["operation"] in ("restart", "apply"):
        notes = reload_and_check(units, read_again=parameters["operation"] == "apply", check_mode=check_mode) or notes
    if check_mode:
        return _result(parameters, before, predicted(before, moves), moves, bool(changes), notes)
    with work.proxy.held() if changes else contextlib.nullcontext():
        after = _carry_out(parameters, work, moves)
    notes += [*work.proxy.notes, *(note for note in notes_on(after) if changes and note not in notes)]
    return _result(parameters, before, state_of(after), moves, bool(changes), notes)


def _work(parameters: t.Mapping[str, t.Any], target: Target, units: t.List[Unit]) -> Work:
    progress = Progress(f"{parameters['operation']} of {target.unit}")
    journal = Journal.of(None, "systemd", target.unit)
    options = parameters["proxy"] if parameters["operation"] in _BEHIND_PROXY else {}
    proxy = InProxy(proxy_from(options, no_container), parameters["drain_timeout_s"], journal, progress)
    waiting = Waiting(parameters["settle_s"], progress)
    return Work(target, units, waiting, parameters["health_timeout_s"], parameters["ready_checks"], proxy, progress)


def _carry_out(parameters: t.Mapping[str, t.Any], work: Work, moves: t.Sequence[Move]) -> t.List[Unit]:
    """The units as they are after all moves."""
    for number, move in enumerate(moves):
        work.progress.say(move.sentence, number, len(moves), "steps")
        try:
            work.carry_out(move)
        except RunbookError as error:
            raise _failure(parameters, work, moves[number:], error) from error
    after = units_of(work.target)
    fallen = [unit for unit in after if unit.name in work.done and not unit.active and unit.name not in stopped_by(moves)]
    if fallen:
        raise _failure(parameters, work, moves[-1:], CommandFailed(f"{fallen[0].name} ended again", why=cause(fallen[0])))
    return after


def _plan(parameters: t.Mapping[str, t.Any], work: Work) -> t.List[Move]:
    operation, target, units = parameters["operation"], work.target, work.units
    names = tuple(unit.name for unit in units)
    if operation == "stop":
        return stop_plan(target, units)
    if operation in ("start", "wait"):
        require_units(target, units)
        moves = start_plan(target, units) if operation == "start" else []
        rest = tuple(name for name in names if not any(name in move.units for move in moves))
        return [*([Move(WAIT, rest)] if rest else []), *moves]
    left = tuple(unit.name for unit in work.proxy.releasable(units))
    moves = [Move(RELEASE, left)] if left else []
    if operation == "apply":
        return moves + apply_plan(target, units, reading.reading_of(parameters))
    if operation == "restart":
        return moves + restart_plan(target, units, parameters["way"], parameters["replica"])
    count = replicas_asked(parameters["scale_to"], parameters["replicas_named"])
    if count is None:
        return moves
    spare = show([target.of(one) for one in target.instances]) if target.instances else []
    return moves + scale_plan(target, units, count, spare)


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
            elif move.verb not in QUIET:
                known = replicas.get(name, Replica(name, RUNNING))
                replicas[name] = replace(known, state=RUNNING, health="", exit_status=None, reason="")
    return State(len(replicas) or None, tuple(replicas.values()))


def _result(
    parameters: t.Mapping[str, t.Any], before: State, after: State, moves: t.Sequence[Move], changed: bool, notes: t.Sequence[str]
) -> t.Dict[str, t.Any]:
    steps = [move.sentence for move in moves if move.verb != WAIT or parameters["operation"] == WAIT]
    return {
        "changed": changed,
        **as_verb(parameters["operation"], parameters),
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
    """Bring back what can be, and say what runs now. What failed is told though systemd does not answer any more."""
    try:
        back = _bring_back(parameters["operation"], work, left[0])
    except RunbookError as failed:
        back = f"It could not be brought back: {failed.message.rstrip('.')}"
    after: t.Optional[State] = None
    try:
        after = state_of(units_of(work.target))
        now = f"Now {after.conclusion}"
    except RunbookError as failed:
        now = f"What runs now is not known: {failed.message.rstrip('.')}"
    done = f"Done before: {', '.join(work.done)}" if work.done and parameters["operation"] != "wait" else ""
    untouched = [name for move in left[1:] for name in move.units if name not in work.done]
    rest = f"Untouched: {', '.join(untouched)}" if untouched else ""
    why = ". ".join(part for part in (error.why, back, done, rest, now) if part)
    return type(error)(
        error.what,
        where=error.where,
        why=why,
        next_step=error.next_step or f"see journalctl --unit={left[0].units[0]}, mend the cause, then run this again",
        changed=work.changed or work.proxy.touched,
        facts={**error.facts, "done": work.done, "untouched": untouched, **({"after": after.as_dict()} if after else {})},
    )


def _bring_back(operation: str, work: Work, move: Move) -> str:
    """Units that did not run before, and do not run well now, do not go on trying. Says what was done.

    Raises:
        RunbookError: They could not be stopped again.
    """
    if operation not in ("start", "scale") or move.verb != "start":
        return ""
    now = show(move.units)
    known = {unit.name: unit for unit in work.units}
    new = [unit for unit in now if unit.name not in known]
    wrong = [unit for unit in now if unit.name in known and not known[unit.name].active and not work.waiting.is_stable(unit)]
    if new:
        end_units(new)
        systemctl("disable", "--quiet", "--", *(unit.name for unit in new))
        systemctl("reset-failed", "--", *(unit.name for unit in new), check=False)
    if wrong:
        end_units(wrong)
    told = [f"{', '.join(unit.name for unit in new)} stopped and disabled again" if new else ""]
    told += [f"{', '.join(unit.name for unit in wrong)} stopped again" if wrong else ""]
    return "; ".join(part for part in told if part)
