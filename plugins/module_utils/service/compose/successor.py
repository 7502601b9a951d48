# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A new container in the place of one replica, from the present compose file and environment.

Compose renews all replicas that differ or none, and gives a container that is made beside them a new number. So Compose makes one more
container, which is never started: the pattern. From what the engine says of it the successor of each replica is made, with the replica's
own name and number, while the former container is set aside and can come back. The pattern then goes.
"""

from __future__ import annotations

import copy
import json
import re
import typing as t
from urllib.parse import quote

from ...errors import BadInput, CommandFailed, RunbookError
from ..journal import Journal
from .containers import LABEL, Container, of_service
from .engine import Engine
from .project import Project
from .rolling_project import call, config_hash, create_one_more

_NUMBER = f"{LABEL}container-number"
_FILES = tuple(f"{LABEL}project.{name}" for name in ("config_files", "environment_file", "working_dir"))
_ENDPOINT = ("IPAMConfig", "Links", "Aliases", "DriverOpts", "GwPriority")
"""What of an endpoint is a setting, and not what came of it."""
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


class Successor(t.NamedTuple):
    """What the engine is asked to make.

    Attributes:
        body: The container with its first network.
        networks: Its other networks: name -> settings.
    """

    body: t.Dict[str, t.Any]
    networks: t.Dict[str, t.Dict[str, t.Any]]


def successor_of(former: Container, pattern: t.Mapping[str, t.Any], own_hash: str = "") -> Successor:
    """What takes the place of `former`, made as the container `pattern` (what the engine says of it) is.

    `own_hash` is Compose's hash of the service where the pattern was made from another description than the project's files.
    """
    name, identity = str(pattern["Name"]).lstrip("/"), str(pattern["Id"])
    body = copy.deepcopy(dict(pattern["Config"]))
    if body.get("Hostname") == identity[:12]:
        del body["Hostname"]
    body.pop("MacAddress", None)
    body["Labels"] = {**(body.get("Labels") or {}), _NUMBER: str(former.number)}
    if own_hash:
        labels = (former.details.get("Config") or {}).get("Labels") or {}
        body["Labels"] |= {f"{LABEL}config-hash": own_hash, **{name: labels[name] for name in _FILES if name in labels}}
    host = body["HostConfig"] = copy.deepcopy(dict(pattern["HostConfig"]))
    _inherit_volumes(body, host, former)
    own = {name: former.name, identity[:12]: ""}
    networks = {network: _endpoint(settings or {}, own) for network, settings in (pattern["NetworkSettings"].get("Networks") or {}).items()}
    first = host.get("NetworkMode") if host.get("NetworkMode") in networks else next(iter(networks), None)
    if first is not None:
        body["NetworkingConfig"] = {"EndpointsConfig": {first: networks.pop(first)}}
    return Successor(body, networks)


def _endpoint(settings: t.Mapping[str, t.Any], own: t.Mapping[str, str]) -> t.Dict[str, t.Any]:
    kept = {key: copy.deepcopy(settings[key]) for key in _ENDPOINT if settings.get(key)}
    if "Aliases" in kept:
        kept["Aliases"] = [alias for alias in (own.get(one, one) for one in kept["Aliases"]) if alias]
    return kept


def _inherit_volumes(body: t.Dict[str, t.Any], host: t.Dict[str, t.Any], former: Container) -> None:
    """Volumes without a name stay with the replica, as Compose does it."""
    mounts = [
        one for one in former.details.get("Mounts") or () if one.get("Type") == "volume" and _ANONYMOUS.fullmatch(one.get("Name") or "")
    ]
    wanted = {one["Target"]: one for one in host.get("Mounts") or () if one.get("Type") == "volume" and not one.get("Source")}
    for mount in mounts:
        place = mount.get("Destination")
        if place in wanted:
            wanted[place]["Source"] = mount["Name"]
        elif place in (body.get("Volumes") or {}):
            host["Binds"] = [*(host.get("Binds") or ()), f"{mount['Name']}:{place}"]


def obstacles(configuration: t.Mapping[str, t.Any], service: str, names: t.Sequence[str]) -> t.List[str]:
    """Why replicas of a service, with these names, cannot be renewed one by one; empty when they can.

    `configuration` is what `docker compose config --format json` says.
    """
    described = (configuration.get("services") or {}).get(service) or {}
    fixed = described.get("container_name")
    others = [name for name in names if fixed and name != fixed]
    found = [f"its container_name is {fixed}, and there is {', '.join(others)}"] if others else []
    for kind in ("configs", "secrets"):
        named = {one.get("source") if isinstance(one, t.Mapping) else one for one in described.get(kind) or ()}
        written = [name for name, one in (configuration.get(kind) or {}).items() if name in named and set(one) & {"content", "environment"}]
        if written:
            found.append(f"its {kind} {', '.join(sorted(written))} are written by Compose itself into each container that it starts")
    return found


def check_renewable(project: Project, containers: t.Sequence[Container]) -> str:
    """See that the service's replicas can be renewed one by one.

    Returns:
        Where the service has a `container_name`, a Compose file without it: Compose makes no two containers of one name. Else nothing.

    Raises:
        BadInput: They cannot.
        CommandFailed: Compose does not understand the project.
    """
    # A service that is named is told whatever its profile.
    configuration = json.loads(call(project, "config", "--format", "json", project.service))
    found = obstacles(configuration, project.service, [one.name for one in containers])
    if found:
        raise BadInput(
            f"The replicas of {project.service} cannot be made anew one by one",
            why="; ".join(found),
            next_step="let Compose make all of them anew (docker compose up --force-recreate), or change the compose file",
        )
    fixed = ((configuration.get("services") or {}).get(project.service) or {}).pop("container_name", "")
    return json.dumps(configuration) if fixed else ""


class Pattern:
    """The container that is never started, for the length of a rolling action.

    Args:
        engine: The engine.
        project: The service.
        name: Name of its project.
        journal: Where it is noted.
        described: A Compose file to make it from in the place of the project's (`check_renewable`); empty for that.
    """

    def __init__(self, engine: Engine, project: Project, name: str, journal: Journal, described: str = "") -> None:
        self._engine, self._project, self._name, self._journal = engine, project, name, journal
        self._described, self._own_hash = described, ""
        self._made: t.Optional[Container] = None

    def make(self) -> None:
        """Let Compose make it. Nothing that runs is touched, so what is wrong with the configuration shows here.

        Raises:
            CommandFailed: Compose cannot make a container.
        """
        self._own_hash = config_hash(self._project) if self._described else ""
        self._journal.note(pattern_beside=[one.id for one in of_service(self._engine, self._name, self._project.service)])
        made, failed = create_one_more(self._engine, self._project, self._name, self._described)
        self._made = made[0] if made else None
        if self._made is not None:
            self._journal.note(pattern=self._made.id)
        if failed is not None or len(made) != 1:
            self.remove()
            raise failed or RunbookError(
                f"Docker Compose made {len(made)} containers where one was expected",
                where=self._project.where,
                next_step="see that nobody else changes the project meanwhile",
            )

    def remove(self) -> None:
        """Remove it with its own volumes without a name."""
        if self._made is not None:
            remove(self._engine, self._made.id, with_volumes=True)
            self._made = None
        self._journal.forget("pattern", "pattern_beside")

    def put_in_place_of(self, former: Container) -> str:
        """Make, and not start, the successor of `former`, whose name must be free; returns its identity.

        Raises:
            CommandFailed: The engine refuses; nothing is left of the successor.
        """
        if self._made is None:
            raise RunbookError("The pattern of new containers has not been made", where=former.name)
        wanted = successor_of(former, self._made.details, self._own_hash)
        identity = str(self._engine.ask("POST", "/containers/create", {"name": former.name}, wanted.body)["Id"])
        try:
            for network, endpoint in wanted.networks.items():
                body = {"Container": identity, "EndpointConfig": endpoint}
                self._engine.ask("POST", f"/networks/{quote(network)}/connect", body=body)
        except RunbookError:
            remove(self._engine, identity)
            raise
        return identity


def remove(engine: Engine, identity: str, *, with_volumes: bool = False) -> None:
    """Remove a container, whatever state it is in; one that is gone is well."""
    try:
        engine.ask("DELETE", f"/containers/{quote(identity)}", {"force": 1, "v": int(with_volumes)})
    except CommandFailed as error:
        if error.facts.get("status") != 409:  # its removal is under way already
            raise
    except RunbookError as error:
        if error.facts.get("status") != 404:
            raise
