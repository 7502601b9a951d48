# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What there is to see of a service of Docker Compose on this host."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, replace

from ..command import Completed
from ..errors import CommandFailed
from ..service.compose.project import Project as Called
from . import addresses, compose_images, compose_network, compose_project, compose_services, host_files
from . import compose_containers as containers
from .compose_containers import Container
from .compose_project import Project
from .host_ports import Published
from .model import COMPOSE, RUNNING, Message, Missing, Observation
from .questions import Questions

_MOST_LOGS = 4
_MOST_REPLICAS, _MOST_INSPECTED = 50, 100


@dataclass(frozen=True)
class Request:
    """Which service of which project; names are those of the module's options."""

    service: str
    project_folder: str = ""
    compose_files: t.Tuple[str, ...] = ()
    environment_file: str = ""
    project_name: str = ""
    wanted: t.Optional[int] = None
    ports: t.Tuple[int, ...] = ()
    log_lines: int = 40

    @property
    def called(self) -> Called:
        """The project, as Compose is called about it."""
        return Called(self.project_folder, self.compose_files, self.environment_file, self.project_name, self.service)

    def config(self, questions: Questions, *words: str, check: bool = True) -> Completed:
        """The configuration as Compose tells it, with the services of every profile."""
        call = self.called.compose("--profile", "*", "config", "--format", "json", *words)
        return questions.run(call.argv, check=check, folder=call.folder)


def gather(request: Request, questions: Questions) -> Observation:
    """Look at everything that can keep the service from running; what cannot be looked at is noted."""
    seen = Observation(COMPOSE, request.service or request.project_name or os.path.basename(request.project_folder), request.wanted)
    folder = request.project_folder if os.path.isdir(request.project_folder) else ""
    if request.project_folder and not folder:
        seen.messages.append(Message("compose", f"no configuration file provided: the folder {request.project_folder} does not exist"))
    first = questions.ask(
        {
            "the compose files": lambda: _config(request, questions, folder),
            "the containers of this host": lambda: containers.listed(
                questions.run(["docker", "ps", "--all", "--no-trunc", "--format", containers.PS_FORMAT]).stdout
            ),
            "the engine": lambda: _information(questions),
        }
    )
    said: Completed = first.get("the compose files") or Completed("", "", 0)
    project = _project(said, request, seen)
    everything: t.List[Container] = first.get("the containers of this host", [])
    information: t.Mapping[str, t.Any] = first.get("the engine", {})
    _engine_trouble(questions, information, seen)
    own = _own(request, project, everything)[:_MOST_REPLICAS]
    if not request.service:
        project = compose_services.without_unused_profiles(project, {one.service for one in own})
    others = [one for one in everything if one not in own]
    second = questions.ask(_second(request, questions, project, own, others, said))
    documents: t.List[t.Mapping[str, t.Any]] = second.get("the state of the containers", [])
    logs = second.get("the last lines of the logs", {})
    mine = {one.id for one in own}
    for document in documents:
        seen.secrets |= addresses.secrets_in(containers.environment_of(document))
    ending = set() if request.service else compose_services.one_shots(project)
    seen.replicas, done = compose_services.replicas(own, documents, logs, ending)
    if seen.wanted is None:
        # `up --scale` goes beyond what the files say: what exists counts where it is more.
        seen.wanted = compose_services.wanted(project, done)
    seen.unanswered = questions.why_not("the containers of this host") or questions.why_not("the state of the containers")
    seen.missing += second.get("the variables", []) + second.get("networks and volumes", [])
    seen.images += compose_images.images(second.get("the images", {}), information)
    seen.dependencies += [] if seen.unanswered else compose_services.dependencies(project, documents, others)
    seen.missing += compose_services.names_taken(project, everything)
    _third(request, questions, seen, project, documents, everything, mine, information)
    seen.looked_at += questions.looked_at
    seen.not_looked_at += questions.not_looked_at
    return seen


def _config(request: Request, questions: Questions, folder: str) -> Completed:
    if request.project_folder and not folder:
        return Completed("", "", 0)
    return request.config(questions, check=False)


def _information(questions: Questions) -> t.Mapping[str, t.Any]:
    done = questions.run(["docker", "info", "--format", "{{json .}}"], check=False)
    if done.status == 0 and not (done.stderr.strip() and '"ServerVersion"' not in done.stdout):
        found = json.loads(done.stdout)
        if isinstance(found, dict) and not found.get("ServerErrors"):
            return found
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    raise CommandFailed("The engine does not answer", why=said[-1][:300] if said else f"docker info says nothing (status {done.status})")


def _engine_trouble(questions: Questions, information: t.Mapping[str, t.Any], seen: Observation) -> None:
    if not information:
        seen.messages += [Message("engine", one) for one in questions.not_looked_at if one.startswith("the engine: ")]


def _project(said: Completed, request: Request, seen: Observation) -> Project:
    if said.status == 0 and said.stdout.strip():
        try:
            project = compose_project.read(said.stdout, request.service)
        except (ValueError, RecursionError):
            seen.messages.append(Message("compose", "docker compose config printed something else than the configuration"))
            return Project("", {})
        if request.service and not project.services:
            known = ", ".join(sorted(project.others)[:12]) or "none"
            seen.messages.append(Message("compose", f"no such service: {request.service} (the compose files have: {known})"))
        for body in project.services.values():
            seen.secrets |= addresses.secrets_in(compose_project.environment_of(body))
        return project
    if said.status != 0:
        seen.missing += compose_project.missing_in(said.stderr)
        seen.messages.append(Message("compose", compose_project.words(said.stderr)))
    return Project("", {})


def _own(request: Request, project: Project, everything: t.Sequence[Container]) -> t.List[Container]:
    """The containers of the service, also where the compose files cannot be read."""
    name = project.name or request.project_name
    home = request.called.home
    return [
        one
        for one in everything
        if (one.project == name if name else home == os.path.realpath(one.folder or "/")) and request.service in ("", one.service)
    ]


def _second(
    request: Request, questions: Questions, project: Project, own: t.List[Container], others: t.List[Container], said: Completed
) -> t.Dict[str, t.Callable[[], t.Any]]:
    asked: t.Dict[str, t.Callable[[], t.Any]] = {}
    ids = [one.id for one in [*own, *others]][:_MOST_INSPECTED]
    if ids:
        asked["the state of the containers"] = lambda: _inspected(questions, ids)
    if own:
        asked["the last lines of the logs"] = lambda: _logs(request, questions, own)
    unset = compose_project.unset_variables(said.stderr)
    if unset and project.services:
        asked["the variables"] = lambda: _unset(request, questions, unset)
    if project.networks or project.volumes:
        asked["networks and volumes"] = lambda: _externals(questions, project)
    if project.services:
        asked["the images"] = lambda: compose_images.documents(questions, project)
    return asked


def _inspected(questions: Questions, ids: t.Sequence[str]) -> t.List[t.Mapping[str, t.Any]]:
    # One that has gone meanwhile makes it fail, and the others are told all the same.
    done = questions.run(["docker", "inspect", "--type", "container", *ids], check=False)
    found = json.loads(done.stdout or "[]")
    if done.status != 0 and not found:
        raise CommandFailed("The containers cannot be inspected", why=done.stderr.strip()[-300:])
    return [one for one in found if isinstance(one, dict)]


def _logs(request: Request, questions: Questions, own: t.Sequence[Container]) -> t.Dict[str, t.List[str]]:
    found = {}
    for one in sorted(own, key=lambda one: one.state == RUNNING)[:_MOST_LOGS]:
        done = questions.run(["docker", "logs", "--timestamps", "--tail", str(request.log_lines), one.id], check=False)
        if done.status == 0:
            found[one.name] = containers.log_lines(done.stdout + done.stderr, request.log_lines)
    return found


def _unset(request: Request, questions: Questions, unset: t.Sequence[str]) -> t.List[Missing]:
    text = compose_project.variables_used(request.config(questions, "--no-interpolate").stdout, request.service)
    return [Missing("variable", name) for name in unset if compose_project.uses(text, name)]


def _externals(questions: Questions, project: Project) -> t.List[Missing]:
    found = []
    for kind, names in (("network", project.networks), ("volume", project.volumes)):
        there = questions.run(["docker", kind, "ls", "--format", "{{.Name}}"]).stdout.split() if names else []
        found += [Missing(kind, name) for name in names if name not in there]
    return found


def _third(
    request: Request,
    questions: Questions,
    seen: Observation,
    project: Project,
    documents: t.Sequence[t.Mapping[str, t.Any]],
    everything: t.Sequence[Container],
    mine: t.Set[str],
    information: t.Mapping[str, t.Any],
) -> None:
    """Ports, servers and file systems: they need what was learned before."""
    wanted = [pair for body in project.services.values() for pair in compose_project.published(body)]
    wanted += [Published("", port, port) for port in request.ports]
    paths = compose_network.paths(project, documents, mine, information)
    mounts = compose_network.mounts(project)
    asked: t.Dict[str, t.Callable[[], t.Any]] = {"the file systems": lambda: host_files.spaces(paths)}
    if wanted and not seen.unanswered:  # else its own containers would be taken for strangers
        asked["the ports"] = lambda: compose_network.ports(wanted, everything, mine, questions)
    if mounts:
        asked["what is mounted"] = lambda: host_files.mounts(mounts, questions)
    named = compose_network.named(project, documents, mine)
    if named:
        asked["the servers that its variables name"] = lambda: compose_network.reached(named, project, documents, mine, questions)
    limited = [one.name for one in seen.replicas if one.memory_limit and one.state == RUNNING]
    if limited:
        argv = ["docker", "stats", "--no-stream", "--format", "{{.Name}}\t{{.MemPerc}}", *limited]
        asked["the memory in use"] = lambda: containers.percentages(questions.run(argv).stdout)
    if any(one.exit_status == 137 and not one.out_of_memory for one in seen.replicas):
        # The engine's own mark is often missing: the container ends before the engine hears of it.
        asked["the log of the kernel"] = lambda: containers.ended_by_kernel(questions.run(["dmesg"]).stdout, documents)
    answers = questions.ask(asked)
    shares, ended = answers.get("the memory in use", {}), answers.get("the log of the kernel", set())
    for at, one in enumerate(seen.replicas):
        of_memory = one.out_of_memory or (one.name in ended and one.exit_status == 137)
        seen.replicas[at] = replace(one, memory_percent=shares.get(one.name), out_of_memory=of_memory)
    seen.spaces += answers.get("the file systems", [])
    seen.ports += answers.get("the ports", [])
    seen.mounts += answers.get("what is mounted", [])
    seen.addresses += answers.get("the servers that its variables name", [])


__all__ = ["Request", "gather"]
