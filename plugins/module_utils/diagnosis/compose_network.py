# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Ports, servers, mounts and file systems of a service of Docker Compose."""

from __future__ import annotations

import os
import sys
import typing as t
from functools import partial

from .. import socket_table
from ..errors import RunbookError
from . import addresses, compose_project, host_ports
from . import compose_containers as containers
from .compose_containers import Container
from .compose_project import Project, items, part
from .host_ports import Published
from .model import Address, Port
from .questions import Questions

_CONNECT_S = 2.0
_Document = t.Mapping[str, t.Any]


def ports(wanted: t.Sequence[Published], everything: t.Sequence[Container], mine: t.Set[str], questions: Questions) -> t.List[Port]:
    """Who holds each port; what containers of the service hold themselves is held by nobody else. Without one whose holder is not seen.

    A range, of which each replica takes one port, is held where all of it is.
    """
    listening = {protocol: socket_table.listening(protocol) for protocol in {one.protocol for one in wanted}}
    found = []
    for one in wanted:
        held: t.List[Port] = []
        unseen = 0
        for number in range(one.first, one.last + 1):
            port = _holder(one._replace(first=number), listening[one.protocol], everything, mine)
            unseen = unseen or (number if port is None else 0)
            held += [port] if port is not None else []
            if port is not None and not port.holder:
                break
        if held and not held[-1].holder:
            found.append(Port(one.first, protocol=one.protocol, last=one.last))
        elif unseen:
            questions.not_looked_at.append(host_ports.unseen(unseen, one.protocol))
        else:
            holders = ", ".join(dict.fromkeys(port.holder for port in held))
            found.append(Port(one.first, holders, held[0].next_step, one.protocol, one.last))
    return found


def _holder(
    wanted: Published, listening: t.Sequence[socket_table.Socket], everything: t.Sequence[Container], mine: t.Set[str]
) -> t.Optional[Port]:
    """Who holds the port `wanted.first`; None where that is not seen."""
    number = wanted.first

    def has_it(container: Container) -> bool:
        return any(
            (port, kind) == (number, wanted.protocol) and host_ports.collide(ip, wanted.address) for ip, port, kind in container.ports
        )

    theirs = [one for one in everything if has_it(one)]
    foreign = next((one for one in theirs if one.id not in mine), None)
    if foreign is not None:
        of = f" (service {foreign.service} of project {foreign.project})" if foreign.project else ""
        step = f"stop container {foreign.name} (docker stop {foreign.name}), or let the service publish another port"
        return Port(number, f"container {foreign.name}{of}", step)
    sockets = [one for one in listening if one.port == number and host_ports.collide(one.address, wanted.address)]
    return Port(number) if theirs else _held(number, sockets, everything, mine)


def _held(number: int, sockets: t.Sequence[socket_table.Socket], everything: t.Sequence[Container], mine: t.Set[str]) -> t.Optional[Port]:
    if not sockets:
        return Port(number)
    holder = next(iter(host_ports.holders(one.inode for one in sockets).values()), None)
    if holder is None:
        return None
    container = next((one for one in everything if holder.container and one.id == holder.container), None)
    if container is not None and container.id in mine:
        return Port(number)
    if container is not None:
        return Port(number, f"container {container.name}", f"stop container {container.name}, or let the service publish another port")
    step = f"end process {holder.pid} ({holder.program}), or let the service publish another port"
    return Port(number, f"process {holder.pid} ({holder.program})", step)


def mounts(project: Project) -> t.List[t.Tuple[str, str, str]]:
    """Source, target and user of what the services mount from this host."""
    found = []
    for body in project.services.values():
        for one in items(body, "volumes"):
            if isinstance(one, t.Mapping) and one.get("type") == "bind" and one.get("source"):
                found.append((str(one["source"]), str(one.get("target") or ""), str(body.get("user") or "")))
    return found


def paths(project: Project, documents: t.Sequence[_Document], mine: t.Set[str], information: _Document) -> t.Dict[str, str]:
    """Paths of this host where the service writes, and what they are."""
    found = {str(information["DockerRootDir"]): "data of the engine"} if information.get("DockerRootDir") else {}
    for source, _target, _user in mounts(project):
        found.setdefault(source if os.path.isdir(source) else os.path.dirname(source) or "/", "a folder that it mounts")
    for document in documents:
        for one in items(document, "Mounts") if str(document.get("Id")) in mine else ():
            if isinstance(one, t.Mapping) and one.get("Source") and one.get("Type") == "volume":
                found.setdefault(str(one["Source"]), f"volume {one.get('Name')}")
    return found


def named(project: Project, documents: t.Sequence[_Document], mine: t.Set[str]) -> t.List[t.Tuple[str, str, int]]:
    """The servers that the services' variables name; those of containers where the compose files cannot be read."""
    elsewhere = {str(one).partition("=")[0].partition(":")[0] for body in project.services.values() for one in items(body, "extra_hosts")}
    asking = [
        (compose_project.environment_of(body), compose_project.ports_of(body), str(body.get("network_mode") or ""))
        for body in project.services.values()
    ] or [
        (containers.environment_of(document), containers.ports_of(document), containers.network_mode(document))
        for document in documents
        if str(document.get("Id")) in mine
    ]
    found: t.Dict[t.Tuple[str, int], t.Tuple[str, str, int]] = {}
    for environment, ports_of_it, mode in asking:
        for one in addresses.named_in(environment):
            # At localhost it asks itself, which is meant where it listens there, or another in whose network it is.
            meant = one[1] in addresses.LOOPBACK and (one[2] in ports_of_it or mode.startswith(("service:", "container:")))
            if one[1] not in elsewhere and not meant:
                found.setdefault(one[1:], one)
    return list(found.values())


class Asking(t.NamedTuple):
    """From where a service asks: its project, its networks, whether it has that of this host, and a process of it (0 for none)."""

    project: str
    networks: t.AbstractSet[str]
    host_network: bool = False
    pid: int = 0


def reached(
    wanted: t.Sequence[t.Tuple[str, str, int]], project: Project, documents: t.Sequence[_Document], mine: t.Set[str], questions: Questions
) -> t.List[Address]:
    """Whether the servers can be reached, from a replica's network where one runs, else from this host."""
    own = [document for document in documents if str(document.get("Id")) in mine]
    modes = [containers.network_mode(document) for document in own] + [body.get("network_mode") for body in project.services.values()]
    pids = [part(document, "State").get("Pid") for document in own]
    asking = Asking(
        project.name or next(map(containers.project_of, own), ""),
        {name for document in own for name in containers.addresses_of(document)},
        "host" in modes,
        next((pid for pid in pids if isinstance(pid, int) and pid), 0),
    )
    asked = {f"{host}:{port}": partial(ask_server, (variable, host, port), documents, asking, questions) for variable, host, port in wanted}
    inner = Questions(min(questions.left_s, 3 * _CONNECT_S))
    answers = inner.ask(asked)
    questions.not_looked_at += [f"the server {one}" for one in inner.not_looked_at]
    return [answers[name] for name in asked if name in answers]


def ask_server(wanted: t.Tuple[str, str, int], documents: t.Sequence[_Document], asking: Asking, questions: Questions) -> Address:
    """Whether one server (variable, host, port) can be reached."""
    variable, host, port = wanted
    timeout_s = min(_CONNECT_S, questions.left_s or 0.1)
    if host in addresses.LOOPBACK and not asking.host_network:
        return Address(variable, host, port, "itself", "within the container")
    target = host
    beside = [document for document in documents if host in containers.names_of(document, asking.project, asking.networks)]
    if beside:
        known = [(net, ip) for document in beside for net, ip in containers.addresses_of(document).items()]
        shared = [ip for net, ip in known if not asking.networks or net in asking.networks]
        if not shared:
            return Address(variable, host, port, "network", some_networks(known))
        if not any(shared):
            return Address(variable, host, port, "stopped")
        target = next(filter(None, shared))
    if asking.pid and not asking.host_network:
        problem = _from_network(asking.pid, target, port, timeout_s, questions)
        if problem is not None:
            return Address(variable, host, port, problem, "the network of the service")
    return addresses.asked(variable, host, port, timeout_s, target)


def some_networks(known: t.Sequence[t.Tuple[str, str]]) -> str:
    """The networks of a server that is not in ours."""
    return "network " + ", ".join(sorted({net for net, _ip in known})[:3])


def _from_network(pid: int, target: str, port: int, timeout_s: float, questions: Questions) -> t.Optional[str]:
    """The problem as seen from the network of a process; None where that cannot be asked. Names are those of this host: by address only."""
    if os.geteuid() != 0 or not target.replace(".", "").isdecimal():
        return None
    argv = ["nsenter", "--target", str(pid), "--net", sys.executable, "-c", addresses.CONNECT, target, str(port), str(timeout_s)]
    try:
        said = questions.run(argv, most_s=timeout_s + 2, check=False).stdout.strip()
    except RunbookError:
        return None
    return {"reached": "", "refused": "refused", "timeout": "timeout", "other": "other"}.get(said)
