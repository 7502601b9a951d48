# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_replicas_remove: replicas of a Compose service go, without losing a request."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

from ...errors import RunbookError
from ...progress import Progress
from ..journal import Journal
from ..proxies import proxy_from
from ..state import State
from .containers import Container, address_of
from .engine import Engine
from .repairs import note_side_by_side, planned_repairs, put_right, release_gone
from .rolling_model import owning_up
from .rolling_plan import NO_PROXY, Removal, as_named, as_repaired, make_removal
from .rolling_project import OPTIONS as PROJECT_OPTIONS
from .rolling_project import limits_of, replicas_of, service_of, state_after
from .rolling_turn import Turns
from .state import state_of
from .successor import remove

OPTIONS: t.Dict[str, t.Mapping[str, t.Any]] = {
    **PROJECT_OPTIONS,
    "count_to_keep": {"type": "int", "required": True},
    "health_timeout_s": {"type": "float", "default": 100.0},
}
"""Described in plugins/modules/service_replicas_remove.py."""
_MOST_AT_ONCE = 16


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Remove the replicas above the number that `parameters`, valid for OPTIONS, name; in check mode only tell the plan.

    Raises:
        BadInput: What is asked for cannot be done.
        RunbookError: Docker, Compose or the proxy does not do its part; a replica that could not be removed serves on, if it can.
    """
    project = service_of(parameters)
    with Engine() as engine:
        name, found = replicas_of(project)
        proxy = proxy_from(parameters["proxy"], lambda container: address_of(engine, container))
        journal = Journal.of(parameters["state_folder"], name, project.service)
        turns = Turns(engine, proxy, journal, limits_of(parameters), Progress(f"Removing replicas of {project.service}"))
        before = state_of([one.details for one in as_named(found, journal.read())])
        if check_mode:
            repairs = planned_repairs(found, journal.read())
            removal = make_removal(as_repaired(found, journal.read()), parameters["count_to_keep"])
            said = [*repairs, *removal.sentences(str(proxy or ""), parameters["stop_timeout_s"])]
            return _result(removal, said, [], (before, before))
        with owning_up(lambda: turns.touched or bool(turns.steps), {"before": before.as_dict()}), journal.held():
            containers = put_right(turns, name, project.service) if name else found
            removal = make_removal(containers, parameters["count_to_keep"])
            if removal.goes and removal.stays and proxy is None:
                turns.notes.append(NO_PROXY)
            if removal.goes:
                remove_all(removal, turns)
            wait_s = parameters["health_timeout_s"] if removal.goes and removal.stays else 0
            after = state_after(engine, name, project, len(removal.stays), wait_s)
    return _result(removal, turns.steps, turns.notes, (before, after))


def remove_all(removal: Removal, turns: Turns) -> None:
    """Let the replicas go side by side, each when its requests have ended.

    Raises:
        RunbookError: No other server of the proxy is up, and nothing was changed; or a replica could not be removed: the others are.
    """
    going = {one.name: turns.servers_of(one) for one in removal.goes}
    servers = [server for several in going.values() for server in several]
    if removal.stays and servers:
        turns.wait_for_others(servers, ", ".join(going))
    note_side_by_side(turns, going)
    turns.touched = True
    with ThreadPoolExecutor(max_workers=min(len(going), _MOST_AT_ONCE)) as pool:
        errors = list(pool.map(lambda one: _remove(turns, one, going[one.name]), removal.goes))
    turns.steps += [f"{one.name} was stopped and removed" for one, error in zip(removal.goes, errors) if error is None]
    failed = [(one, error) for one, error in zip(removal.goes, errors) if error is not None]
    left = [(one, error, *turns.let_serve(one.id, one.name, going[one.name])) for one, error in failed]
    stay = {one.name for one, *_rest in left}
    release_gone(turns, [server for name, several in going.items() if name not in stay for server in several])
    note_side_by_side(turns, {one.name: going[one.name] for one, _error, _back, is_done in left if not is_done})
    if left:
        first, error, *_rest = left[0]
        problem = turns.unwell(first, error, "")
        raise RunbookError(
            f"{', '.join(one.name for one, *_rest in left)} could not be removed: {problem.what}",
            where=problem.where,
            why=". ".join(part for part in (problem.why, *(back for _one, _error, back, _is_done in left)) if part),
            next_step=problem.next_step,
            facts={"failed": first.name, "steps": turns.steps, "notes": turns.notes},
        ) from error


def _remove(turns: Turns, container: Container, servers: t.Sequence[str]) -> t.Optional[RunbookError]:
    """One replica, in a thread of its own; its error is returned."""
    try:
        with turns.beside() as own:
            if own.proxy is not None:
                own.proxy.drain(servers)
            own.wait_drained(container, servers)
            own.stop(container)
            remove(own.engine, container.id)
    except RunbookError as error:
        return error
    return None


def _result(removal: Removal, steps: t.Sequence[str], notes: t.Sequence[str], states: t.Tuple[State, State]) -> t.Dict[str, t.Any]:
    count = len(removal.stays)
    return {
        "changed": bool(steps),
        "before": states[0].as_dict(),
        "state": states[1].as_dict(),
        "steps": list(steps),
        "notes": list(notes),
        "conclusion": f"{count} {'replica stays' if count == 1 else 'replicas stay'}, {len(removal.goes)} removed",
        "removed": [one.name for one in removal.goes],
        "untouched": [one.name for one in removal.stays],
        "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)},
    }
