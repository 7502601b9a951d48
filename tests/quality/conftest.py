# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two ends of the supported range: this environment's ansible-core, and the newest one on the newest Python found here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.environment import ensure, find_python

NEWEST_FIRST = (14, 13, 12)


@dataclass(frozen=True)
class Controller:
    """A Python environment with ansible-core in it.

    Attributes:
        python: Path of its interpreter.
        version: Version of that Python, as in "3.13".
        core: Version of ansible-core in it.
        site_packages: Folder of its packages.
    """

    python: str
    version: str
    core: str
    site_packages: Path


def describe(python: str) -> Controller:
    """Ask an interpreter what it holds."""
    question = "import sys, sysconfig, ansible.release as r; print(*sys.version_info[:2], r.__version__, sysconfig.get_path('purelib'))"
    major, minor, core, packages = subprocess.run([python, "-c", question], stdout=subprocess.PIPE, text=True, check=True).stdout.split(
        maxsplit=3
    )
    return Controller(python, f"{major}.{minor}", core, Path(packages.strip()))


@pytest.fixture(scope="session")
def this_controller() -> Controller:
    """The environment that runs the tests."""
    return describe(sys.executable)


@pytest.fixture(scope="session")
def newest_controller(cache: Path) -> Controller:
    """An environment with the newest ansible-core; it holds what a drill and the unit tests need, and no community collection."""
    found = ((minor, find_python(minor)) for minor in NEWEST_FIRST)
    for minor, python in found:
        if python and minor != sys.version_info[1]:
            venv = cache / "venvs" / f"python3.{minor}"
            return describe(str(ensure(venv, ["drill", "unit"], python=python)))
    pytest.skip("no second Python of 3.12 or newer is installed here (looked on the PATH and among pyenv's)")


@pytest.fixture(params=["this", "newest"])
def controller(request: pytest.FixtureRequest) -> Controller:
    """Each of the two in turn."""
    found = request.getfixturevalue(f"{request.param}_controller")
    assert isinstance(found, Controller)
    return found
