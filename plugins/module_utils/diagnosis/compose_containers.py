# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Containers as the engine describes them. Pure functions over `docker ps` and `docker inspect`."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime

from .compose_project import items, part
from .model import MOST_OF_TEXT, RESTARTING, RUNNING, Replica, crashed_lately

PS_FORMAT = "\t".join(
    (
        "{{.ID}}",
        "{{.Names}}",
        "{{.State}}",
        "{{.Ports}}",
        '{{.Label "com.docker.compose.project"}}',
        '{{.Label "com.docker.compose.service"}}',
        '{{.Label "com.docker.compose.project.working_dir"}}',
        '{{.Label "com.docker.compose.oneoff"}}',
    )
)
_PUBLISHED = re.compile(r"(?:(\[?[0-9a-fA-F:.]*\]?):)?(\d+)(?:-(\d+))?->\d+(?:-\d+)?/(tcp|udp)")
_OOM = re.compile(r"task_memcg=[^,]*?([0-9a-f]{64})")
_HEALTH_OUTPUTS = 3


class Container(t.NamedTuple):
    """A line of `docker ps`, with `ports` as address, number and protocol."""

    id: str
    name: str
    state: str
    ports: t.Tuple[t.Tuple[str, int, str], ...]
    project: str
    service: str
    folder: str


def listed(text: str) -> t.List[Container]:
    """What `docker ps --format PS_FORMAT` printed, without containers of `compose run`; other lines are passed over."""
    found = []
    for line in text.splitlines():
        words = line.split("\t")
        if len(words) == 8 and words[7].lower() != "true":
            found.append(Container(words[0], words[1].partition(",")[0], words[2], _ports(words[3]), *words[4:7]))
    return found


def _ports(text: str) -> t.Tuple[t.Tuple[str, int, str], ...]:
    found = []
    for address, first, last, protocol in _PUBLISHED.findall(text):
        if len(first) < 6 and len(last) < 6:
            found += [(address.strip("[]"), port, protocol) for port in range(int(first), min(int(last or first), int(first) + 100) + 1)]
    return tuple(found)


def name_of(document: t.Mapping[str, t.Any]) -> str:
    """The container's name."""
    return str(document.get("Name") or "").lstrip("/")


def replica(document: t.Mapping[str, t.Any], log: t.Sequence[str] = (), now: t.Optional[datetime] = None) -> Replica:
    """A container from its `docker inspect`, as it is `now` (UTC)."""
    state, health = part(document, "State"), part(part(document, "State"), "Health")
    status = str(state.get("Status") or "unknown")
    started = not str(state.get("StartedAt") or "0001").startswith("0001")
    exit_status, restarts = state.get("ExitCode"), document.get("RestartCount")
    ended = isinstance(exit_status, int) and (status in ("exited", "dead", RESTARTING) or (not started and exit_status != 0))
    if status == RUNNING and isinstance(restarts, int) and restarts > 0 and crashed_lately(str(state.get("FinishedAt") or ""), now):
        status = RESTARTING
    outputs = [one for one in items(health, "Log") if isinstance(one, t.Mapping) and one.get("ExitCode") != 0]
    limit = part(document, "HostConfig").get("Memory")
    return Replica(
        name=name_of(document),
        state=status,
        health={"none": ""}.get(str(health.get("Status") or ""), str(health.get("Status") or "")),
        exit_status=exit_status if ended else None,
        out_of_memory=state.get("OOMKilled") is True,
        restarts=restarts if isinstance(restarts, int) else 0,
        started=started,
        error=str(state.get("Error") or "")[:MOST_OF_TEXT],
        health_says=tuple(_line(str(one.get("Output") or "")) for one in outputs[-_HEALTH_OUTPUTS:]),
        memory_limit=limit if isinstance(limit, int) else 0,
        log=tuple(log),
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:MOST_OF_TEXT]


def environment_of(document: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """The variables that a container got, the image's own among them."""
    pairs = (str(one).partition("=") for one in items(part(document, "Config"), "Env"))
    return {name: value for name, _equals, value in pairs}


def addresses_of(document: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """Its address by network."""
    found = part(part(document, "NetworkSettings"), "Networks")
    return {str(name): str(part(found, name).get("IPAddress") or "") for name in found}


def project_of(document: t.Mapping[str, t.Any]) -> str:
    """The Compose project that it is of; empty for none."""
    return str(part(part(document, "Config"), "Labels").get("com.docker.compose.project") or "")


def network_mode(document: t.Mapping[str, t.Any]) -> str:
    """Whose network it has: `host`, `container:<id>`, or the name of one."""
    return str(part(document, "HostConfig").get("NetworkMode") or "")


def ports_of(document: t.Mapping[str, t.Any]) -> t.Set[int]:
    """The ports at which it is asked, as its image and its configuration say."""
    numbers = (str(one).partition("/")[0] for one in part(part(document, "Config"), "ExposedPorts"))
    return {int(number) for number in numbers if number.isdecimal() and len(number) < 6}


def names_of(document: t.Mapping[str, t.Any], project: str, networks: t.AbstractSet[str]) -> t.Set[str]:
    """The names by which one of this project in these networks means it: many projects have a `db`, and only theirs is meant by it."""
    joined = part(part(document, "NetworkSettings"), "Networks")
    meant = joined if project and project_of(document) == project else [name for name in joined if name in networks]
    return {name_of(document), *(str(alias) for name in meant for alias in items(part(joined, name), "Aliases"))}


def log_lines(text: str, most: int) -> t.List[str]:
    """The last lines of `docker logs --timestamps`, both streams together in the order in which they were written."""
    return [line.partition(" ")[2][:MOST_OF_TEXT] for line in sorted(text.splitlines())][-most:]


def percentages(text: str) -> t.Dict[str, float]:
    """Name -> share of its memory limit, from `docker stats --no-stream --format "{{.Name}}\\t{{.MemPerc}}"`."""
    found = {}
    for line in text.splitlines():
        name, _tab, share = line.partition("\t")
        try:
            found[name] = float(share.strip().rstrip("%"))
        except ValueError:
            continue
    return found


def ended_by_kernel(text: str, documents: t.Iterable[t.Mapping[str, t.Any]]) -> t.Set[str]:
    """Names of the containers that the kernel's log (`dmesg`) says were ended for their memory."""
    ids = {found for line in text.splitlines() if "oom-kill:" in line for found in _OOM.findall(line)}
    return {name_of(document) for document in documents if str(document.get("Id")) in ids}
