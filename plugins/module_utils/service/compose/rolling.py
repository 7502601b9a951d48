# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_rolling_restart: the replicas of a Compose service are renewed one after the other."""

from __future__ import annotations

import time
import typing as t

from ...errors import BadInput, RunbookError
from ...progress import Progress
from ..proxies import proxy_from
from ..proxy import Proxy, Reach
from .containers import Container, address_of, of_service
from .engine import Engine
from .journal import Journal
from .project import Project
from .rolling_model import TURN, Limits, Unwell
from .rolling_plan import RECREATE, RESTART, Plan, Wanted, as_repaired, left_pattern, make_plan, make_repair
from .rolling_project import OPTIONS as PROJECT_OPTIONS
from .rolling_project import config_hash, replicas_of, service_of
from .rolling_turn import Turns
from .successor import Pattern, check_renewable, remove

OPTIONS: t.Dict[str, t.Mapping[str, t.Any]] = {
    **PROJECT_OPTIONS,
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
        name, containers = replicas_of(project)
        proxy = proxy_from(parameters["proxy"], lambda container: address_of(engine, container))
        journal = Journal.of(parameters["state_folder"], name, project.service)
        turns = Turns(engine, proxy, journal, limits_of(parameters), Progress(f"Rolling {parameters['way']} of {project.service}"))
        if check_mode:
            repairs = planned_repairs(containers, journal.read())
            plan = _plan(parameters, project, engine, as_repaired(containers, journal.read()))
            steps = [*repairs, *plan.sentences(str(proxy or ""), parameters["health_timeout_s"])]
            return _result(plan, steps, plan.notes, f"{len(plan.order)} of {len(containers)} replicas would be renewed", bool(steps))
        with journal.held():
            try:
                repaired = put_right(turns, name, project.service)
                containers = of_service(engine, name, project.service) if repaired else containers
                plan = _plan(parameters, project, engine, containers)
                turns.notes.extend(plan.notes)
                _carry_out(plan, turns, Pattern(engine, project, name, journal), containers)
            except RunbookError as error:
                error.changed = error.changed or turns.touched or bool(turns.steps)
                raise
    count = f"{len(plan.order)} of {len(containers)} replicas were {_done(plan)}, and all of them are well"
    return _result(plan, turns.steps, turns.notes, count if plan.order else "No replica had to be renewed", bool(turns.steps))


def limits_of(parameters: t.Mapping[str, t.Any]) -> Limits:
    """The times that the parameters name."""
    named = {key: parameters[name] for key, name in (("health_s", "health_timeout_s"), ("settle_s", "settle_s")) if name in parameters}
    return Limits(parameters["drain_timeout_s"], parameters["stop_timeout_s"], **named)


def _check_times(parameters: t.Mapping[str, t.Any]) -> None:
    if parameters["settle_s"] < 0 or parameters["health_timeout_s"] <= 0:
        raise BadInput("health_timeout_s must be above 0, and settle_s not below", next_step="correct service_health_timeout_s")


def _plan(parameters: t.Mapping[str, t.Any], project: Project, engine: Engine, containers: t.Sequence[Container]) -> Plan:
    way, wanted = parameters["way"], None
    if way == RECREATE:
        check_renewable(project)
        if not parameters["force"]:
            wanted = Wanted(config_hash(project), _images(engine, containers))
    return make_plan(containers, way=way, only=parameters["only"], wanted=wanted, has_proxy=_has_proxy(parameters))


def _has_proxy(parameters: t.Mapping[str, t.Any]) -> bool:
    return bool((parameters["proxy"] or {}).get("backend"))


def _images(engine: Engine, containers: t.Sequence[Container]) -> t.Dict[str, str]:
    found = {}
    for name in {str((one.details.get("Config") or {}).get("Image") or "") for one in containers} - {""}:
        try:
            found[name] = str(engine.ask("GET", f"/images/{name}/json")["Id"])
        except RunbookError as error:
            if error.facts.get("status") != 404:
                raise
    return found


def _carry_out(plan: Plan, turns: Turns, pattern: Pattern, containers: t.Sequence[Container]) -> None:
    try:
        if plan.way == RECREATE and plan.order:
            turns.progress.say("trying the compose file with a container that is not started")
            pattern.make()
        for done, container in enumerate(plan.order):
            turns.progress.say(f"{container.name}, {done} of {len(plan.order)} done")
            others = len(containers) > 1 and any(one.is_well or one in plan.order[:done] for one in containers if one is not container)
            if plan.way == RECREATE:
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
    return "restarted" if plan.way == RESTART else "made anew"


def _result(plan: Plan, steps: t.Sequence[str], notes: t.Sequence[str], conclusion: str, changed: bool) -> t.Dict[str, t.Any]:
    return {
        "changed": changed,
        "steps": list(steps),
        "notes": list(notes),
        "conclusion": conclusion,
        "renewed": [one.name for one in plan.order],
        "untouched": [one.name for one in plan.untouched],
        "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)},
    }


def planned_repairs(containers: t.Sequence[Container], noted: t.Mapping[str, t.Any]) -> t.List[str]:
    """What would be put right after a run that was killed, in sentences."""
    pattern = left_pattern(containers, noted)
    repair = make_repair([one for one in containers if one is not pattern], noted)
    told = [repair.sentence] if repair else []
    return [*told, f"An interrupted run had left {pattern.name}, which is removed"] if pattern else told


def put_right(turns: Turns, project: str, service: str) -> bool:
    """Put right what a killed run has left; says whether there was anything.

    Raises:
        RunbookError: It cannot be put right.
    """
    noted = turns.journal.read()
    containers = of_service(turns.engine, project, service)
    pattern = left_pattern(containers, noted)
    if pattern is not None:
        remove(turns.engine, pattern.id, with_volumes=True)
        turns.steps.append(f"An interrupted run had left {pattern.name}, which was never started: it is removed")
    left = [one for one in containers if one is not pattern]
    repair = make_repair(left, noted)
    if repair is not None:
        turns.steps.append(repair.sentence)
        _repair(turns, repair.act, repair.name, left, list(noted.get("servers") or ()))
    turns.journal.forget(*TURN, "pattern", "pattern_beside")
    return bool(release_gone(turns) or pattern or repair)


def _repair(turns: Turns, act: str, name: str, containers: t.Sequence[Container], servers: t.List[str]) -> None:
    found = next((one for one in containers if one.name == name), None)
    former = next((one for one in containers if one.is_former), None)
    if act == "go_back" and former is not None:
        said = turns.bring_back(name, former.id, servers)
        if "former" in turns.journal.read():
            raise RunbookError("What an interrupted run has left cannot be put right", why=said, changed=True)
        turns.notes.append(said)
    elif act == "finish" and former is not None and found is not None:
        remove(turns.engine, former.id)
        turns.run_again(found.id, name, servers)
    elif act == "start" and found is not None:
        turns.notes.append(f"{name}: {turns.run_again(found.id, name, servers)}")
    elif act == "open" and found is not None and found.is_well:
        turns.back_in(found.id, servers)
    elif act == "open" and turns.proxy is not None:
        release(turns.proxy, servers, found.reach if found else Reach())


def release_gone(turns: Turns) -> bool:
    """Let the proxy use the servers of replicas that were removed for others, all at once: it notices their end at its own pace.

    Returns:
        Whether there were any.
    """
    servers = [str(one) for one in turns.journal.read().get("gone") or ()]
    if servers and turns.proxy is not None:
        try:
            left = release(turns.proxy, servers, Reach())
        except RunbookError as error:
            turns.notes.append(f"{', '.join(servers)} of {turns.proxy} stay drained until the next run: {error.message}")
            return False
        if left:
            turns.notes.append(f"{turns.proxy} keeps {', '.join(left)} drained: nothing listens there now")
    turns.journal.forget("gone")
    return bool(servers)


def release(proxy: Proxy, servers: t.Sequence[str], reach: Reach, wait_s: float = 10.0) -> t.List[str]:
    """Let servers of a replica that is gone be used for others, as soon as the proxy has noticed; returns those of which it has not."""
    left, until = list(servers), time.monotonic() + wait_s
    while left:
        left = proxy.ready(left, reach)
        if not left or time.monotonic() > until:
            break
        time.sleep(0.1)
    return left
