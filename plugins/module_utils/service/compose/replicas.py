# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_replicas_set: the replicas of a Compose service become what a list says, such as one of before."""

from __future__ import annotations

import time
import typing as t

from ...command import run
from ...errors import BadInput, CommandFailed, DeadlineExceeded, RunbookError
from ...progress import Progress
from ..info import wait_until_well
from ..state import RUNNING, State
from .containers import FORMER
from .project import OPTIONS as PROJECT_OPTIONS
from .project import Project, containers_of, docker, project_of
from .state import state_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **PROJECT_OPTIONS,
    "replicas": {"type": "list", "elements": "dict", "required": True},
    "health_timeout_s": {"type": "float", "default": 100},
    "stop_timeout_s": {"type": "int", "default": 10},
}
"""Described in plugins/modules/service_replicas_set.py."""
_GRACE_S = 30.0
_ALIVE = (RUNNING, "paused", "restarting")


class Plan(t.NamedTuple):
    """What brings the replicas there: names to remove, to take out of their pause, to start, to stop, and those that are gone."""

    remove: t.List[str]
    unpause: t.List[str]
    start: t.List[str]
    stop: t.List[str]
    gone: t.List[str]

    @property
    def steps(self) -> t.List[str]:
        """Sentences for the reader."""
        said = (
            ("Removed {}", self.remove),
            ("Let {} go on, which was paused", self.unpause),
            ("Started {}", self.start),
            ("Stopped {}", self.stop),
            ("Made {} anew, which was gone", self.gone),
        )
        return [sentence.format(", ".join(names)) for sentence, names in said if names]


def plan(before: t.Sequence[t.Mapping[str, t.Any]], now: State) -> Plan:
    """Compare the replicas as they were with those that there are; `before` is `replicas` of a state.

    Compose numbers on: a replica that is gone has come back under another name when there is one that was not there before.
    """
    was_running = {str(one["name"]): one.get("state") == RUNNING for one in before}
    state = {replica.name: replica.state for replica in now.replicas}
    gone = sorted((name for name in was_running if name not in state), key=lambda name: not was_running[name])
    # One that service_rolling_restart has set aside is its own to bring back.
    new = [name for name in state if name not in was_running and not name.endswith(FORMER)]
    shall_run = {
        **{name: ran for name, ran in was_running.items() if name in state},
        **{name: was_running[old] for name, old in zip(new, gone)},
    }
    return Plan(
        remove=new[len(gone) :],
        unpause=[name for name, run_it in shall_run.items() if run_it and state[name] == "paused"],
        start=[name for name, run_it in shall_run.items() if run_it and state[name] not in _ALIVE],
        stop=[name for name, run_it in shall_run.items() if not run_it and state[name] in _ALIVE],
        gone=gone[len(new) :],
    )


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Bring the replicas of `parameters`, valid for OPTIONS, back.

    Raises:
        BadInput: The parameters name no service; nothing was changed.
        RunbookError: The engine does not answer, or not all could be brought back; the message says what runs now.
    """
    project, before = project_of(parameters), parameters["replicas"]
    if not project.service or any("name" not in one for one in before):
        raise BadInput("A service and the names of its replicas are needed", where=project.where)
    give_up = time.monotonic() + parameters["health_timeout_s"]
    wanted = plan(before, _state_once_it_answers(project, give_up))
    changed = any(wanted)
    if changed and not check_mode:
        _carry_out(project, wanted, before, parameters["stop_timeout_s"])
    state = state_of(containers_of(project))
    if not check_mode and any(one.get("state") == RUNNING for one in before):
        state = _wait(project, before, max(1.0, give_up - time.monotonic()))
    return {"changed": changed, "steps": wanted.steps, "state": state.as_dict(), "conclusion": state.conclusion}


def _state_once_it_answers(project: Project, give_up: float) -> State:
    """The engine may be starting again; it is asked until it answers."""
    progress = Progress("Waiting until the engine answers")
    while True:
        try:
            return state_of(containers_of(project))
        except (CommandFailed, DeadlineExceeded) as error:
            if time.monotonic() >= give_up:
                raise
            progress.say(error.what, 0, 1)
            time.sleep(0.5)


def _carry_out(project: Project, wanted: Plan, before: t.Sequence[t.Mapping[str, t.Any]], stop_timeout_s: int) -> None:
    patience_s = _GRACE_S + stop_timeout_s
    if wanted.remove:
        docker("rm", "--force", "--volumes", "--", *wanted.remove, timeout_s=patience_s)
    if wanted.unpause:
        docker("unpause", *wanted.unpause)
    if wanted.start:
        docker("start", *wanted.start, timeout_s=patience_s)
    if wanted.gone:
        scale = f"{project.service}={len(before)}"
        run(project.compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", scale, project.service, timeout_s=300))
    stop = list(wanted.stop)
    if wanted.gone:
        # Compose starts every container of the service when it makes one anew.
        stop += plan(before, state_of(containers_of(project))).stop
    if stop:
        docker("stop", "--time", str(stop_timeout_s), *sorted(set(stop)), timeout_s=patience_s + stop_timeout_s * len(stop))


def _wait(project: Project, before: t.Sequence[t.Mapping[str, t.Any]], timeout_s: float) -> State:
    """Wait for those that ran before; who was ill then may be ill now."""
    ran = [one for one in before if one.get("state") == RUNNING]
    ill = {str(one["name"]) for one in ran if one.get("health") not in ("", "healthy")}
    others = ill | {str(one["name"]) for one in before if one.get("state") != RUNNING}

    def those() -> State:
        found = state_of(containers_of(project)).replicas
        return State(len(ran) - len(ill), tuple(one for one in found if one.name not in others))

    if len(ran) > len(ill):
        try:
            wait_until_well(those, timeout_s, "Waiting until what ran before is healthy again")
        except RunbookError as error:
            error.changed = True
            raise
    return state_of(containers_of(project))
