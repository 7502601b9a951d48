# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_rehearsal: would a replica with the present Compose file and environment be healthy?

One is started beside those that serve, by `docker compose run`: without published ports and without the service's name, so that no request
reaches it. What serves is not touched.
"""

from __future__ import annotations

import hashlib
import json
import time
import typing as t

from ...command import run
from ...errors import BadInput, CommandFailed, RunbookError
from ..info import wait_until_well
from ..reading import OPTIONS as READING_OPTIONS
from ..reading import reading_of
from ..state import State
from .containers import Container, parse
from .engine import Engine
from .project import DEADLINE_S, Project, containers_of, docker, project_of, words
from .project import OPTIONS as PROJECT_OPTIONS
from .rolling_project import wanted_of
from .state import as_left, shown, state_of
from .successor import check_renewable

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **PROJECT_OPTIONS,
    **READING_OPTIONS,
    "state_folder": {"type": "path"},
    "stop_timeout_s": {"type": "int", "default": 10},
    "health_timeout_s": {"type": "float", "default": 100},
    "only_when_outdated": {"type": "bool", "default": False},
}
"""Described in plugins/modules/service_rehearsal.py."""
_START_S = 300.0
_ADDRESSES = ("ipv4_address", "ipv6_address")
_LAST_LINES = 5


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Compare the replicas with the present configuration, and try that; `parameters` are valid for OPTIONS.

    Raises:
        BadInput: The Compose files cannot be read, or the image is not there; nothing was changed.
        CommandFailed, DeadlineExceeded: A replica with this configuration does not become healthy; nothing that serves was changed.
    """
    project = project_of(parameters)
    if not project.service:
        raise BadInput("A service is needed", where=project.where, next_step="name it (service_compose_service)")
    service = service_definition(project)
    containers = [parse(one) for one in as_left(containers_of(project), parameters["state_folder"])]
    with Engine() as engine:
        wanted = wanted_of(engine, project, containers, reading_of(parameters))
    outdated = [one.name for one in containers if not wanted.is_met_by(one)]
    # An image that nothing is made from, and nothing tried, need not be there.
    image = str(service.get("image") or "") if parameters["only_when_outdated"] and not outdated else check_image(project, service)
    reason = why_not(service, containers, outdated, only_when_outdated=parameters["only_when_outdated"])
    took_s = None
    if not reason and not check_mode:
        took_s = _try(project, parameters["health_timeout_s"], parameters["stop_timeout_s"])
    return {
        "changed": False,
        "image": image,
        "outdated": outdated,
        "rehearsed": took_s is not None,
        "healthy_after_s": took_s,
        "why_not": "nothing is started in check mode" if check_mode and not reason else reason,
        "renewable": None if parameters["only_when_outdated"] else _is_renewable(project, containers),
    }


def _is_renewable(project: Project, containers: t.Sequence[Container]) -> bool:
    try:
        check_renewable(project, containers)
    except BadInput:
        return False
    return True


def service_definition(project: Project) -> t.Dict[str, t.Any]:
    """The service as Compose reads it from its files, variables filled in.

    Raises:
        BadInput: The files cannot be read, or have no such service.
    """
    done = run(project.compose("config", "--format", "json", project.service), check=False)
    if done.status != 0:
        raise BadInput(
            "Docker Compose does not take its files", where=project.where, why=words(done.stderr)[-500:], next_step="mend what it names"
        )
    try:
        return dict(json.loads(done.stdout)["services"][project.service])
    except (ValueError, KeyError, TypeError):
        raise BadInput("The Compose files have no such service", where=project.where) from None


def check_image(project: Project, service: t.Mapping[str, t.Any]) -> str:
    """Name of the service's image, which must be on this host.

    Raises:
        BadInput: It is not.
        CommandFailed: The engine does not say.
    """
    image = str(service.get("image") or "")
    done = docker("image", "inspect", "--format", "{{.Id}}", "--", image, check=False) if image else None
    if done is not None and done.status != 0:
        if "no such" not in done.stderr.lower():
            raise CommandFailed("The image of the service cannot be looked at", where=image, why=shown(done.stderr))
        step = f"fetch it (docker pull {image})" + (
            ", or build it (docker compose build)" if service.get("build") else ", or correct its name"
        )
        raise BadInput("The image of the service is not on this host", where=f"{image}, {project.where}", next_step=step)
    return image


def why_not(service: t.Mapping[str, t.Any], containers: t.Sequence[t.Any], outdated: t.Sequence[str], *, only_when_outdated: bool) -> str:
    """Why no replica is tried; empty where one may be.

    One that writes to a volume is started beside another only where several do so already: two database servers would ruin their files.
    """
    if only_when_outdated and not outdated:
        return "the replicas have the present configuration already"
    writes = [
        one
        for one in service.get("volumes") or ()
        if isinstance(one, dict) and one.get("type") in ("bind", "volume") and not one.get("read_only") and one.get("source")
    ]
    if writes and len(containers) < 2:
        return f"it writes to {writes[0].get('source')} and runs as one replica, which must be the only one"
    if str(service.get("network_mode") or "").startswith(("host", "container:", "service:")):
        return f"its network is {service['network_mode']}, where its ports are taken"
    networks = service.get("networks")
    fixed = [one for one in (networks.values() if isinstance(networks, dict) else ()) if one and set(one) & set(_ADDRESSES)]
    if fixed:
        return f"its address is given ({next(fixed[0][name] for name in _ADDRESSES if name in fixed[0])}), and taken"
    return ""


def _try(project: Project, timeout_s: float, stop_timeout_s: int) -> float:
    """Start a replica of its own, wait until it is healthy, let it end, remove it; returns the seconds until it was healthy."""
    # Always the same name, so that what a killed run has left is removed by the next.
    name = f"sre-runbooks-rehearsal-{hashlib.sha256(repr(project).encode()).hexdigest()[:12]}"
    docker("rm", "--force", "--volumes", "--", name, check=False)
    began = time.monotonic()
    try:
        words = ("run", "--detach", "--no-deps", "--no-TTY", "--name", name, project.service)
        run(project.compose(*words, timeout_s=_START_S))
        wait_until_well(lambda: _state(name), timeout_s, "Waiting until a replica with the present configuration is healthy")
        took_s = time.monotonic() - began
        # It may have begun work that it must bring to an end.
        docker("stop", "--time", str(stop_timeout_s), name, timeout_s=DEADLINE_S + stop_timeout_s, check=False)
    except RunbookError as error:
        said = docker("logs", "--tail", str(_LAST_LINES), name, check=False)
        last = shown(said.stdout + said.stderr)
        why = error.why.replace(name, "it") + (f"; its last lines: {last}" if last and said.status == 0 else "")
        raise CommandFailed(
            f"A replica with the present configuration does not become healthy; it was tried beside those that serve: {error.what}",
            where=project.where,
            why=why,
            next_step="correct the configuration",
        ) from None
    finally:
        docker("rm", "--force", "--volumes", "--", name, check=False)
    return round(took_s, 1)


def _state(name: str) -> State:
    return state_of(json.loads(docker("inspect", "--type", "container", name).stdout), 1)
