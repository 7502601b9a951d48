# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-test sanity on the oldest and on the newest ansible-core that this collection supports."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tools.ansible_test import copy_tree, seed_installer
from tools.process import run_shown, with_venv

from .conftest import Controller


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ansible_test_finds_nothing(controller: Controller, repository: Path, cache: Path, tmp_path: Path) -> None:
    home = cache / "ansible-test"
    seed_installer(home, controller.site_packages)
    tree = copy_tree(repository, tmp_path)
    # Its environments and downloads are kept in a home folder of our own; pip goes on to read the person's settings.
    pip_settings = Path.home() / ".config" / "pip" / "pip.conf"
    environment = {**os.environ, "HOME": str(home), "PIP_CACHE_DIR": str(home / "pip")}
    if pip_settings.exists() and "PIP_CONFIG_FILE" not in environment:
        environment["PIP_CONFIG_FILE"] = str(pip_settings)
    done = run_shown(
        ["ansible-test", "sanity", "--venv", "--python", controller.version, "--color", "no"],
        folder=tree,
        environment=with_venv(environment, controller.python),
        timeout_s=850,
    )
    errors = [line for line in done.output.splitlines() if line.startswith(("ERROR", "FATAL"))]
    assert done.returncode == 0, "\n".join([f"ansible-core {controller.core}:", *errors]) if errors else done.last_words()
    assert "All targets skipped" not in done.output, done.last_words()
