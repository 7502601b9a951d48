# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The state of a service of Docker Compose, read from its containers."""

from __future__ import annotations

import typing as t

from ...checks.redaction import Redactor, clip
from ..state import RUNNING, Replica, State
from .project import OPTIONS as PROJECT_OPTIONS
from .project import containers_of, project_of

OPTIONS = PROJECT_OPTIONS
_REASON_CHARACTERS = 300
_BILLION = 1_000_000_000


def read(parameters: t.Mapping[str, t.Any]) -> State:
    """The state now, of the service that `parameters`, valid for OPTIONS and with `wanted`, name.

    Raises:
        BadInput: They name none.
        CommandFailed, ToolMissing, DeadlineExceeded: The engine does not answer.
    """
    return state_of(containers_of(project_of(parameters)), parameters.get("wanted"))


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
        limits=limits_of(container.get("HostConfig") or {}),
        reason=_reason(state, health),
    )


def limits_of(host_config: t.Mapping[str, t.Any]) -> t.Dict[str, t.Optional[float]]:
    """Most memory (bytes) and processors of a container; null for no limit."""
    memory, nano = int(host_config.get("Memory") or 0), int(host_config.get("NanoCpus") or 0)
    quota, period = int(host_config.get("CpuQuota") or 0), int(host_config.get("CpuPeriod") or 0) or 100_000
    cpus = nano / _BILLION if nano else quota / period if quota > 0 else None
    return {"memory_bytes": memory or None, "cpus": cpus}


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
