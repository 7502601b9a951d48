# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What Docker Compose says of a project: its configuration, or why it has none. Pure functions over its output."""

from __future__ import annotations

import json
import re
import typing as t

from ..service.compose import project
from .host_ports import Published
from .model import MOST_OF_TEXT, Missing

_UNSET = re.compile(r'The \\?"([A-Za-z_][A-Za-z0-9_]*)\\?" variable is not set')
_REQUIRED = re.compile(r"(?:interpolating ([\w.\[\]-]+): )?required variable ([A-Za-z_][A-Za-z0-9_]*) is missing a value(?:: ([^\n]*))?")
_NO_FILE = re.compile(r"env file (\S+) not found|couldn't find env file: (\S+)|open (\S+\.env\S*): no such file")
_RANGE_MOST = 50


class Project(t.NamedTuple):
    """A project as Compose understands it.

    Attributes:
        name: Its name; empty where Compose gave none.
        services: The services that are meant, by name.
        networks: Networks that they use and that must be there before, by their real names.
        volumes: The same for volumes.
        others: Names of all services.
    """

    name: str
    services: t.Dict[str, t.Mapping[str, t.Any]]
    networks: t.Tuple[str, ...] = ()
    volumes: t.Tuple[str, ...] = ()
    others: t.Tuple[str, ...] = ()


def part(value: t.Any, name: str) -> t.Mapping[str, t.Any]:
    """A dictionary within a document; empty where there is none."""
    found = value.get(name) if isinstance(value, t.Mapping) else None
    return found if isinstance(found, t.Mapping) else {}


def items(value: t.Any, name: str) -> t.List[t.Any]:
    """A list within a document; empty where there is none."""
    found = value.get(name) if isinstance(value, t.Mapping) else None
    return found if isinstance(found, list) else []


def read(text: str, service: str) -> Project:
    """The output of `docker compose config --format json`; all services where `service` is empty.

    Raises:
        ValueError: It is none.
    """
    document = json.loads(text)
    everything = part(document, "services")
    meant = {name: body for name, body in everything.items() if isinstance(body, t.Mapping) and service in ("", name)}
    networks, volumes = set(), set()
    for body in meant.values():
        for name in part(body, "networks"):
            networks |= _external(part(document, "networks"), name)
        for one in items(body, "volumes"):
            if isinstance(one, t.Mapping) and one.get("type") == "volume":
                volumes |= _external(part(document, "volumes"), str(one.get("source")))
    return Project(str(document.get("name") or ""), meant, tuple(sorted(networks)), tuple(sorted(volumes)), tuple(everything))


def _external(table: t.Mapping[str, t.Any], name: str) -> t.Set[str]:
    entry = part(table, name)
    return {str(entry.get("name") or name)} if entry.get("external") else set()


def unset_variables(said: str) -> t.List[str]:
    """Variables that Compose warns of."""
    return sorted(set(_UNSET.findall(said)))


def variables_used(raw: str, service: str) -> str:
    """The text of the services that are meant, from `config --no-interpolate --format json`."""
    document = json.loads(raw)
    return json.dumps([body for name, body in part(document, "services").items() if service in ("", name)])


def uses(text: str, variable: str) -> bool:
    """Whether a text asks for the variable without giving a value for the case that it is not set."""
    return re.search(rf"\$(?:{variable}\b|\{{{variable}(?::?\?[^}}]*)?\}})", text) is not None


def missing_in(said: str) -> t.List[Missing]:
    """What Compose says that it misses, from the message of its failure."""
    found = [Missing("required_variable", name, where, why.strip()) for where, name, why in _REQUIRED.findall(said)]
    return found + [Missing("environment_file", "".join(names)) for names in _NO_FILE.findall(said)]


def words(said: str) -> str:
    """Compose's message without its warnings of unset variables, and without the text of environment files."""
    return project.words("\n".join(line for line in said.splitlines() if not _UNSET.search(line)))[:MOST_OF_TEXT]


def published(body: t.Mapping[str, t.Any]) -> t.List[Published]:
    """The ports of this host that a service publishes; of a range each replica takes one."""
    found = []
    for one in items(body, "ports"):
        protocol = one.get("protocol", "tcp") if isinstance(one, t.Mapping) else ""
        if protocol not in ("tcp", "udp"):
            continue
        first, _dash, last = str(one.get("published") or "").partition("-")
        last = last or first
        if all(part.isdecimal() and len(part) < 6 for part in (first, last)) and 0 <= int(last) - int(first) < _RANGE_MOST:
            found.append(Published(str(one.get("host_ip") or ""), int(first), int(last), protocol))
    return found[:_RANGE_MOST]


def ports_of(body: t.Mapping[str, t.Any]) -> t.Set[int]:
    """The ports at which the service itself is asked: within the container, and those of this host that lead there."""
    exposed = {str(one).partition("/")[0] for one in items(body, "expose")}
    targets = {str(one.get("target")) for one in items(body, "ports") if isinstance(one, t.Mapping)}
    leading = {port for one in published(body) if one.protocol == "tcp" for port in range(one.first, one.last + 1)}
    return {int(port) for port in exposed | targets if port.isdecimal() and len(port) < 6} | leading


def environment_of(body: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """The variables of a service."""
    return {str(name): str(value) for name, value in part(body, "environment").items() if value is not None}
