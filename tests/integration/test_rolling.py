# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replicas of a real Compose project behind a real HAProxy, renewed and removed one after the other: under load, with faults, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import removal, rolling
from ansible_collections.sre.runbooks.plugins.module_utils.service.haproxy import HAProxy, Runtime
from ansible_collections.sre.runbooks.plugins.module_utils.service.proxy import Reach
from integration.compose_project import ComposeProject, running_project
from integration.constant_load import CONNECTIONS, Load
from integration.containers import Docker
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
OPERATION = Path(__file__).with_name("rolling_operation.py")
REQUESTS = 20_000
"""Of the small service; test_rolling_reference_service.py sends more to the reference service."""
OTHER_SETTINGS: dict[str, t.Any] = {"HEALTH": "good", "EXIT_STATUS": "", "START_DELAY_S": ""}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def project(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """Three replicas behind HAProxy."""
    folder = tmp_path_factory.mktemp("rolling")
    with running_project(docker, docker.name("rolling"), folder / "p", health_interval="300ms", **OTHER_SETTINGS) as running:
        yield running


@pytest.fixture
def service(project: ComposeProject) -> Iterator[ComposeProject]:
    """The project as it was in the beginning, whatever the test before it has left."""
    yield project
    project.set_environment(COLOUR="blue", **OTHER_SETTINGS)
    if project.replicas() != [f"{project.name}-app-{number}" for number in (1, 2, 3)] or len(project.healthy()) != 3:
        project.compose("rm", "--stop", "--force", "app")
    project.compose("up", "--detach", "--no-deps", "--timeout", "1", "--scale", "app=3", "app")
    project.wait_healthy(3)
    for server, status in project.servers().items():
        if status != "UP":
            project.haproxy(f"set server app/{server} state ready")
    project.wait_up(3)


def parameters(project: ComposeProject, state: Path, **changes: t.Any) -> dict[str, t.Any]:
    """Parameters of both modules for the project."""
    given = {
        "project_folder": str(project.folder),
        "environment_file": project.environment_file,
        "project_name": "",
        "service": project.service,
        "proxy": {"kind": "haproxy", "backend": "app", "socket": str(project.socket)},
        "stop_timeout_s": 5,
        "drain_timeout_s": 10.0,
        "state_folder": str(state),
        "health_timeout_s": 20.0,
        "settle_s": 0.5,
    }
    defaults = {name: option["default"] for name, option in {**removal.OPTIONS, **rolling.OPTIONS}.items() if "default" in option}
    return {**defaults, **given, **changes}


def renew(project: ComposeProject, state: Path, check_mode: bool = False, **changes: t.Any) -> dict[str, t.Any]:
    return rolling.operate(parameters(project, state, **changes), check_mode)


def remove(project: ComposeProject, state: Path, count_to_keep: int, check_mode: bool = False, **changes: t.Any) -> dict[str, t.Any]:
    return removal.operate({**parameters(project, state, **changes), "count_to_keep": count_to_keep}, check_mode)


def test_a_rolling_restart_and_scaling_under_load_lose_no_request(
    service: ComposeProject, state: Path, tell: Callable[[str], None]
) -> None:
    before = service.picture()
    load = Load(service)
    try:
        wait_until("the load has begun", lambda: load.sent() > 200)
        at_first = load.sent()
        restarted = renew(service, state)
        after_restart = load.sent()
        middle = service.picture()
        service.compose("up", "--detach", "--no-recreate", "--no-deps", "--scale", "app=5", "app")
        service.wait_healthy(5)
        service.wait_up(5)
        removed = remove(service, state, 2)
        after_scaling = load.sent()
        wait_until("enough requests", lambda: load.sent() > REQUESTS + 1000, 100)
    finally:
        answered, failed, said = load.end()
    assert len(restarted["renewed"]) == 3
    assert {name: one[0] for name, one in before.items()} == {name: one[0] for name, one in middle.items()}, "the containers are the same"
    assert all(before[name][1] != middle[name][1] for name in before), "all of them were started again"
    assert removed["removed"] == [f"{service.name}-app-{number}" for number in (5, 4, 3)]
    assert service.replicas() == [f"{service.name}-app-{number}" for number in (1, 2)]
    wait_until("HAProxy knows two servers", lambda: list(service.servers().values()) == ["UP", "UP"])
    assert (failed, answered >= REQUESTS) == (0, True), said
    restart, scaling = after_restart - at_first, after_scaling - after_restart
    during = f"{restart} during the rolling restart of 3 replicas, {scaling} during 3 -> 5 -> 2"
    tell(f"Compose behind HAProxy, wrk with {CONNECTIONS} connections: {failed} of {answered} requests failed ({during})")


def test_a_changed_environment_gives_new_containers_of_the_same_names_and_the_second_run_changes_nothing(
    service: ComposeProject, state: Path
) -> None:
    service.set_environment(COLOUR="green")
    before = service.picture()
    planned = renew(service, state, True, way="recreate")
    assert service.picture() == before
    real = renew(service, state, way="recreate")
    again = renew(service, state, way="recreate")
    after = service.picture()
    assert planned["renewed"] == real["renewed"] == sorted(before)
    assert [planned["changed"], real["changed"], again["changed"]] == [True, True, False]
    assert sorted(after) == sorted(before)
    assert all(after[name][0] != before[name][0] and "COLOUR=green" in after[name][-1] for name in after)
    assert {service.get()[1]["COLOUR"] for _ in range(6)} == {"green"}
    # Compose itself sees nothing left to do, and asks for the numbers as before.
    service.compose("up", "--detach", "--no-deps", "app")
    assert service.picture() == after
    assert "replica" in service.compose("exec", "-T", "--index", "2", "app", "cat", "/srv/replica.py")


@pytest.mark.parametrize(
    ("settings", "cause"),
    [({"EXIT_STATUS": "3"}, "exit status 3"), ({"HEALTH": "never"}, "is unhealthy")],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_a_broken_configuration_costs_no_replica(service: ComposeProject, state: Path, settings: dict[str, str], cause: str) -> None:
    before = service.picture()
    service.set_environment(**settings)
    with pytest.raises(RunbookError) as caught:
        renew(service, state, way="recreate")
    message, facts = caught.value.message, caught.value.facts
    assert cause in message, message
    assert "is back as" in message
    assert ("the setting EXIT_STATUS is wrong" in message) == ("EXIT_STATUS" in settings)
    assert (facts["failed"], facts["renewed"]) == (f"{service.name}-app-1", [])
    after = service.picture()
    assert {name: one[0] for name, one in after.items()} == {name: one[0] for name, one in before.items()}, message
    assert [name for name in after if after[name][1] != before[name][1]] == [f"{service.name}-app-1"]
    assert len(service.healthy()) == 3
    assert sorted(service.servers().values()) == ["UP"] * 3


def test_a_compose_file_that_is_wrong_is_refused_before_anything_is_touched(service: ComposeProject, state: Path) -> None:
    before, file = service.picture(), service.folder / "compose.yaml"
    good = file.read_text()
    try:
        for bad, part in (
            (good.replace("${IMAGE}", "sre-runbooks/there-is-none:1"), "there-is-none"),
            (good.replace('"app": {', '"app": {"container_name": "one-name",'), "container_name"),
            (good.replace('"services"', '"services'), "compose"),
        ):
            file.write_text(bad)
            with pytest.raises(RunbookError) as caught:
                renew(service, state, way="recreate")
            assert part in caught.value.message
    finally:
        file.write_text(good)
    assert service.picture() == before
    assert sorted(service.servers().values()) == ["UP"] * 3
    with pytest.raises(BadInput, match="no replica"):
        renew(service, state, only=["somebody"])
    with pytest.raises(RunbookError, match="backend"):
        renew(service, state, proxy={"backend": "nobody", "socket": str(service.socket)})


def test_a_request_in_flight_gets_its_answer_and_one_that_never_ends_is_told(service: ComposeProject, state: Path) -> None:
    first = service.replicas()[0]
    for seconds, drain_timeout_s, answered in ((3.0, 10.0, 3), (5.0, 0.3, 2)):
        answers: list[int] = []
        asked = one_at_each(service, seconds, answers)
        result = renew(service, state, only=[first], drain_timeout_s=drain_timeout_s, stop_timeout_s=1)
        for one in asked:
            one.join()
        assert (len(answers), answers.count(200)) == (3, answered)
        assert any("1 requests had not ended 0.3 s after" in note for note in result["notes"]) == (answered == 2)


def one_at_each(project: ComposeProject, seconds: float, answers: list[int]) -> list[threading.Thread]:
    """Let each of three replicas have a request that takes so long; the status of each answer is kept."""

    def ask() -> None:
        try:
            answers.append(project.get(f"/slow?{seconds}")[0])
        except ValueError:  # the page that HAProxy answers with when a server breaks off
            answers.append(502)

    asked = [threading.Thread(target=ask) for _ in range(3)]
    for one in asked:
        one.start()
    wait_until("each replica has one", lambda: sorted(_sessions(project).values())[-3:] == [1, 1, 1])
    return asked


def _sessions(project: ComposeProject) -> dict[str, int]:
    head, *lines = project.haproxy("show stat").strip("# \n").splitlines()
    rows = [dict(zip(head.split(","), line.split(","), strict=False)) for line in lines]
    return {row["svname"]: int(row["scur"]) for row in rows if row["pxname"] == "app" and row["svname"].startswith("app-")}


def _server(project: ComposeProject, container: str) -> str:
    address = project.address(container)
    lines = project.haproxy("show servers state app").splitlines()
    return next(line.split()[3] for line in lines if f" {address} " in line)


def test_replicas_that_are_not_well_come_first_and_what_somebody_keeps_from_requests_stays_so(service: ComposeProject, state: Path) -> None:
    first, second, third = service.replicas()
    kept = _server(service, second)
    service.haproxy(f"set server app/{kept} state drain")
    service.docker("kill", third)
    planned = renew(service, state, True)
    result = renew(service, state)
    assert planned["renewed"] == result["renewed"] == [third, first, second]
    assert f"{third} is exited (137)" in planned["steps"][0]
    assert service.servers()[kept] == "DRAIN"
    assert any("was told before to send it no requests" in note for note in result["notes"])


class Killed:
    """A rolling action in a process that is killed."""

    def __init__(self, folder: Path, name: str, given: dict[str, t.Any]) -> None:
        file = folder / "order.json"
        file.write_text(json.dumps(given))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen([sys.executable, str(OPERATION), name, str(file)], env=environment, start_new_session=True)

    def when(self, what: str, true: Callable[[], t.Any]) -> None:
        """Kill it when that is so."""
        try:
            wait_until(what, lambda: true() or self._process.poll() is not None)
            assert self._process.poll() is None, "it had ended before"
        finally:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def test_what_a_run_has_left_that_was_killed_while_it_drained_is_put_right(service: ComposeProject, state: Path, tmp_path: Path) -> None:
    slow = one_at_each(service, 3, [])
    Killed(tmp_path, "rolling", parameters(service, state)).when("a server is drained", lambda: "DRAIN" in service.servers().values())
    assert "DRAIN" in service.servers().values()
    planned = remove(service, state, 3, True)
    real = remove(service, state, 3)
    again = remove(service, state, 3)
    assert "An interrupted run had taken" in planned["steps"][0]
    assert [planned["changed"], real["changed"], again["changed"]] == [True, True, False]
    assert sorted(service.servers().values()) == ["UP"] * 3
    for one in slow:
        one.join()


@pytest.mark.parametrize("moment", ["new one is not well", "new one is well"])
def test_what_a_run_has_left_that_was_killed_between_two_containers_is_put_right(
    service: ComposeProject, state: Path, tmp_path: Path, moment: str
) -> None:
    before, first = service.picture(), f"{service.name}-app-1"
    service.set_environment(COLOUR="green", START_DELAY_S="3" if "not" in moment else "0.5")
    run = Killed(tmp_path, "rolling", parameters(service, state, way="recreate"))
    run.when(
        "the former container is set aside", lambda: f"{first}.former" in service.replicas() and first in service.replicas(running=True)
    )
    assert f"{first}.former" in service.replicas()
    if "not" not in moment:
        wait_until("the new one is well", lambda: first in service.healthy())
    planned, real = remove(service, state, 3, True), remove(service, state, 3)
    after = service.picture()
    assert (planned["changed"], real["changed"], len(planned["steps"])) == (True, True, len(real["steps"])), (planned, real)
    assert sorted(after) == sorted(before), "neither the former container nor the pattern is left"
    assert (after[first][0] == before[first][0]) == ("not" in moment)
    assert len(service.healthy()) == 3
    wait_until("all are up", lambda: sorted(service.servers().values()) == ["UP"] * 3)
    assert not remove(service, state, 3)["changed"]


def test_the_proxy_is_reached_by_a_port_and_in_its_container_too(service: ComposeProject, state: Path) -> None:
    proxy = f"{service.name}-proxy-1"
    first, second, third = service.replicas()
    ways = {
        first: {"address": f"{service.address(proxy)}:9999"},
        second: {"container": proxy, "address": ":9999"},
        third: {"container": proxy, "socket": "/run/proxy/admin.sock"},
    }
    for name, way in ways.items():
        result = renew(service, state, only=[name], proxy={"backend": "app", **way})
        assert (result["renewed"], result["notes"]) == ([name], [])
    assert sorted(service.servers().values()) == ["UP"] * 3


def test_a_server_with_a_fixed_address_is_given_the_new_one(service: ComposeProject) -> None:
    proxy, first = HAProxy(Runtime(path=str(service.socket)), "fixed"), service.replicas()[0]
    reach = Reach(frozenset({"203.0.113.1", service.address(first)}))
    assert (proxy.servers(reach), proxy.is_up(reach)) == ([], False)
    proxy.drain(["one"])
    assert proxy.ready(["one"], reach) == []
    assert proxy.servers(reach) == ["one"]
    wait_until("it is up", lambda: proxy.is_up(reach))


def test_without_a_proxy_it_works_and_says_what_that_means(service: ComposeProject, state: Path) -> None:
    remove(service, state, 1)
    only = service.replicas()
    before = service.picture()
    result = renew(service, state, proxy={})
    assert result["renewed"] == only
    assert service.picture()[only[0]][1] != before[only[0]][1]
    assert any("No proxy is named" in note for note in result["notes"])
    assert any("it is the only replica" in note for note in result["notes"])
    assert remove(service, state, 1, proxy={})["changed"] is False
