# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What modules that treat the replicas of a Compose service one by one share: their options, and their calls of `docker compose`."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ...command import run
from ...errors import BadInput, CommandFailed, RunbookError
from ..info import wait_until_well
from ..proxies import PROXY_OPTIONS
from ..reading import Reading
from ..state import State
from .containers import LABEL, Container, of_service, parse
from .engine import Engine, NoSuchContainer
from .project import OPTIONS as SERVICE_OPTIONS
from .project import Project, containers_of, project_of
from .project import words as told
from .rolling_model import Limits
from .rolling_plan import Wanted
from .state import state_of

OPTIONS: t.Dict[str, t.Mapping[str, t.Any]] = {
    **SERVICE_OPTIONS,
    "proxy": {"type": "dict", "options": PROXY_OPTIONS, "default": {}},
    "stop_timeout_s": {"type": "int", "default": 10},
    "drain_timeout_s": {"type": "float", "default": 30.0},
    "state_folder": {"type": "path"},
}
"""Described in the documentation fragments sre.runbooks.compose_service, service_rolling and state."""
_TIMEOUT_S = 120.0
_CREATE_TIMEOUT_S = 900.0
"""An image may have to be fetched."""


def service_of(parameters: t.Mapping[str, t.Any]) -> Project:
    """The service that `parameters`, valid for OPTIONS, name.

    Raises:
        BadInput: They name none, or a time is below 0.
    """
    project = project_of(parameters)
    if not project.service:
        raise BadInput("No service is named", where=project.where, next_step="name it (service_compose_service)")
    for name in ("stop_timeout_s", "drain_timeout_s"):
        if parameters[name] < 0:
            raise BadInput(f"{name} is below 0", where=str(parameters[name]), next_step="name 0 or more seconds")
    return project


def limits_of(parameters: t.Mapping[str, t.Any]) -> Limits:
    """The times that the parameters name."""
    named = {key: parameters[name] for key, name in (("health_s", "health_timeout_s"), ("settle_s", "settle_s")) if name in parameters}
    return Limits(parameters["drain_timeout_s"], parameters["stop_timeout_s"], **named)


def replicas_of(project: Project) -> t.Tuple[str, t.List[Container]]:
    """Name of the project, and the service's containers by number; an empty name where there is none.

    Raises:
        BadInput, CommandFailed: as `containers_of` does.
    """
    found = containers_of(project)
    if not found:
        return "", []
    containers = sorted((parse(one) for one in found), key=lambda one: (one.number, one.name))
    return str(found[0]["Config"]["Labels"][f"{LABEL}project"]), containers


def call(project: Project, *words: str, timeout_s: float = _TIMEOUT_S, described: str = "") -> str:
    """What `docker compose` prints; `described` is the text of a Compose file that takes the place of the project's.

    Raises:
        CommandFailed: It fails; `why` holds its last words.
        ToolMissing: There is no program `docker` on this host.
        DeadlineExceeded: It takes too long.
    """
    named = replace(project, files=("-",)) if described else project
    done = run(named.compose(*words, timeout_s=timeout_s), stdin=described or None, check=False)
    if done.status != 0:
        raise CommandFailed(
            f"Docker Compose cannot do it for {project.where}",
            where=f"docker compose {' '.join(words[:3])}",
            why=told(done.stderr)[-1000:] or f"exit status {done.status}",
            next_step="correct the compose file or its environment file (docker compose config says what it understands)",
        )
    return done.stdout


def config_hash(project: Project) -> str:
    """Compose's hash of what the service's containers would be made from now.

    Raises:
        RunbookError: Compose does not tell it.
    """
    try:
        words = call(project, "config", "--hash", project.service).split()
    except CommandFailed:
        # It may be in a profile that is not chosen: `*` is for all of them (Compose 2.0 on), and what ails others of them counts then, too.
        words = call(project, "--profile", "*", "config", "--hash", project.service).split()
    if len(words) != 2 or words[0] != project.service:
        raise RunbookError("Docker Compose does not tell the hash of the service", where=project.where, why=" ".join(words)[:200])
    return words[1]


def wanted_of(engine: Engine, project: Project, containers: t.Sequence[Container], reading: Reading) -> Wanted:
    """What the service's containers would be made from now, and read when they start.

    Raises:
        RunbookError: Compose or the engine does not tell it.
    """
    found = {}
    for name in {str((one.details.get("Config") or {}).get("Image") or "") for one in containers} - {""}:
        try:
            found[name] = str(engine.ask("GET", f"/images/{name}/json")["Id"])
        except NoSuchContainer:  # 404: no such image
            pass
    return Wanted(config_hash(project), found, reading)


def state_after(engine: Engine, name: str, project: Project, count: int, wait_s: float) -> State:
    """What runs when all turns have ended; `wait_s` seconds above 0 are those within which all must be well.

    Raises:
        CommandFailed, DeadlineExceeded: A replica that was well has not stayed so.
    """

    def read() -> State:
        return state_of([one.details for one in of_service(engine, name, project.service)], count)

    state = read()
    return state if state.is_well or wait_s <= 0 else wait_until_well(read, wait_s)


def create_one_more(
    engine: Engine, project: Project, name: str, described: str = ""
) -> t.Tuple[t.List[Container], t.Optional[CommandFailed]]:
    """Let Compose make, and not start, one container more than there are of the project `name`; nothing else is touched.

    Args:
        engine: The engine.
        project: The service.
        name: Name of its project.
        described: Text of a Compose file in the place of the project's own; empty for that.

    Returns:
        The containers that came of it, and the error of Compose where it could not, for example because an image is missing.
    """
    before = [one.id for one in of_service(engine, name, project.service)]
    scale, failed = f"{project.service}={len(before) + 1}", None
    words = ("up", "--no-start", "--no-deps", "--no-recreate", "--quiet-pull", "--scale", scale, "--", project.service)
    try:
        call(project, *words, timeout_s=_CREATE_TIMEOUT_S, described=described)
    except CommandFailed as error:
        failed = error
    return [one for one in of_service(engine, name, project.service) if one.id not in before], failed
