# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The molecule scenarios, each in containers of its own. Without workers they run last: they need the most."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.engine import NoEngine
from tools.image import postgresql_image
from tools.process import run_shown

SCENARIOS = sorted(path.parent.name for path in (Path(__file__).parents[2] / "molecule").glob("*/molecule.yml"))


@pytest.fixture(scope="module")
def containers(docker_environment: dict[str, str]) -> dict[str, str]:
    """Environment in which the scenarios find an engine and their image."""
    try:
        return {**docker_environment, "SRE_RUNBOOKS_IMAGE": postgresql_image(docker_environment)}
    except NoEngine as error:
        pytest.skip(str(error))


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_scenario_passes_from_creation_to_removal(scenario: str, containers: dict[str, str], repository: Path) -> None:
    done = run_shown(["molecule", "test", "--scenario-name", scenario], folder=repository, environment=containers, timeout_s=1100)
    assert done.returncode == 0, done.last_words()
