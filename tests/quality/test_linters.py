# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The linters, each over the whole tree with the settings of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.process import run_shown

LIBRARY = "ansible_collections.sre.runbooks.plugins.module_utils"
ROOMS = ("tools", "quality", "contract", "unit", "integration", "molecule", "benchmarks")

LINTERS = {
    "ruff": ["ruff", "check", "."],
    "mypy-library": ["mypy", "--package", LIBRARY],
    "mypy-api": ["mypy", "src/sre_runbooks"],
    "mypy-tests": ["mypy", *(f"tests/{room}" for room in ROOMS), "tests/conftest.py"],
    "yamllint": ["yamllint", "--strict", "."],
    "antsibull-changelog": ["antsibull-changelog", "lint"],
}
READ_LATER = """#!/bin/sh
# ansible-lint starts ansible-playbook for each of a hundred playbooks and roles, a second each, to see whether it can be read: they are
# noted, and one start reads all. Of a role it makes a playbook of the moment.
for path; do :; done
case "$1 $path" in
"--syntax-check /"*) cp "$path" {folder}/ ;;
"--syntax-check "*) echo "$path" >>{folder}/playbooks ;;
*) exit 1 ;;
esac
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("linter", LINTERS)
def test_the_linter_finds_nothing(linter: str, repository: Path) -> None:
    done = run_shown(LINTERS[linter], folder=repository, timeout_s=580)
    assert done.returncode == 0, done.last_words(12000)


@pytest.mark.timeout(600)
def test_ansible_lint_finds_nothing_and_ansible_can_read_every_playbook_and_role(repository: Path, tmp_path: Path) -> None:
    stand_in = tmp_path / "ansible-playbook"
    stand_in.write_text(READ_LATER.format(folder=tmp_path))
    stand_in.chmod(0o755)
    environment = {**os.environ, "ANSIBLE_LINT_SKIP_SCHEMA_UPDATE": "1", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["ansible-lint", "--offline", "--profile", "production"]
    done = run_shown(command, folder=repository, environment=environment, timeout_s=500)
    assert done.returncode == 0, done.last_words(12000)
    playbooks, roles = (tmp_path / "playbooks").read_text().splitlines(), [str(path) for path in tmp_path.glob("*.yml")]
    assert {f"playbooks/{path.name}" for path in (repository / "playbooks").glob("*.yml")} <= set(playbooks)
    assert len(roles) >= len(list((repository / "roles").iterdir()))
    done = run_shown(["ansible-playbook", "--syntax-check", *playbooks, *roles], folder=repository)
    assert done.returncode == 0, done.last_words(12000)
