# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_rolling_restart: the replicas of a Compose service are renewed one after the other."""

from __future__ import annotations

import typing as t

from ...errors import BadInput, RunbookError
from ...progress import Progress
from ..journal import Journal
from ..proxies import proxy_from
from ..reading import OPTIONS as READING_OPTIONS
from ..reading import reading_of
from .containers import Container, address_of
from .engine import Engine
from .project import Project
from .repairs import planned_repairs, put_right
from .rolling_model import Unwell, owning_up
from .rolling_plan import RECREATE, RESTART, Plan, as_named, as_repaired, make_plan
from .rolling_project import OPTIONS as PROJECT_OPTIONS
from .rolling_project import limits_of, replicas_of, service_of, state_after, wanted_of
from .rolling_turn import Turns
from .state import state_of
from .successor import Pattern, check_renewable

OPTIONS: t.Dict[str, t.Mapping[str, t.Any]] = {
    **PROJECT_OPTIONS,
    **READING_OPTIONS,
    "way": {"type": "str", "choices": [RESTART, RECREATE], "default": RESTART},
    "only": {"type": "list", "elements": "str", "default": []},
    "force": {"type": "bool", "default": False},
    "health_timeout_s": {"type": "float", "default": 100.0},
    "settle_s": {"type": "float", "default": 5.0},
}
"""Described in plugins/modules/service_rolling_restart.py."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Renew the replicas that `parameters`, valid for OPTIONS, mean, one after the other; in check mode only tell the plan.

    Raises:
        BadInput: What is asked for cannot be done; nothing was changed.
        Unwell: A replica did not become well; what it was is back, as far as that can be, and the rest was left alone.
        RunbookError: Docker, Compose or the proxy does not answer.
    """
    project = service_of(parameters)
    _check_times(parameters)
    with Engine() as engine:
        name, found = replicas_of(project)
        proxy = proxy_from(parameters["proxy"], lambda container: address_of(engine, container))
        journal = Journal.of(parameters["state_folder"], name, project.service)
        turns = Turns(engine, proxy, journal, limits_of(parameters), Progress(f"Rolling {parameters['way']} of {project.service}"))
        repaired = as_repaired(found, journal.read())
        facts = {"before": _state(as_named(found, journal.read())), "repaired": _state(repaired)}
        if check_mode:
            repairs = planned_repairs(found, journal.read())
            plan, _described = _plan(parameters, project, engine, repaired)
            steps = [*repairs, *plan.sentences(str(proxy or ""), parameters["health_timeout_s"])]
            would = f"{len(plan.order)} of {len(repaired)} replicas would be renewed"
            return _result(plan, steps, plan.notes, would, {**facts, "state": facts["repaired"]})
        with owning_up(lambda: turns.touched or bool(turns.steps), facts), journal.held():
            containers = put_right(turns, name, project.service) if name else found
            facts["repaired"] = _state(containers)
            plan, described = _plan(parameters, project, engine, containers)
            turns.notes.extend(plan.notes)
            _carry_out(plan, turns, Pattern(engine, project, name, journal, described), containers)
            after = state_after(engine, name, project, len(containers), 0 if parameters["only"] else parameters["health_timeout_s"])
    count = f"{len(plan.order)} of {len(containers)} replicas were {_done(plan)}, and all of them are well"
    said = count if plan.order else "No replica had to be renewed"
    return _result(plan, turns.steps, turns.notes, said, {**facts, "state": after.as_dict()})


def _check_times(parameters: t.Mapping[str, t.Any]) -> None:
    if parameters["settle_s"] < 0 or parameters["health_timeout_s"] <= 0:
        raise BadInput("health_timeout_s must be above 0, and settle_s not below", next_step="correct service_health_timeout_s")


def _plan(parameters: t.Mapping[str, t.Any], project: Project, engine: Engine, containers: t.Sequence[Container]) -> t.Tuple[Plan, str]:
    """What will be done, and what `check_renewable` says where replicas are made anew."""
    way, wanted = parameters["way"], None
    if way == RECREATE and not parameters["force"]:
        wanted = wanted_of(engine, project, containers, reading_of(parameters))
    plan = make_plan(containers, way=way, only=parameters["only"], wanted=wanted, has_proxy=_has_proxy(parameters))
    return plan, check_renewable(project, containers) if RECREATE in plan.ways else ""


def _has_proxy(parameters: t.Mapping[str, t.Any]) -> bool:
    return bool((parameters["proxy"] or {}).get("backend"))


def _carry_out(plan: Plan, turns: Turns, pattern: Pattern, containers: t.Sequence[Container]) -> None:
    try:
        if RECREATE in plan.ways:
            turns.progress.say("trying the compose file with a container that is not started")
            pattern.make()
        for done, container in enumerate(plan.order):
            turns.progress.say(f"{container.name}, {done} of {len(plan.order)} done")
            others = len(containers) > 1 and any(one.is_well or one in plan.order[:done] for one in containers if one is not container)
            if plan.way_of(container) == RECREATE:
                turns.recreate(container, pattern, needs_others=others)
            else:
                turns.restart(container, needs_others=others)
    except Unwell as unwell:
        _tell(unwell, plan, turns)
        raise
    finally:
        try:
            pattern.remove()
        except RunbookError as error:
            turns.notes.append(f"The container that new ones were made from is left: {error.message}")


def _tell(error: Unwell, plan: Plan, turns: Turns) -> None:
    """Let the error of a replica's turn say what the reader needs: why, what was put back, which replicas are new and which old."""
    names = [one.name for one in plan.order]
    failed = str(error.facts["failed"])
    at = names.index(failed)
    new, old = names[:at], [*names[at + 1 :], *(one.name for one in plan.untouched)]
    told = [str(error.facts["back"])]
    told += [f"{_done(plan).capitalize()}, and serving: {', '.join(new)}"] if new else []
    told += [f"Not touched: {', '.join(old)}"] if old else []
    error.what = f"The rolling {plan.way} stopped at {failed}: {error.what}"
    error.why = ". ".join([*([error.why] if error.why else []), *told])
    error.next_step = error.next_step or "mend the cause, then run it again"
    error.facts.update(renewed=new, untouched=old, steps=turns.steps, notes=turns.notes)
    error.args = (error.message,)


def _done(plan: Plan) -> str:
    return {frozenset([RESTART]): "restarted", frozenset([RECREATE]): "made anew"}.get(frozenset(plan.ways), "renewed")


def _state(containers: t.Sequence[Container]) -> t.Dict[str, t.Any]:
    return state_of([one.details for one in containers]).as_dict()


def _result(
    plan: Plan, steps: t.Sequence[str], notes: t.Sequence[str], conclusion: str, states: t.Mapping[str, t.Dict[str, t.Any]]
) -> t.Dict[str, t.Any]:
    return {
        "changed": bool(steps),
        **states,
        "steps": list(steps),
        "notes": list(notes),
        "conclusion": conclusion,
        "renewed": [one.name for one in plan.order],
        "untouched": [one.name for one in plan.untouched],
        "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)},
    }
