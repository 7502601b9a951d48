# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files a rollback point keeps of a Compose project: all that the real Compose may read."""

from __future__ import annotations

import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.sources import Found, of_compose
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.validity import operate as check
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from integration.containers import Docker

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(60)]
NAMES = [".env", ".env.prod", "plain.env", "odd$name.env", "cpu.env", "gpu.env"]


class Project:
    """A project whose file is named by its environment file, with services of two profiles of which neither is active."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.file = folder, folder / "own.yaml"
        for one in NAMES[1:]:
            (folder / one).write_text("A=1\n")
        (folder / ".env").write_text("COMPOSE_FILE=own.yaml\nSTAGE=prod\n")
        self.own: dict[str, t.Any] = {"image": "x", "env_file": [".env.${STAGE}", "plain.env", "odd$$name.env"]}
        # Either the one or the other is wanted: together they are no valid project.
        others = {one: {"image": "x", "profiles": [one], "container_name": "model", "env_file": [f"{one}.env"]} for one in ("cpu", "gpu")}
        self.content = {"name": name, "services": {"app": self.own, **others}}
        self.options: dict[str, t.Any] = {"project_folder": str(folder), "compose_files": [], "environment_file": "", "project_name": ""}
        self.write()

    def write(self) -> None:
        self.file.write_text(json.dumps(self.content))

    def paths(self, *names: str) -> list[str]:
        return [str(self.folder / name) for name in names]


@pytest.fixture
def project(docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name, value in docker.environment.items():
        monkeypatch.setenv(name, value)
    return Project(tmp_path, docker.name("files"))


def test_the_files_of_a_compose_project_are_those_that_compose_reads_whatever_the_profile(project: Project) -> None:
    assert of_compose(project.options) == Found(project.paths("own.yaml", *NAMES), project.paths(*NAMES), [], (), [])
    # Whole names are taken as they are, and validated as they are.
    whole = {**project.options, "compose_files": project.paths("own.yaml")}
    assert of_compose(whole) == of_compose(project.options)
    assert check({"compose": whole, "unit": "", "instances": []}, False)["changed"] is False
    # What cannot be put in is told, and the rest is kept.
    project.own["labels"] = {"a": "${NEEDED:?must be set}"}
    project.write()
    _must_know_all_but_one(project)
    with pytest.raises(BadInput, match=r"does not take the project's files.*must be set"):
        check({"compose": whole, "unit": "", "instances": []}, False)


def test_a_compose_that_names_no_files_with_values_put_in_is_asked_for_them_without(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / "bin" / "docker"
    older.parent.mkdir()
    refuses = 'case " $* " in *" --no-env-resolution "*) echo "unknown flag: --no-env-resolution" >&2; exit 1;; esac'
    older.write_text(f'#!/bin/sh\n{refuses}\nexec {shutil.which("docker")} "$@"\n')
    older.chmod(0o755)
    monkeypatch.setenv("PATH", f"{older.parent}{os.pathsep}{os.environ['PATH']}")
    _must_know_all_but_one(project)


def _must_know_all_but_one(project: Project) -> None:
    """All files but the one in whose name there is a variable are kept, and that one is told."""
    kept = [name for name in NAMES if name != ".env.prod"]
    note = f"{project.folder}/.env.${{STAGE}} is not kept: Compose does not tell the variables in its name"
    found = of_compose(project.options)
    assert (found.paths, found.secret, found.notes[0]) == (project.paths("own.yaml", *kept), project.paths(*kept), note)
