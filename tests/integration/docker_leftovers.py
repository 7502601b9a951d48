# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test has made in the Docker Engine, and the clean-up that is limited to it."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import docker_cleanup
from integration.containers import Docker
from integration.made_images import archive_of
from integration.playbook_runs import Finished, Profile

OLD = "2020-01-01T00:00:00Z"


class Ours:
    """What a test has made in the engine; everything has one name in front."""

    def __init__(self, docker: Docker, folder: Path) -> None:
        self.docker, self.folder = docker, folder
        self.name = docker.name("cleanup")

    def load(self, *images: tuple[list[str], str]) -> None:
        """Load images: (tags, built at)."""
        named = [([f"{self.name}/{tag}" for tag in tags], at, f"{self.name} {tags}".encode()) for tags, at in images]
        self.docker("load", "--input", str(archive_of(self.folder / "images.tar", named)))

    def tags(self) -> set[str]:
        """Its tags that are in the engine."""
        return {line.split("/")[1] for line in self._lines("images", "--format", "{{.Repository}}:{{.Tag}}")}

    def networks(self) -> set[str]:
        """Its networks."""
        return {line.removeprefix(f"{self.name}-") for line in self._lines("network", "ls", "--format", "{{.Name}}")}

    def _lines(self, *command: str) -> list[str]:
        return [line for line in self.docker(*command).splitlines() if line.startswith(self.name)]

    def create(self, what: str, image: str, *options: str) -> str:
        """A container that does not run; returns its name."""
        self.docker("create", "--name", f"{self.name}-{what}", *options, f"{self.name}/{image}")
        return f"{self.name}-{what}"

    def end(self) -> None:
        """Remove everything that bears the name."""
        for kind, removing in (("ps --all", "rm --force"), ("volume ls", "volume rm"), ("network ls", "network rm")):
            label = "{{.Names}}" if kind == "ps --all" else "{{.Name}}"
            for one in self._lines(*kind.split(), "--format", label):
                self.docker(*removing.split(), one)
        for tag in self.tags():
            self.docker("rmi", "--force", f"{self.name}/{tag}")


class CleanupProfile(Profile):
    """An inventory whose clean-up looks at nothing but what the test has made."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(folder)
        self.variables = {
            "service_name": "trial",
            "maintenance_image_prune": {"all": True},
            "maintenance_image_arrived_h": 0,
            "maintenance_only": [f"{name}*"],
            "maintenance_keep": [f"{name}/keep:*"],
            "maintenance_networks_older_than_h": 0,
        }

    def well(self, *options: str) -> Finished:
        done = self.run("cleanup", *options)
        assert done.status == 0, done.output
        return done

    def result(self) -> dict[str, t.Any]:
        """What the last run's record says of the clean-up of the engine."""
        step = next(step for step in self.records()[-1]["steps"] if "container engine" in step["name"])
        return dict(step["facts"])


def clean_up(ours: Ours, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given = {name: spec.get("default") for name, spec in docker_cleanup.OPTIONS.items()}
    return docker_cleanup.operate({**given, "only": [f"{ours.name}*"], "image_arrived_h": 0, **options}, check_mode)
