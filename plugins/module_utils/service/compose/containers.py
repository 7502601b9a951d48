# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The containers of a service of Docker Compose, as the engine tells them."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote

from ...checks.redaction import Redactor, clip
from ...errors import RunbookError
from ..proxy import Reach
from ..state import Replica
from .engine import Engine, NoSuchContainer

FORMER = ".former"
"""Behind the name of a container whose successor is being tried."""
LABEL = "com.docker.compose."
"""Begin of the names of Compose's labels."""
_NEVER = "0001-01-01"
"""Begin of a time that the engine does not have."""
_LOG_LINES = 8


@dataclass(frozen=True)
class Container:
    """A container of a service.

    Attributes:
        id: Its identity.
        name: Its name.
        number: Its number among the replicas.
        state: `running`, `exited`, `created`, `restarting`, `paused`, `dead`, `removing`.
        health: `healthy`, `unhealthy`, `starting`; empty where it has no health check.
        started_at: When it was started last, as the engine writes it; empty when never.
        restarts: How often the engine has started it again.
        config_hash: Compose's hash of what it was made from.
        image_id: Image that it runs from.
        reach: Where it is reached now.
        details: Everything that the engine says of it.
    """

    id: str
    name: str
    number: int
    state: str
    health: str = ""
    started_at: str = ""
    restarts: int = 0
    config_hash: str = ""
    image_id: str = ""
    reach: Reach = field(default_factory=Reach)
    details: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self.state == "running"

    @property
    def is_well(self) -> bool:
        """Whether it runs, and is healthy where it has a health check."""
        return self.is_running and self.health in ("", "healthy")

    @property
    def is_former(self) -> bool:
        """Whether a killed run has set it aside for its successor."""
        return self.name.endswith(FORMER)

    @property
    def belongs_to(self) -> t.Tuple[str, str]:
        """Names of its project and its service."""
        labels = (self.details.get("Config") or {}).get("Labels") or {}
        return str(labels.get(f"{LABEL}project") or ""), str(labels.get(f"{LABEL}service") or "")

    def sight_of(self, path: str) -> t.List[str]:
        """What of a path of the host is mounted into it: the path itself, or mounted ones in that folder."""
        bound = [one for one in self.details.get("Mounts") or () if one.get("Type") == "bind"]
        mounts = [os.path.realpath(one["Source"]) for one in bound if one.get("Source")]
        names = {os.path.abspath(path), os.path.realpath(path)}
        if any(is_within(name, mount) for name in names for mount in mounts):
            return [path]
        return [mount for mount in mounts if any(is_within(mount, name) for name in names)]

    @property
    def status(self) -> t.Mapping[str, t.Any]:
        """State as the engine tells it."""
        return t.cast(t.Mapping[str, t.Any], self.details.get("State") or {})

    @property
    def sentence(self) -> str:
        """What it is, for a list."""
        status = None if self.is_running else t.cast("t.Optional[int]", self.status.get("ExitCode"))
        return Replica(self.name, self.state, self.health, exit_status=status).sentence


def is_within(path: str, folder: str) -> bool:
    """Whether a path is a folder, or in it."""
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def parse(details: t.Mapping[str, t.Any]) -> Container:
    """A container from what the engine's `inspect` says."""
    state = details.get("State") or {}
    labels = (details.get("Config") or {}).get("Labels") or {}
    health = str((state.get("Health") or {}).get("Status") or "")
    started = str(state.get("StartedAt") or "")
    return Container(
        id=str(details["Id"]),
        name=str(details["Name"]).lstrip("/"),
        number=int(labels.get(f"{LABEL}container-number") or 0),
        state=str(state.get("Status") or ""),
        health="" if health == "none" else health,
        started_at="" if started.startswith(_NEVER) else started,
        restarts=int(details.get("RestartCount") or 0),
        config_hash=str(labels.get(f"{LABEL}config-hash") or ""),
        image_id=str(details.get("Image") or ""),
        reach=_reach(details),
        details=details,
    )


def _reach(details: t.Mapping[str, t.Any]) -> Reach:
    settings = details.get("NetworkSettings") or {}
    networks = [one for one in (settings.get("Networks") or {}).values() if one]
    addresses = {str(one.get(key) or "") for one in networks for key in ("IPAddress", "GlobalIPv6Address")}
    bindings = [one for several in (settings.get("Ports") or {}).values() for one in several or ()]
    hosts = {str(one.get("HostIp") or "") for one in bindings} | {str(one.get("Gateway") or "") for one in networks}
    return Reach(
        addresses=frozenset(addresses - {""}),
        published=frozenset(int(one["HostPort"]) for one in bindings if str(one.get("HostPort") or "").isdigit()),
        hosts=frozenset((hosts | {"127.0.0.1", "::1"}) - {"", "0.0.0.0", "::"}),  # noqa: S104 - nothing listens here
    )


def look(engine: Engine, name: str) -> Container:
    """The container `name`, or with that identity.

    Raises:
        NoSuchContainer: There is none.
        Unreachable: The engine does not answer.
    """
    return parse(engine.ask("GET", f"/containers/{quote(name)}/json"))


def of_service(engine: Engine, project: str, service: str) -> t.List[Container]:
    """The containers of a service, by number; those of `docker compose run` are none.

    Raises:
        Unreachable: The engine does not answer.
    """
    labels = [f"{LABEL}project={project}", f"{LABEL}service={service}", f"{LABEL}oneoff=False"]
    filters = '{"label": [' + ", ".join(f'"{label}"' for label in labels) + "]}"
    found = engine.ask("GET", "/containers/json", {"all": 1, "filters": filters})
    containers = []
    for one in found:
        with contextlib.suppress(NoSuchContainer):  # one that went in between is simply not there any more
            containers.append(look(engine, one["Id"]))
    return sorted(containers, key=lambda one: (one.number, one.name))


def evidence(engine: Engine, container: Container) -> t.Dict[str, t.Any]:
    """What tells why a container is not well: state, exit status, out of memory, health check, last lines of its log; without secrets."""
    redactor = Redactor()
    status = container.status
    checks = (status.get("Health") or {}).get("Log") or []
    return {
        "state": container.state,
        "exit_status": None if container.is_running else status.get("ExitCode"),
        "out_of_memory": bool(status.get("OOMKilled")),
        "restarts": container.restarts,
        "health": container.health,
        "health_output": clip(redactor.text(" ".join(str(checks[-1].get("Output") or "").split())), 300) if checks else "",
        "error": clip(redactor.text(str(status.get("Error") or "")), 300),
        "log": [clip(redactor.text(_plain(line)), 300) for line in engine.log(container.id, _LOG_LINES)],
    }


def spoken(found: t.Mapping[str, t.Any]) -> str:
    """What `evidence` found, in one sentence part."""
    parts = []
    if found.get("exit_status") is not None:
        parts.append(f"it is {found['state']} with exit status {found['exit_status']}")
    if found.get("out_of_memory"):
        parts.append("the kernel has ended it for want of memory (OOMKilled)")
    if found.get("error"):
        parts.append(str(found["error"]))
    if found.get("health") and found["health"] != "healthy" and found.get("exit_status") is None:
        parts.append(f"it is {found['health']}" + (f" (its check said: {found['health_output']})" if found["health_output"] else ""))
    if found.get("log"):
        parts.append(f"its log ends with: {' | '.join(found['log'][-3:])}")
    return "; ".join(parts)


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line).strip()


def address_of(engine: Engine, name: str) -> t.Tuple[str, int]:
    """First address of a container, empty where it has none of its own, and the number of its first process on the engine's host.

    Raises:
        RunbookError: It does not run.
        NoSuchContainer: There is none.
    """
    container = look(engine, name)
    if not container.is_running:
        raise RunbookError("The container of the proxy does not run", where=name, why=container.sentence, next_step="start it first")
    shares_host = (container.details.get("HostConfig") or {}).get("NetworkMode") == "host"
    addresses = sorted(container.reach.addresses) or (["127.0.0.1"] if shares_host else [""])
    return addresses[0], int(container.status.get("Pid") or 0)
