# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that runs on managed hosts loads on the oldest Python that they may have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.environment import find_python
from tools.process import run_shown

from .conftest import Controller

OLDEST_MINOR = 9

LOAD_EVERYTHING = """
import importlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
for path in sorted([*root.glob("plugins/module_utils/**/*.py"), *root.glob("plugins/modules/*.py")]):
    name = ".".join(("ansible_collections.sre.runbooks", *path.relative_to(root).with_suffix("").parts))
    importlib.import_module(name.removesuffix(".__init__"))
    print(name)
"""


def test_modules_and_library_load_on_the_oldest_python_of_a_managed_host(this_controller: Controller, repository: Path) -> None:
    python = find_python(OLDEST_MINOR)
    if python is None:
        pytest.skip(f"no Python 3.{OLDEST_MINOR} is installed here (looked on the PATH and among pyenv's)")
    path = os.pathsep.join([str(repository / "collections"), str(this_controller.site_packages)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = run_shown([python, "-c", LOAD_EVERYTHING, str(repository)], folder=repository, environment=environment)
    assert done.returncode == 0, done.last_words()
