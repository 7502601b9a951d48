# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_replicas_set: the replicas become what a list says, or all what is asked for."""

from __future__ import annotations

import time
import typing as t
from functools import partial

from ...errors import BadInput, CommandFailed, DeadlineExceeded, RunbookError
from ...progress import Progress
from ..asked import replicas_asked
from ..info import wait_until_well
from ..journal import Journal
from ..proxies import proxy_from
from ..state import RUNNING, State
from .containers import address_of, evidence, look, parse, spoken
from .engine import Engine
from .project import DEADLINE_S, Project, containers_of, docker, project_of
from .repairs import planned_repairs, put_right
from .replicas_plan import ALIVE, Plan, plan
from .rolling_model import owning_up
from .rolling_plan import as_repaired
from .rolling_project import OPTIONS as ROLLING_OPTIONS
from .rolling_project import call, limits_of
from .rolling_turn import Turns
from .state import as_left, state_of, whole_state_of

STOPPED, RESTARTED = "stopped", "restarted"
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **ROLLING_OPTIONS,
    "replicas": {"type": "list", "elements": "dict"},
    "all": {"type": "str", "choices": [RESTARTED, STOPPED]},
    "scale_to": {"type": "raw", "default": ""},
    "replicas_named": {"type": "dict", "default": {}},
    "health_timeout_s": {"type": "float", "default": 100},
}
"""Described in plugins/modules/service_replicas_set.py."""
_NOT_REACHED = ("cannot connect to", "failed to connect to", "error during connect")
"""With which the engine's client begins when it does not reach the engine."""
_GRACE_S = 30.0
_MAKE_S = 300.0
Found = t.List[t.Dict[str, t.Any]]


class Work:
    """Work on the replicas of a service, or of all services of a project.

    Attributes:
        project: Which.
        steps: What was done, or would be, in sentences.
        notes: What the reader should know.
    """

    def __init__(self, project: Project, parameters: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.project, self._parameters, self._check_mode = project, parameters, check_mode
        self._give_up = time.monotonic() + parameters["health_timeout_s"]
        self.steps: t.List[str] = []
        self.notes: t.List[str] = []
        self._touched = False

    @property
    def has_changed(self) -> bool:
        """Whether anything was changed; a step is told when it has ended, and one that fails in its middle may have changed something."""
        return not self._check_mode and (self._touched or bool(self.steps))

    def look(self, wanted: t.Optional[int] = None) -> State:
        """What there is, without what a killed run has left beside it."""
        return self.state_of(as_left(containers_of(self.project), self._parameters["state_folder"]), wanted)

    def foreseen(self, found: Found) -> t.Tuple[State, State]:
        """Of what was `found`: what there is, and what there will be when that is put right which a killed run has left."""
        folder = self._parameters["state_folder"]
        return self.state_of(as_left(found, folder)), self.state_of(as_left(found, folder, as_repaired))

    def state_of(self, kept: t.Sequence[t.Mapping[str, t.Any]], wanted: t.Optional[int] = None) -> State:
        """The state of these containers."""
        return (state_of if self.project.service else whole_state_of)(kept, wanted)

    def look_once_it_answers(self) -> Found:
        """The engine may be starting again; it is asked until it answers, and that it did not is noted: it explains what has ended."""
        progress, began, silent = Progress("Waiting until the engine answers"), time.monotonic(), ""
        while True:
            try:
                found = containers_of(self.project)
            except (CommandFailed, DeadlineExceeded) as error:
                if time.monotonic() >= self._give_up or not may_be_starting(error):
                    raise
                silent = error.what
                progress.say(silent, 0, 1)
                time.sleep(0.5)
            else:
                self.notes += [f"The engine was away for {time.monotonic() - began:.0f} s ({silent})"] if silent else []
                return found

    def put_right(self, found: Found) -> None:
        """Put right what a killed rolling action has left of any of the services."""
        groups: t.Dict[t.Tuple[str, str], Found] = {}
        for one in found:
            groups.setdefault(parse(one).belongs_to, []).append(one)
        for names, several in groups.items():
            journal = Journal.of(self._parameters["state_folder"], *names)
            planned = planned_repairs([parse(one) for one in several], journal.read())
            if self._check_mode or not (planned or journal.read()):
                self.steps += planned
                continue
            with Engine() as engine:
                proxy, away = None, ""
                try:
                    proxy = proxy_from(self._parameters["proxy"], partial(address_of, engine))
                except BadInput:
                    raise
                except RunbookError as error:
                    away = error.message
                turns = Turns(engine, proxy, journal, limits_of(self._parameters), Progress("Putting right what a run has left"))
                turns.steps, turns.notes = self.steps, self.notes
                with journal.held():
                    put_right(turns, *names, away=away)

    def bring(self, now: State, before: t.Sequence[t.Mapping[str, t.Any]]) -> State:
        """Let the replicas that there are `now` be what the list says."""
        wanted = plan(before, now)
        if self._check_mode:
            self.steps += wanted.steps
            return now
        self._carry_out(wanted, before)
        ran = [one for one in before if one.get("state") == RUNNING]
        # Who was ill before may be ill now.
        ill = {str(one["name"]) for one in ran if one.get("health") not in ("", "healthy")}
        others = ill | {str(one["name"]) for one in before if one.get("state") != RUNNING}

        def those() -> State:
            return State(len(ran) - len(ill), tuple(one for one in self.look().replicas if one.name not in others))

        if len(ran) > len(ill):
            self._wait(those, "Waiting until what ran before is healthy again")
        return self.look()

    def _carry_out(self, wanted: Plan, before: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        if wanted.remove:
            self.notes += _last_words(wanted.remove)
            self._docker("rm", "--force", "--volumes", "--", *wanted.remove, timeout_s=_GRACE_S + self._parameters["stop_timeout_s"])
            self.steps += wanted.only("remove")
        if wanted.unpause:
            self._docker("unpause", *wanted.unpause)
            self.steps += wanted.only("unpause")
        if wanted.start:
            self._docker("start", *wanted.start, timeout_s=_GRACE_S)
            self.steps += wanted.only("start")
        if wanted.gone and not self.project.service:
            step = "start the project (playbook service_start)"
            raise CommandFailed("Containers of the project are gone that were there before", where=", ".join(wanted.gone), next_step=step)
        if wanted.gone:
            self._make(len(before))
            self.steps += wanted.only("gone")
            # Compose starts every container of the service when it makes one anew.
            wanted = wanted._replace(stop=sorted({*wanted.stop, *plan(before, self.look()).stop}))
        self._stop(wanted.stop)

    def _make(self, count: int) -> None:
        words = ("up", "--detach", "--no-deps", "--no-recreate", "--scale", f"{self.project.service}={count}", self.project.service)
        self._call(*words, timeout_s=_MAKE_S)

    def _stop(self, names: t.Sequence[str]) -> None:
        if names:
            stop_s = self._parameters["stop_timeout_s"]
            self._docker("stop", "--time", str(stop_s), *names, timeout_s=_GRACE_S + stop_s * len(names))
            self.steps.append(f"Stopped {', '.join(names)}")

    def _docker(self, *words: str, timeout_s: float = DEADLINE_S) -> None:
        self._touched = True
        docker(*words, timeout_s=timeout_s)

    def _call(self, *words: str, timeout_s: float) -> None:
        self._touched = True
        call(self.project, *words, timeout_s=timeout_s)

    def _wait(self, read: t.Callable[[], State], what: str = "Waiting until the service is healthy") -> State:
        return wait_until_well(read, max(1.0, self._give_up - time.monotonic()), what)

    def stop(self, before: State) -> State:
        """Stop all that there are at this moment."""
        alive = [one.name for one in before.replicas if one.state in ALIVE]
        if not alive:
            return before
        if self._check_mode or not self.project.service:
            self.steps.append(f"Stopped {', '.join(alive)}")
        if self._check_mode:
            return before
        if self.project.service:
            self._stop(alive)
        else:
            self._compose_all("stop")
        return self.look()

    def restart(self, before: State) -> State:
        """Restart all at once, and wait until they are well.

        Raises:
            BadInput: There is none.
        """
        names = [one.name for one in before.replicas]
        if not names:
            raise BadInput("The service has no replica", where=self.project.where, next_step="start it first (playbook service_start)")
        self.steps.append(f"Restarted {', '.join(names)}")
        if self._check_mode:
            return before
        self._compose_all("restart", "--no-deps")
        return self._wait(lambda: self.look(sum(not one.has_finished for one in before.replicas)))

    def _compose_all(self, *words: str) -> None:
        """Let Compose treat all replicas, in the order in which services depend on one another."""
        stop_s = self._parameters["stop_timeout_s"]
        services = [self.project.service] if self.project.service else []
        self._call(*words, "--timeout", str(stop_s), *services, timeout_s=_MAKE_S + 2 * stop_s)

    def fill_up(self, before: State, count: int) -> State:
        """Make and start those that are missing from a number, and wait until all are well; those that are too many are left."""
        missing, idle = count - len(before.replicas), [one.name for one in before.replicas if one.state not in ALIVE]
        if missing < 0 or count == 0 or (missing == 0 and before.is_well):
            return before
        said = [f"Replicas: {len(before.replicas)} -> {count}"] if missing else []
        said += [f"Started {', '.join(idle)}"] if idle else []
        self.steps += said
        if self._check_mode:
            return before
        if said:
            self._make(count)
        return self._wait(lambda: self.look(count))


def may_be_starting(error: RunbookError) -> bool:
    """Whether an engine that answers so may be starting, and answer otherwise soon; an account that may not use it never will."""
    said = error.why.lower()
    return isinstance(error, DeadlineExceeded) or (any(words in said for words in _NOT_REACHED) and "permission denied" not in said)


def _last_words(names: t.Sequence[str]) -> t.List[str]:
    """Why the first of these containers that is not well is not, as a sentence: what tells it goes with them."""
    with Engine() as engine:
        for name in names:
            try:
                container = look(engine, name)
                if not container.is_well:
                    return [f"{name} was not well: {spoken(evidence(engine, container))}"]
            except RunbookError:
                pass  # it is gone already, or tells nothing
    return []


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Bring the replicas to what `parameters`, valid for OPTIONS, ask for; first, what a killed run has left is put right.

    Raises:
        BadInput: The parameters make no sense; nothing was changed.
        RunbookError: The engine does not answer, or not all could be done; the facts hold the states `before` and `repaired`.
    """
    project, replicas = project_of(parameters), parameters["replicas"]
    count = replicas_asked(parameters["scale_to"], parameters["replicas_named"])
    if sum(asked is not None for asked in (replicas, parameters["all"], count)) > 1:
        raise BadInput("Only one of replicas, all and scale_to can be asked for", where=project.where)
    if count is not None and not project.service:
        raise BadInput("Only one service can be scaled", where=project.where, next_step="name it (service_compose_service)")
    if any("name" not in one for one in replicas or ()):
        raise BadInput("The names of the replicas are needed", where=project.where)
    work = Work(project, parameters, check_mode)
    found = work.look_once_it_answers()
    before, state = work.foreseen(found)
    facts = {"before": before.as_dict(), "repaired": state.as_dict()}
    with owning_up(lambda: work.has_changed, facts):
        work.put_right(found)
        if work.steps and not check_mode:
            state = work.look()
            facts["repaired"] = state.as_dict()
        if replicas is not None:
            state = work.bring(state, replicas)
        elif parameters["all"] == STOPPED:
            state = work.stop(state)
        elif parameters["all"] == RESTARTED:
            state = work.restart(state)
        elif count is not None:
            state = work.fill_up(state, count)
    return {
        "changed": bool(work.steps),
        "steps": work.steps,
        "notes": work.notes,
        **facts,
        "count": count,
        "state": state.as_dict(),
        "conclusion": state.conclusion,
    }
