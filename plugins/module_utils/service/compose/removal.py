# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_replicas_remove: replicas of a Compose service go, without losing a request."""

from __future__ import annotations

import typing as t

from ...errors import RunbookError
from ...progress import Progress
from ..proxies import proxy_from
from .containers import Container, address_of, of_service
from .engine import Engine
from .journal import Journal
from .rolling import limits_of, planned_repairs, put_right, release_gone
from .rolling_model import TURN
from .rolling_plan import NO_PROXY, Removal, as_repaired, make_removal
from .rolling_project import OPTIONS as PROJECT_OPTIONS
from .rolling_project import replicas_of, service_of
from .rolling_turn import Turns
from .successor import remove

OPTIONS: t.Dict[str, t.Mapping[str, t.Any]] = {**PROJECT_OPTIONS, "count_to_keep": {"type": "int", "required": True}}
"""Described in plugins/modules/service_replicas_remove.py."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Remove the replicas above the number that `parameters`, valid for OPTIONS, name; in check mode only tell the plan.

    Raises:
        BadInput: What is asked for cannot be done; nothing was changed.
        RunbookError: Docker, Compose or the proxy does not do its part; replicas whose turn had not come stay, and serve.
    """
    project = service_of(parameters)
    with Engine() as engine:
        name, containers = replicas_of(project)
        proxy = proxy_from(parameters["proxy"], lambda container: address_of(engine, container))
        journal = Journal.of(parameters["state_folder"], name, project.service)
        turns = Turns(engine, proxy, journal, limits_of(parameters), Progress(f"Removing replicas of {project.service}"))
        if check_mode:
            repairs = planned_repairs(containers, journal.read())
            removal = make_removal(as_repaired(containers, journal.read()), parameters["count_to_keep"])
            return _result(removal, [*repairs, *removal.sentences(str(proxy or ""), parameters["stop_timeout_s"])], [])
        with journal.held():
            if name and put_right(turns, name, project.service):
                containers = of_service(engine, name, project.service)
            removal = make_removal(containers, parameters["count_to_keep"])
            if removal.goes and removal.stays and proxy is None:
                turns.notes.append(NO_PROXY)
            _carry_out(removal, turns)
    return _result(removal, turns.steps, turns.notes)


def _carry_out(removal: Removal, turns: Turns) -> None:
    try:
        for container in removal.goes:
            _remove(turns, container, needs_others=bool(removal.stays))
    finally:
        release_gone(turns)


def _remove(turns: Turns, container: Container, *, needs_others: bool) -> None:
    servers = turns.servers_of(container)
    try:
        turns.take_out(container, servers, needs_others=needs_others)
        turns.stop(container)
        remove(turns.engine, container.id)
    except RunbookError as error:
        problem = turns.unwell(container, error, "")
        back = turns.give_up(container.id, container.name, servers)
        raise RunbookError(
            f"The removal stopped at {container.name}: {problem.what}",
            where=problem.where,
            why=". ".join(part for part in (problem.why, back) if part),
            next_step=problem.next_step,
            changed=turns.touched or bool(turns.steps),
            facts={"failed": container.name, "steps": turns.steps, "notes": turns.notes},
        ) from error
    turns.steps.append(f"{container.name} was stopped and removed")
    turns.journal.note(gone=[*turns.journal.read().get("gone", ()), *servers])
    turns.journal.forget(*TURN)


def _result(removal: Removal, steps: t.Sequence[str], notes: t.Sequence[str]) -> t.Dict[str, t.Any]:
    count = len(removal.stays)
    return {
        "changed": bool(steps),
        "steps": list(steps),
        "notes": list(notes),
        "conclusion": f"{count} {'replica stays' if count == 1 else 'replicas stay'}, {len(removal.goes)} removed",
        "removed": [one.name for one in removal.goes],
        "untouched": [one.name for one in removal.stays],
        "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)},
    }
