# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The engine and the compose files: without them nothing starts."""

from __future__ import annotations

import typing as t

from .model import CAUSE, LIKELY, Clue, Observation, Rule, some
from .phrases import said

_HERE = ("engine", "compose", "failure")


def required_variable_missing(seen: Observation) -> t.Iterator[Clue]:
    found = [one for one in seen.missing if one.kind == "required_variable"]
    for one in found:
        why = f" ({one.why})" if one.why else ""
        yield Clue(
            f"the compose files require the variable {one.name}, and it is not set{why}",
            f"set {one.name} in the environment file of the project",
            (f"named at {one.where}",) if one.where else (),
        )


def environment_file_missing(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.missing:
        if one.kind == "environment_file":
            by = f" of {one.where}" if one.where else ""
            yield Clue(f"the environment file {one.name}{by} does not exist", f"create {one.name}, or put it back from a rollback point")


def variable_not_set(seen: Observation) -> t.Iterator[Clue]:
    names = [one.name for one in seen.missing if one.kind == "variable"]
    if names and not seen.is_well:
        verb = "is" if len(names) == 1 else "are"
        yield Clue(
            f"the compose files use {some(names)}, which {verb} not set and so empty",
            f"set {some(names)} in the environment file of the project",
        )


def container_name_taken(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.missing:
        if one.kind == "container_name":
            yield Clue(
                f"the name {one.name}, which the service wants for its container, belongs to another container ({one.why})",
                f"remove or rename that container: docker rename {one.name} {one.name}-old",
            )


def network_missing(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.missing:
        if one.kind == "network":
            yield Clue(
                f"the network {one.name}, which must be there before, does not exist", f"create it: docker network create {one.name}"
            )


def volume_missing(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.missing:
        if one.kind == "volume":
            yield Clue(
                f"the volume {one.name}, which must be there before, does not exist",
                f"find out where its data are before you create it (docker volume create {one.name} makes an empty one)",
            )


def _knows(kind: str) -> t.Callable[[Observation], bool]:
    return lambda seen: any(one.kind == kind for one in seen.missing)


_KNOWN = (
    said(
        "engine_missing",
        CAUSE,
        "The container engine's client is not installed",
        r"program docker is missing",
        "docker is not installed on this host",
        "check that this is the right host, or install Docker Engine",
        sources=_HERE,
    ),
    said(
        "engine_refuses_account",
        CAUSE,
        "This account may not use the engine",
        r"permission denied while trying to connect to the Docker|docker.sock: connect: permission denied",
        "this account may not use the Docker Engine",
        "run it as root (become) or as a member of the group docker",
        sources=_HERE,
    ),
    said(
        "engine_unreachable",
        CAUSE,
        "The engine does not run, or does not answer",
        r"cannot connect to the docker daemon|error during connect|is the docker daemon running"
        r"|the engine: (?:no answer in time|docker did not end within)",
        "the Docker Engine does not answer",
        "start it (systemctl start docker) and read journalctl --unit docker",
        sources=_HERE,
    ),
    said(
        "compose_missing",
        CAUSE,
        "The engine's client has no Compose",
        r"'compose' is not a docker command|unknown command: docker compose|unknown shorthand flag: 'f'"
        r"|unknown flag: --(?:file|env-file|project)",
        "docker has no Compose on this host",
        "install the plugin docker-compose-plugin",
        sources=_HERE,
    ),
    said(
        "compose_file_missing",
        CAUSE,
        "There is no compose file where it should be",
        r"no configuration file provided[^;]*|compose file \S+ is invalid: open (\S+): no such file|open (\S+\.ya?ml): no such file",
        "there is no compose file where it should be",
        "check the folder and the names of the compose files (service_compose_folder, service_compose_files)",
        sources=_HERE,
    ),
    Rule(
        "required_variable_missing", CAUSE, "A variable that the compose files require (`${NAME:?}`) is not set", required_variable_missing
    ),
    Rule("environment_file_missing", CAUSE, "An environment file (`env_file`, `EnvironmentFile`) does not exist", environment_file_missing),
    said(
        "service_not_defined",
        CAUSE,
        "The compose files have no such service",
        r"no such service: ([^\s;]+)(?: \(the compose files have: ([^)]*)\))?",
        "the compose files have no service {0}",
        "check service_compose_service and the compose files; they have: {1}",
        sources=("compose", "failure"),
    ),
    said(
        "compose_file_invalid",
        CAUSE,
        "The compose files cannot be read (with the place)",
        r"yaml: |go-yaml|\bvalidating \S+: |additional propert|invalid compose project|did not find expected|invalid interpolation"
        r"|must be a (?:mapping|string|list|boolean|number)",
        "the compose files are not valid: {said}",
        "mend that place, and see: docker compose config --quiet",
        sources=("compose", "failure"),
        unless=lambda seen: any(one.kind in ("required_variable", "environment_file") for one in seen.missing),
    ),
    Rule("variable_not_set", LIKELY, "A variable that the compose files use (`${NAME}`) is not set and so empty", variable_not_set),
    Rule("container_name_taken", CAUSE, "The container's fixed name belongs to another container", container_name_taken),
    said(
        "container_name_refused",
        CAUSE,
        "The engine refused a container's name, because it is in use",
        r'container name "/?([^"]+)" is already in use',
        "the name {0}, which the service wants for its container, belongs to another container",
        "remove or rename that container: docker rename {0} {0}-old",
        unless=_knows("container_name"),
    ),
    Rule("network_missing", CAUSE, "A network that must be there before does not exist", network_missing),
    said(
        "network_refused",
        CAUSE,
        "The engine did not find a network",
        r"network (\S+) (?:declared as external, but could not be found|not found)",
        "the network {0} does not exist",
        "create it (docker network create {0}), or create the containers anew: docker compose up --detach --force-recreate",
        unless=_knows("network"),
    ),
    said(
        "address_pool_exhausted",
        CAUSE,
        "The engine has no addresses left for a new network",
        r"all predefined address pools have been fully subnetted|could not find an available,? non-overlapping IPv4 address pool",
        "the engine has no addresses left for another network",
        "remove networks that nobody uses (docker network prune), or give it more pools (default-address-pools in daemon.json)",
    ),
    Rule("volume_missing", CAUSE, "A volume that must be there before does not exist", volume_missing),
    said(
        "volume_refused",
        CAUSE,
        "The engine did not find a volume",
        r'external volume "([^"]+)" not found',
        "the volume {0} does not exist",
        "find out where its data are before you create it",
        unless=_knows("volume"),
    ),
    said(
        "device_missing",
        CAUSE,
        "A device that the container wants, such as a GPU, is not there",
        r"could not select device driver|error gathering device information while adding custom device \"([^\"]+)\"|no such device",
        "a device that the container wants is not on this host",
        "check the devices of the service, and the drivers of this host",
    ),
)


def compose_refused(seen: Observation) -> t.Iterator[Clue]:
    told = [one.text for one in seen.messages if one.source == "compose" and one.text]
    if told and not any(list(rule.look(seen)) for rule in _KNOWN):
        yield Clue(f"Docker Compose refuses the project: {told[0][:300]}", "mend what it names, and see: docker compose config --quiet")


RULES = (
    *_KNOWN,
    Rule("compose_refused", CAUSE, "Docker Compose refuses the project, for a reason that no other rule knows", compose_refused),
)
