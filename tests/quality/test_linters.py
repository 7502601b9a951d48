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
    "ansible-lint": ["ansible-lint", "--offline", "--profile", "production"],
    "antsibull-changelog": ["antsibull-changelog", "lint"],
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("linter", LINTERS)
def test_the_linter_finds_nothing(linter: str, repository: Path) -> None:
    environment = {**os.environ, "ANSIBLE_LINT_SKIP_SCHEMA_UPDATE": "1"}
    done = run_shown(LINTERS[linter], folder=repository, environment=environment, timeout_s=580)
    assert done.returncode == 0, done.last_words(12000)
