# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The set-up that `make` does first: complete, and not repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.environment import STAMP, NotReady, ensure

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "example"
version = "1"
dependencies = [{dependencies}]
[project.optional-dependencies]
more = ["iniconfig"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one file without dependencies."""
    (tmp_path / "src" / "example").mkdir(parents=True)
    (tmp_path / "src" / "example" / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(dependencies=""))
    return tmp_path


def importable(python: Path, package: str) -> bool:
    return subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode == 0


def test_a_second_set_up_installs_nothing_and_a_changed_requirement_does(project: Path) -> None:
    venv = project / "venv"
    python = ensure(venv, [], repository=project)
    assert importable(python, "example")
    assert not importable(python, "iniconfig")
    first = (venv / STAMP).stat().st_mtime_ns

    ensure(venv, [], repository=project)
    assert (venv / STAMP).stat().st_mtime_ns == first

    ensure(venv, ["more"], repository=project)
    assert importable(python, "iniconfig")

    (project / "pyproject.toml").write_text(PROJECT.format(dependencies='"typing-extensions"'))
    ensure(venv, [], repository=project)
    assert importable(python, "typing_extensions")
    assert '"more"' in (venv / STAMP).read_text(), "what was there before is kept"


def test_a_package_that_does_not_exist_is_named_and_leaves_nothing_that_looks_ready(project: Path) -> None:
    (project / "pyproject.toml").write_text(PROJECT.format(dependencies='"sre-runbooks-no-such-package-0"'))
    with pytest.raises(NotReady, match="sre-runbooks-no-such-package-0"):
        ensure(project / "venv", [], python=sys.executable, repository=project)
    assert not (project / "venv" / STAMP).exists()
