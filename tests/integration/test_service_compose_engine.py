# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine itself is restarted while the replicas of a service are being restarted; it is one of this test alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from integration.compose_project import ComposeProject
from integration.containers import Docker
from integration.own_engine import IMAGE, running_engine
from integration.service_runs import Runs, refusal
from tools.debian_packages import NoPackage
from tools.engine import NoEngine
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.needs_root("it starts an engine of its own")
def test_an_engine_that_is_restarted_in_the_middle_ends_with_all_replicas_as_before(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = {"test": ["CMD", "/bin/true"], "interval": "300ms", "retries": 3}
    service = {
        "image": IMAGE,
        "command": ["/bin/sh", "-c", "trap 'exit 0' TERM; /bin/sleep 600 & wait"],
        "network_mode": "none",
        "healthcheck": probe,
        "stop_grace_period": "2s",
        "pull_policy": "never",
        "deploy": {"replicas": 3},
    }
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "compose.yaml").write_text(json.dumps({"name": "restarted", "services": {"app": service}}))
    (folder / ".env.prod").touch()
    try:
        with running_engine(cache) as (engine, environment):
            for name in ("DOCKER_HOST", "DOCKER_CONFIG"):
                if name in environment:
                    monkeypatch.setenv(name, environment[name])
            project = ComposeProject(Docker(environment), "restarted", folder, has_proxy=False)
            project.compose("up", "--detach", "--wait", "--wait-timeout", "60")
            first = project.replicas()[0]
            before = project.picture()
            runs = Runs(tmp_path / "runs", {**project.variables(), "service_health_timeout_s": 90})
            process = runs.begin_verb("restart")
            wait_until("the first replica was restarted", lambda: project.picture()[first][1] != before[first][1], 40)
            engine.stop()
            time.sleep(1)
            engine.start()
            assert project.replicas(running=True) == [], "the engine starts none of them by itself"
            message = refusal(process)
            assert "As before: 3 of 3 replicas run and are healthy" in message
            assert "engine" in message.lower()
            assert project.healthy() == list(before)
            assert {name: one[0] for name, one in project.picture().items()} == {name: one[0] for name, one in before.items()}
    except (NoEngine, NoPackage) as error:
        pytest.skip(str(error))
