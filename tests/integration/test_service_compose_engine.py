# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine itself is restarted while a verb works on the replicas of a service; it is one of these tests alone."""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.compose_project import ComposeProject
from integration.containers import Docker
from integration.own_engine import IMAGE, running_engine
from integration.service_runs import Runs, refusal
from tools.debian_packages import NoPackage
from tools.engine import NoEngine
from tools.own_engine import OwnEngine
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.needs_root("it starts an engine of its own")]
REPLICAS = 3
SERVICE = {
    "image": IMAGE,
    "command": ["/bin/sh", "-c", "trap '/bin/sleep 2; exit 0' TERM; /bin/sleep 600 & wait"],  # every stop takes a while
    "network_mode": "none",
    "healthcheck": {"test": ["CMD", "/bin/sleep", "1"], "interval": "300ms", "retries": 3},  # as does every start
    "stop_grace_period": "4s",
    "pull_policy": "never",
    "deploy": {"replicas": REPLICAS},
}
Lab = tuple[OwnEngine, ComposeProject]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Lab]:
    """An engine with a project of three replicas."""
    folder = tmp_path_factory.mktemp("c")
    (folder / "compose.yaml").write_text(json.dumps({"name": "restarted", "services": {"app": SERVICE}}))
    (folder / ".env.prod").touch()
    try:
        with running_engine(cache) as (engine, environment), pytest.MonkeyPatch.context() as patch:
            for name in ("DOCKER_HOST", "DOCKER_CONFIG"):
                if name in environment:
                    patch.setenv(name, environment[name])
            yield engine, ComposeProject(Docker(environment), "restarted", folder, has_proxy=False)
    except (NoEngine, NoPackage) as error:
        pytest.skip(str(error))


def one_was_restarted(project: ComposeProject, before: dict[str, tuple[t.Any, ...]]) -> bool:
    now = project.picture()
    return any(now[name][1] != before[name][1] for name in before if name in now)


def one_goes(project: ComposeProject, before: dict[str, tuple[t.Any, ...]]) -> bool:
    """Whether a replica was told to stop: it sleeps for two seconds then, and is gone afterwards."""
    running = project.replicas(running=True)
    try:
        return len(running) < len(before) or any(
            "/bin/sleep 2\n" in project.docker("top", name, "-eo", "pid,args") + "\n" for name in running
        )
    except AssertionError:  # it went between the two questions
        return True


def one_is_new(project: ComposeProject, before: dict[str, tuple[t.Any, ...]]) -> bool:
    return len(project.replicas(running=True)) > len(before)


def one_runs(project: ComposeProject, before: dict[str, tuple[t.Any, ...]]) -> bool:
    return bool(project.replicas(running=True))


MIDDLE: dict[str, tuple[str, dict[str, t.Any], Callable[[ComposeProject, dict[str, tuple[t.Any, ...]]], bool]]] = {
    "restart": ("restart", {}, one_was_restarted),
    "restart of all at once": ("restart", {"service_restart_way": "all"}, one_goes),
    "scale to five": ("scale", {"service_scale_to": 5}, one_is_new),
    "scale to one": ("scale", {"service_scale_to": 1}, one_goes),
    "stop": ("stop", {}, one_goes),
    "start": ("start", {}, one_runs),
}


@pytest.mark.parametrize("what", MIDDLE)
def test_an_engine_that_is_restarted_in_the_middle_ends_with_the_replicas_as_before(what: str, lab: Lab, tmp_path: Path) -> None:
    engine, project = lab
    verb, options, is_in_the_middle = MIDDLE[what]
    project.compose("up", "--detach", "--wait", "--wait-timeout", "60", "--scale", f"app={REPLICAS}")
    if verb == "start":
        project.compose("stop")
    before = project.picture()
    (tmp_path / "runs").mkdir()
    runs = Runs(tmp_path / "runs", {**project.variables(), "service_health_timeout_s": 90})
    process = runs.begin_verb(verb, **options)
    wait_until(f"the middle of {what}", lambda: is_in_the_middle(project, before), 40)
    engine.stop()
    time.sleep(1)
    engine.start()
    assert project.replicas(running=True) == [], "the engine starts none of them by itself"
    message = refusal(process)
    assert "As before: " in message
    assert "engine" in message.lower()
    assert {name: one[2] for name, one in project.picture().items()} == {name: one[2] for name, one in before.items()}
    if verb != "start":
        assert project.healthy() == list(before)
    if verb != "scale":  # which makes anew what it removed
        assert {name: one[0] for name, one in project.picture().items()} == {name: one[0] for name, one in before.items()}
