# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting, stopping, scaling down and readiness on a real Compose project, when something goes wrong in the middle."""

from __future__ import annotations

import http.client
import json
import socket
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from integration.compose_project import ComposeProject, running_project
from integration.containers import Docker
from integration.service_runs import Runs, refusal
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]
SOUND: dict[str, t.Any] = {"HEALTH": "good", "EXIT_STATUS": ""}


@pytest.fixture(scope="module")
def running(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """Two replicas without a proxy."""
    folder = tmp_path_factory.mktemp("faults") / "p"
    with running_project(docker, docker.name("faults"), folder, replicas=2, has_proxy=False, health_interval="300ms", **SOUND) as project:
        yield project


@pytest.fixture
def project(running: ComposeProject) -> Iterator[ComposeProject]:
    """The project, as it was in the beginning when the test has ended."""
    yield running
    running.set_environment(IMAGE=running.docker.image, **SOUND)
    running.compose("up", "--detach", "--timeout", "1", "--scale", "app=2", "app")
    running.wait_healthy(2)


@pytest.fixture
def runs(project: ComposeProject, tmp_path: Path) -> Runs:
    """Runs for it."""
    return Runs(tmp_path / "runs", project.variables())


def running_ones(project: ComposeProject) -> dict[str, bool]:
    """Which containers there are, and whether they run."""
    return {name: one[2] for name, one in project.picture().items()}


@pytest.mark.parametrize(
    ("settings", "cause"),
    [({"IMAGE": "sre-runbooks/no-such:image"}, "no-such"), ({"EXIT_STATUS": "3"}, "the setting EXIT_STATUS is wrong")],
    ids=["image_missing", "ends_at_once"],
)
def test_a_start_that_fails_says_why_and_leaves_the_service_stopped(
    project: ComposeProject, runs: Runs, settings: dict[str, str], cause: str
) -> None:
    project.compose("rm", "--stop", "--force", "app")
    project.set_environment(**settings)
    message = runs.refused("start", service_health_timeout_s=6)
    assert cause in message, message
    assert not any(running_ones(project).values()), message


def test_a_replica_that_does_not_stop_by_itself_is_ended_after_its_time_and_the_rest_with_it(project: ComposeProject, runs: Runs) -> None:
    first, second = project.replicas()
    connection = http.client.HTTPConnection(project.address(first), 8000, timeout=30)
    connection.request("GET", "/slow?30")
    wait_until("a request is in flight", lambda: project.get()[1]["in_flight"] == 2)
    (stopped,) = runs.verbs(("stop", {"service_stop_timeout_s": 1}))
    assert running_ones(project) == {first: False, second: False}
    assert {one["name"]: one["exit_status"] for one in stopped["after"]["replicas"]}[first] == 137, stopped
    connection.close()


def test_a_replica_that_is_gone_while_all_are_stopped_is_told(project: ComposeProject, runs: Runs) -> None:
    first, second = project.replicas()
    project.docker("rm", "--force", second)
    (stopped,) = runs.verbs("stop")
    assert running_ones(project) == {first: False}
    assert stopped["changed"]
    assert second not in str(stopped["after"])


def test_a_verb_that_fails_keeps_what_it_had_put_right_after_a_killed_run_and_says_that_it_changed_something(
    project: ComposeProject, runs: Runs
) -> None:
    first, second = project.replicas()
    journal = Journal.of(str(runs.folder / "state"), project.name, project.service)
    for settings, cause in (
        ({"EXIT_STATUS": "3"}, "does not become healthy"),
        ({"IMAGE": "sre-runbooks/no-such:image"}, "is not on this host"),
    ):
        project.docker("stop", "--time", "1", first)
        with journal.held():
            journal.note(replica=first, servers=[])
        project.set_environment(**settings)
        message = runs.refused("apply", service_health_timeout_s=6)
        assert cause in message and "Nothing was changed" not in message, message
        assert running_ones(project) == {first: True, second: True}, message
        project.set_environment(IMAGE=project.docker.image, **SOUND)


def test_a_verb_that_is_refused_leaves_to_others_what_is_theirs(project: ComposeProject, runs: Runs) -> None:
    first, second = project.replicas()
    journal = Journal.of(str(runs.folder / "state"), project.name, project.service)
    project.docker("stop", "--time", "1", first)
    with journal.held():
        journal.note(replica=first, servers=[])
        other_run = runs.refused("start")
    no_such_way = runs.refused("restart", service_restart_way="to_zero_and_back")
    for message, cause in ((other_run, "Another run changes the replicas"), (no_such_way, "is restarted in the ways")):
        assert cause in message and "Nothing was changed" in message, message
    assert running_ones(project) == {first: False, second: True}
    (started,) = runs.verbs("start")
    assert started["steps"][:1] == [f"An interrupted run had stopped {first}: it is started"]
    assert any(first in note for note in started["notes"])


def test_scaling_down_is_foretold_as_it_is_done(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    (foretold,) = runs.verbs(("scale", {"service_scale_to": 1}), check=True)
    assert project.picture() == before
    (done,) = runs.verbs(("scale", {"service_scale_to": 1}))
    assert (foretold["changed"], foretold["steps"]) == (done["changed"], done["steps"]) == (True, done["steps"])
    assert list(project.picture()) == list(before)[:1]


def test_a_replica_with_a_fixed_name_is_made_anew_under_it_and_comes_back_where_its_successor_cannot_start(
    docker: Docker, tmp_path: Path
) -> None:
    fixed = docker.name("one")
    with running_project(docker, docker.name("fixed"), tmp_path / "p", replicas=1, has_proxy=False, health_interval="300ms") as project:
        file, runs = project.folder / "compose.yaml", Runs(tmp_path / "runs", project.variables())
        content = json.loads(file.read_text())
        content["services"]["app"] |= {"container_name": fixed, "networks": ["own"]}
        content["networks"] = {"own": {"labels": {"of": "tests"}, "driver_opts": {"com.docker.network.bridge.enable_icc": "true"}}}
        file.write_text(json.dumps(content))
        refused = runs.refused("apply")
        assert f"its container_name is {fixed}, and there is {project.name}-app-1" in refused, refused
        project.compose("up", "--detach", "--wait")
        before, network = project.picture(), docker("network", "inspect", "--format", "{{.Id}}", f"{project.name}_own")
        project.set_environment(COLOUR="green")
        applied, again = runs.verbs("apply", "apply")
        assert (applied["changed"], again["changed"], project.replicas(), project.get()[1]["COLOUR"]) == (True, False, [fixed], "green")
        now = project.picture()
        project.compose("up", "--detach", "--wait")
        assert now[fixed][0] != before[fixed][0]
        assert project.picture() == now, "Compose takes it for its own, and as it should be"
        assert docker("network", "inspect", "--format", "{{.Id}}", f"{project.name}_own") == network
        with socket.create_server(("127.0.0.1", 0)) as held:
            content["services"]["app"]["ports"] = [f"127.0.0.1:{held.getsockname()[1]}:8000"]
            file.write_text(json.dumps(content))
            message = runs.refused("apply")
        assert f"The container before it is back as {fixed}: {fixed} runs and is healthy" in message, message
        assert {name: one[0] for name, one in project.picture().items()} == {fixed: now[fixed][0]}
        assert not docker("ps", "--all", "--quiet", "--filter", f"name={project.name}"), "no pattern, and nothing set aside, is left"


def test_a_service_that_is_healthy_but_not_ready_is_a_failure_that_names_the_check(project: ComposeProject, runs: Runs) -> None:
    address = project.address(project.replicas()[0])
    ready = {"name": "answers", "type": "http", "url": f"http://{address}:8000/", "timeout_s": 2}
    broken = {**ready, "name": "orders can be placed", "url": f"http://{address}:8000/error"}
    # A replica that is restarted keeps its address as long as no other is stopped.
    one = {"service_restart_way": "one", "service_restart_replica": project.replicas()[0]}
    (good,) = runs.verbs(("restart", {**one, "service_ready_checks": [ready]}))
    assert good["changed"]
    message = refusal(runs.begin_verb("restart", **one, service_ready_checks=[broken], service_health_timeout_s=3))
    assert "orders can be placed" in message
    assert len(project.healthy()) == 2
