# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A service of a Docker Compose project: how Compose and the engine are called about it, and which containers are its replicas."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass

from ...checks.redaction import Redactor
from ...command import Command, Completed, run
from ...compose_call import compose_argv
from ...errors import BadInput, CommandFailed

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "project_folder": {"type": "path", "default": ""},
    "compose_files": {"type": "list", "elements": "str", "default": []},
    "environment_file": {"type": "str", "default": ""},
    "project_name": {"type": "str", "default": ""},
    "service": {"type": "str", "default": ""},
}
"""By which modules name a service; described in the documentation fragment sre.runbooks.compose_service."""
DEADLINE_S = 60.0
"""Seconds that the engine has for one answer."""
_LABEL = "com.docker.compose"
_TEXT_OF_FILE = re.compile(r"(failed to read [^\n]*?: line \d+|unterminated quoted value|in variable name).*", re.DOTALL)
"""What Compose says behind the place is the text of an environment file, which may be a secret."""
_LAST_LINES = 6
_ENTRY = "\t".join(
    [
        "{{.ID}}",
        *(f'{{{{.Label "{_LABEL}.{name}"}}}}' for name in ("project", "project.working_dir", "oneoff", "service", "container-number")),
    ]
)


@dataclass(frozen=True)
class Project:
    """A service of a project, or all of its services.

    Attributes:
        folder: The project's folder; files are named relative to it.
        files: Its Compose files; empty for those that Compose finds.
        environment_file: File with the variables of the Compose files; empty for Compose's own choice.
        name: Its name; empty for the one that Compose gives.
        service: The service; empty for all.
    """

    folder: str
    files: t.Tuple[str, ...] = ()
    environment_file: str = ""
    name: str = ""
    service: str = ""

    @property
    def where(self) -> str:
        """What it is, for messages."""
        return f"{self.service or 'all services'} of {self.name or self.folder or ', '.join(self.files)}"

    @property
    def home(self) -> str:
        """The folder that its containers are marked with; empty where only its name is known."""
        folder = self.folder or (os.path.dirname(os.path.abspath(self.files[0])) if self.files else "")
        return os.path.realpath(folder) if folder else ""

    def compose(self, *words: str, timeout_s: float = DEADLINE_S) -> Command:
        """The call of `docker compose` with these words."""
        options = {
            "project_folder": self.folder,
            "compose_files": self.files,
            "env_files": [self.environment_file] if self.environment_file else [],
            "project_name": self.name,
        }
        return Command([*compose_argv(options), *words], folder=self.folder, timeout_s=timeout_s)


def project_of(parameters: t.Mapping[str, t.Any]) -> Project:
    """The service that a module's parameters, valid for OPTIONS, name.

    Raises:
        BadInput: They name no project, a folder that is not there, or a word that Compose would take for an option.
    """
    folder = str(parameters["project_folder"] or "")
    files = tuple(str(name) for name in parameters["compose_files"] or ())
    project = Project(
        folder, files, str(parameters["environment_file"] or ""), str(parameters["project_name"] or ""), str(parameters["service"] or "")
    )
    if not (folder or files or project.name):
        raise BadInput("No Compose project is named", next_step="name its folder (service_compose_folder), its files, or its name")
    if project.service.startswith("-") or project.name.startswith("-"):
        raise BadInput("A name of Docker Compose does not begin with a hyphen", where=project.where)
    if folder and not os.path.isdir(folder):
        raise BadInput(
            "There is no such folder of a Compose project", where=folder, next_step="name the folder that holds the Compose file"
        )
    return project


def words(said: str) -> str:
    """Compose's last lines about a failure, in one, without warnings, secrets, and the text of environment files."""
    lines = [line.strip() for line in _TEXT_OF_FILE.sub(r"\1", said).splitlines() if line.strip() and "level=warning" not in line]
    return Redactor().text("; ".join(lines[-_LAST_LINES:]))


def docker(*words: str, timeout_s: float = DEADLINE_S, check: bool = True) -> Completed:
    """Run the engine's client.

    Raises:
        CommandFailed, ToolMissing, DeadlineExceeded: as `run` does.
    """
    return run(Command(["docker", *words], timeout_s=timeout_s), check=check)


def containers_of(project: Project) -> t.List[t.Dict[str, t.Any]]:
    """The containers of the service as `docker inspect` tells them, running or not, by number; those of `docker compose run` are left out.

    Raises:
        BadInput: Two projects fit, or the service is in no Compose file of the project.
        CommandFailed: The engine does not answer.
    """
    chosen = ["--filter", f"label={_LABEL}.project" + (f"={project.name}" if project.name else "")]
    chosen += ["--filter", f"label={_LABEL}.service={project.service}"] if project.service else []
    listed = docker("ps", "--all", "--no-trunc", *chosen, "--format", _ENTRY).stdout
    names = replicas_listed(listed, project)
    if not names:
        _check_service(project)
        return []
    done = docker("inspect", "--type", "container", *names, check=False)
    if done.status != 0 and "no such" not in done.stderr.lower():
        raise CommandFailed("The containers cannot be looked at", where=project.where, why=done.stderr.strip()[-500:])
    try:
        # One that went in between is simply not there any more.
        return [dict(one) for one in json.loads(done.stdout or "[]")]
    except ValueError:
        raise CommandFailed("docker inspect printed something else than JSON", where=project.where) from None


def replicas_listed(text: str, project: Project) -> t.List[str]:
    """Identities out of what `docker ps` printed in the form above, by service and number.

    Raises:
        BadInput: Without a name of the project: containers of two projects come from its folder.
    """
    rows = [row for row in (line.split("\t") for line in text.splitlines()) if len(row) == 6]
    rows = [row for row in rows if row[3].lower() != "true"]
    if not project.name:
        rows = [row for row in rows if os.path.realpath(row[2]) == project.home]
        found = sorted({row[1] for row in rows})
        if len(found) > 1:
            raise BadInput(
                "Two Compose projects run from this folder",
                where=f"{project.home}: {', '.join(found)}",
                next_step="name one of them (service_compose_project)",
            )
    rows.sort(key=lambda row: (row[4], int(row[5]) if row[5].isdigit() else 0, row[0]))
    return [row[0] for row in rows]


def _check_service(project: Project) -> None:
    """Nothing runs: is there such a service at all?"""
    if not (project.folder or project.files):
        return
    done = run(project.compose("config", "--services"), check=False)
    if done.status != 0:
        raise BadInput(
            "No container of the service is there, and Docker Compose does not take its files",
            where=project.where,
            why=words(done.stderr)[-500:],
        )
    known = done.stdout.split()
    # The list leaves out those of profiles that are not chosen; one that is named is looked for among all.
    if project.service and project.service not in known and run(project.compose("config", "--quiet", project.service), check=False).status:
        raise BadInput("The Compose files have no such service", where=project.where, why=f"they have {', '.join(sorted(known)) or 'none'}")
