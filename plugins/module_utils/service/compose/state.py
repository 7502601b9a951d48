# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The state of a service of Docker Compose, read from its containers."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ...checks.redaction import Redactor, clip
from ..journal import Journal
from ..state import RUNNING, Replica, State
from .containers import Container, parse
from .limits_plan import present
from .project import OPTIONS as PROJECT_OPTIONS
from .project import containers_of, project_of
from .rolling_plan import as_named

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {**PROJECT_OPTIONS, "state_folder": {"type": "path"}}
_REASON_CHARACTERS = 300


def read(parameters: t.Mapping[str, t.Any]) -> State:
    """The state now, of the service that `parameters`, valid for OPTIONS and with `wanted`, name.

    Raises:
        BadInput: They name none.
        CommandFailed, ToolMissing, DeadlineExceeded: The engine does not answer.
    """
    project = project_of(parameters)
    found = as_left(containers_of(project), parameters.get("state_folder"))
    return (state_of if project.service else whole_state_of)(found, parameters.get("wanted"))


def as_left(
    containers: t.Sequence[t.Mapping[str, t.Any]],
    state_folder: t.Optional[str],
    told: t.Callable[[t.Sequence[Container], t.Mapping[str, t.Any]], t.List[Container]] = as_named,
) -> t.List[t.Mapping[str, t.Any]]:
    """Replicas without what a rolling action that was killed has left beside them, `as_named` or `as_repaired`."""
    groups: t.Dict[t.Tuple[str, str], t.List[Container]] = {}
    for one in map(parse, containers):
        groups.setdefault(one.belongs_to, []).append(one)
    read = {names: told(several, Journal.of(state_folder, *names).read()) for names, several in groups.items()}
    return [one.details for several in read.values() for one in several]


def whole_state_of(containers: t.Sequence[t.Mapping[str, t.Any]], wanted: t.Optional[int] = None) -> State:
    """The state of all services of a project: some do their work once, and end."""
    replicas = state_of(containers).replicas
    finished = [
        one.exit_status == 0 and one.state == "exited" and restart_policy(container) in ("", "no", "on-failure")
        for one, container in zip(replicas, containers)
    ]
    return State(wanted, tuple(replace(one, has_finished=has) for one, has in zip(replicas, finished)))


def restart_policy(container: t.Mapping[str, t.Any]) -> str:
    """When the engine starts a container again by itself."""
    return str(((container.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "")


def state_of(containers: t.Sequence[t.Mapping[str, t.Any]], wanted: t.Optional[int] = None) -> State:
    """The state that `docker inspect` of the containers tells."""
    return State(wanted, tuple(replica_of(container) for container in containers))


def replica_of(container: t.Mapping[str, t.Any]) -> Replica:
    """One container as `docker inspect` tells it; what an engine leaves out stays empty."""
    state = container.get("State") or {}
    name = str(container.get("Name") or "").lstrip("/")
    status = str(state.get("Status") or ("running" if state.get("Running") else "exited")).lower()
    is_running = status == RUNNING
    health = (state.get("Health") or {}) if is_running else {}
    said = str(health.get("Status") or "").lower()
    return Replica(
        name=name,
        state=status,
        health="" if said == "none" else said,
        image=str((container.get("Config") or {}).get("Image") or ""),
        started_at=_moment(state.get("StartedAt")) if is_running else "",
        restarts=int(container.get("RestartCount") or 0),
        exit_status=int(state.get("ExitCode") or 0) if status in ("exited", "dead", "restarting") else None,
        address=_address(container),
        limits={name: value for name, value in present(container).shown().items() if name != "memory_swap_bytes"},
        reason=_reason(state, health),
    )


def _moment(text: t.Any) -> str:
    """The engine's time with nanoseconds, in whole seconds."""
    text = str(text or "")
    return "" if text.startswith("0001-") else text[:19] + "Z" if len(text) >= 19 else ""


def _address(container: t.Mapping[str, t.Any]) -> str:
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return next((str(one["IPAddress"]) for one in networks.values() if one and one.get("IPAddress")), "")


def _reason(state: t.Mapping[str, t.Any], health: t.Mapping[str, t.Any]) -> str:
    if state.get("OOMKilled") and not state.get("Running"):
        return "it was killed because it needed more memory than its limit"
    if state.get("Error"):
        return shown(state["Error"])
    if health.get("Status") == "unhealthy":
        last = ((health.get("Log") or [])[-1:] or [{}])[0]
        return shown(last.get("Output") or "") or f"its health check ends with {last.get('ExitCode')}"
    return ""


def shown(text: t.Any) -> str:
    """The engine's words on one line, without secrets."""
    return clip(Redactor().text(" ".join(str(text).split())), _REASON_CHARACTERS)
