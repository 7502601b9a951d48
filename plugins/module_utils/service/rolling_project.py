# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A service of a Docker Compose project: the options that name it, the calls of `docker compose` for it."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ..command import Command, Completed, run
from ..errors import BadInput, CommandFailed, RunbookError
from .containers import Container, look, of_service
from .engine import Engine
from .proxy import PROXY_OPTIONS

OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "project_folder": {"type": "path", "required": True},
    "compose_files": {"type": "list", "elements": "str", "default": []},
    "environment_file": {"type": "str", "default": ""},
    "project_name": {"type": "str", "default": ""},
    "service": {"type": "str", "required": True},
    "proxy": {"type": "dict", "options": PROXY_OPTIONS, "default": {}},
    "stop_timeout_s": {"type": "int", "default": 10},
    "drain_timeout_s": {"type": "float", "default": 30.0},
    "state_folder": {"type": "path"},
}
"""Described in plugins/doc_fragments/service_rolling.py."""
_TIMEOUT_S = 120.0
_CREATE_TIMEOUT_S = 900.0
"""An image may have to be fetched."""


@dataclass(frozen=True)
class ComposeService:
    """A service, named by its project's folder and files.

    Attributes:
        folder: Folder of the project.
        files: Its files, relative to the folder; Compose's own choice when empty.
        environment_file: File with the values of variables; Compose's own choice when empty.
        project_name: Name of the project; Compose's own choice when empty.
        service: Name of the service.
    """

    folder: str
    files: t.Tuple[str, ...]
    environment_file: str
    project_name: str
    service: str

    @classmethod
    def of(cls, parameters: t.Mapping[str, t.Any]) -> "ComposeService":
        """The one that `parameters`, valid for OPTIONS, name.

        Raises:
            BadInput: The name of the service is none, or the folder does not exist.
        """
        service = str(parameters["service"])
        if not service or service.startswith("-"):
            raise BadInput("This is no name of a service", where=repr(service), next_step="correct service_compose_service")
        if not os.path.isdir(parameters["project_folder"]):
            raise BadInput(
                "The folder of the project does not exist", where=parameters["project_folder"], next_step="correct service_compose_folder"
            )
        for name in ("stop_timeout_s", "drain_timeout_s"):
            if parameters[name] < 0:
                raise BadInput(f"{name} is below 0", where=str(parameters[name]), next_step="name 0 or more seconds")
        files = tuple(str(one) for one in parameters.get("compose_files") or ())
        environment_file, project_name = (str(parameters.get(name) or "") for name in ("environment_file", "project_name"))
        return cls(str(parameters["project_folder"]), files, environment_file, project_name, service)

    def argv(self, *words: str) -> t.List[str]:
        """The call of `docker compose` with these words."""
        chosen = [part for name in self.files for part in ("--file", name)]
        chosen += ["--env-file", self.environment_file] if self.environment_file else []
        chosen += ["--project-name", self.project_name] if self.project_name else []
        return ["docker", "compose", *chosen, *words]

    def call(self, *words: str, timeout_s: float = _TIMEOUT_S) -> Completed:
        """Run `docker compose` in the project's folder.

        Raises:
            CommandFailed: It fails; `why` holds its last words.
            ToolMissing: There is no program `docker` on this host.
            DeadlineExceeded: It takes too long.
        """
        done = run(Command(self.argv(*words), folder=self.folder, timeout_s=timeout_s), check=False)
        if done.status != 0:
            said = "; ".join(line.strip() for line in done.stderr.splitlines()[-4:] if line.strip())
            raise CommandFailed(
                f"Docker Compose cannot do it for the service {self.service}",
                where=f"docker compose {words[0]}, {self.folder}",
                why=said[-1000:] or f"exit status {done.status}",
                next_step="correct the compose file or its environment file (docker compose config says what it understands)",
            )
        return done

    def containers(self, engine: Engine) -> t.Tuple[str, t.List[Container]]:
        """Name of the project, and the service's containers by number; no name where there is no container.

        Raises:
            CommandFailed: Compose does not understand the project, or it has no such service.
        """
        ids = self.call("ps", "--all", "--quiet", "--no-trunc", "--", self.service).stdout.split()
        for one in ids:
            labels = look(engine, one).details["Config"]["Labels"]
            project = str(labels["com.docker.compose.project"])
            return project, of_service(engine, project, self.service)
        return "", []

    def config_hash(self) -> str:
        """Compose's hash of what the service's containers would be made from now.

        Raises:
            RunbookError: Compose does not tell it.
        """
        words = self.call("config", "--hash", self.service).stdout.split()
        if len(words) != 2 or words[0] != self.service:
            raise RunbookError("Docker Compose does not tell the hash of the service", where=self.service, why=" ".join(words)[:200])
        return words[1]

    def create_one_more(self, present: int) -> None:
        """Let Compose make, and not start, one container more than there are; nothing else is touched.

        Raises:
            CommandFailed: It cannot, for example because an image is missing or the compose file is wrong.
        """
        scale = f"{self.service}={present + 1}"
        words = ("up", "--no-start", "--no-deps", "--no-recreate", "--quiet-pull", "--scale", scale, "--", self.service)
        self.call(*words, timeout_s=_CREATE_TIMEOUT_S)
