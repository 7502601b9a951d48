# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The newest ansible-core on the newest Python found here: the library's tests, and a drill's playbooks read by it.

That environment holds what a drill needs and nothing else, so it also shows that no community collection is needed.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from integration.local_stack import stack_ports
from tools.process import run_shown, with_venv

from .conftest import Controller

PLAYBOOKS = sorted((Path(__file__).parents[2] / "playbooks").glob("*.yml"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_library_passes_its_tests_there(newest_controller: Controller, repository: Path) -> None:
    done = run_shown(
        # With an example or two: this environment's own run tries more of them, beside this one.
        [newest_controller.python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "tests/unit"],
        folder=repository,
        environment=with_venv({**os.environ, "SRE_RUNBOOKS_TEST_EXAMPLES": "0.01"}, newest_controller.python),
        timeout_s=850,
    )
    assert done.returncode == 0, done.last_words()


@pytest.mark.skipif(not PLAYBOOKS, reason="there is no playbook yet")
def test_its_ansible_reads_every_playbook_without_a_deprecation(newest_controller: Controller, repository: Path) -> None:
    programs = Path(newest_controller.python).parent
    done = run_shown(
        [str(programs / "ansible-playbook"), "--syntax-check", *(str(path.relative_to(repository)) for path in PLAYBOOKS)],
        folder=repository,
        environment=with_venv({**os.environ, "ANSIBLE_DEPRECATION_WARNINGS": "True"}, newest_controller.python),
    )
    assert done.returncode == 0, done.last_words()
    assert "[DEPRECATION WARNING]" not in done.output, done.last_words()


@pytest.mark.skipif("local_stack_up" not in [path.stem for path in PLAYBOOKS], reason="there is no playbook local_stack_up yet")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_its_ansible_brings_the_embedded_stack_up_and_down(newest_controller: Controller, repository: Path) -> None:
    programs = Path(newest_controller.python).parent
    environment = with_venv(os.environ, newest_controller.python)
    # As root PostgreSQL runs as another account, which cannot enter pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-test-"))
    folder.chmod(0o755)
    settings = ["--extra-vars", json.dumps({"local_stack_folder": str(folder / "stack"), **stack_ports()})]
    try:
        up = run_shown(
            [str(programs / "ansible-playbook"), "playbooks/local_stack_up.yml", *settings],
            folder=repository,
            environment=environment,
        )
        assert up.returncode == 0, up.last_words()
    finally:
        down = run_shown(
            [str(programs / "ansible-playbook"), "playbooks/local_stack_down.yml", *settings],
            folder=repository,
            environment=environment,
        )
    assert down.returncode == 0, down.last_words()
