# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which replicas a project's services shall have, and what they need of one another: pure functions over what Compose and Docker say."""

from __future__ import annotations

import typing as t

from . import compose_containers as containers
from .compose_containers import Container
from .compose_project import Project, part
from .model import RUNNING, Dependency, Missing, Replica

_Document = t.Mapping[str, t.Any]
_ENDS = "service_completed_successfully"


def without_unused_profiles(project: Project, started: t.AbstractSet[str]) -> Project:
    """The project without the services that only a profile starts, and that nobody has started."""
    return project._replace(services={name: body for name, body in project.services.items() if name in started or not body.get("profiles")})


def one_shots(project: Project) -> t.Set[str]:
    """The services that shall do their work and end, as others wait for that. Of a server that was stopped nobody does."""
    return {
        name
        for body in project.services.values()
        for name, how in part(body, "depends_on").items()
        if part({"how": how}, "how").get("condition") == _ENDS
    }


def replicas(
    own: t.Sequence[Container], documents: t.Iterable[_Document], logs: t.Mapping[str, t.Sequence[str]], ending: t.AbstractSet[str]
) -> t.Tuple[t.List[Replica], t.Set[str]]:
    """The replicas by name, and the services of `ending` that have done their work: of those no replica is missing, and none is unwell."""
    service_of = {one.id: one.service for one in own}
    found: t.List[Replica] = []
    done: t.Set[str] = set()
    for document in documents:
        service = service_of.get(str(document.get("Id")))
        if service is None:
            continue
        one = containers.replica(document, logs.get(containers.name_of(document), ()))
        if service in ending and one.exit_status == 0:
            done.add(service)
        else:
            found.append(one)
    return sorted(found, key=lambda one: one.name), done


def wanted(project: Project, done: t.AbstractSet[str]) -> t.Optional[int]:
    """How many replicas the compose files ask for, without those that have done their work; None where there are no compose files."""
    if not project.services:
        return None
    numbers = [part(body, "deploy").get("replicas", body.get("scale", 1)) for name, body in project.services.items() if name not in done]
    return sum(number for number in numbers if isinstance(number, int))


def dependencies(project: Project, documents: t.Iterable[_Document], others: t.Sequence[Container]) -> t.List[Dependency]:
    """What must run before the services do, other than themselves."""
    by_id = {str(document.get("Id")): containers.replica(document) for document in documents}
    found = []
    for body in project.services.values():
        for name, given in sorted(part(body, "depends_on").items()):
            how = part({"how": given}, "how")
            if name in project.services or how.get("required") is False:
                continue
            theirs = [by_id[one.id] for one in others if (one.project, one.service) == (project.name, name) and one.id in by_id]
            found.append(Dependency(name, _trouble(theirs, str(how.get("condition") or "service_started"))))
    return found


def _trouble(theirs: t.Sequence[Replica], condition: str) -> str:
    if not theirs:
        return "has no container"
    if condition == _ENDS:
        bad = [one for one in theirs if one.exit_status != 0]
        return f"has not ended well ({bad[0].name} is {bad[0].state})" if bad else ""
    bad = [one for one in theirs if not (one.is_well if condition == "service_healthy" else one.state == RUNNING)]
    if len(bad) < len(theirs):
        return ""
    status = f" ({bad[0].exit_status})" if bad[0].exit_status is not None else ""
    says = f", its health check says: {bad[0].health_says[-1]}" if bad[0].health_says else ""
    return f"is {bad[0].health if bad[0].state == RUNNING else bad[0].state}{status}{says}"


def names_taken(project: Project, everything: t.Sequence[Container]) -> t.List[Missing]:
    """Fixed names of containers that belong to others."""
    found = []
    for name, body in project.services.items():
        fixed = str(body.get("container_name") or "")
        for one in everything if fixed else ():
            if one.name == fixed and (one.project, one.service) != (project.name, name):
                holder = f"project {one.project}, service {one.service}" if one.project else "no project"
                found.append(Missing("container_name", fixed, name, f"{one.state}, of {holder}"))
    return found
