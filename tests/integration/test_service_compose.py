# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verbs of a service on Docker Compose: real containers behind a real proxy, real playbooks, and faults in the middle."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, DeadlineExceeded
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import exec as command
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import limits, rolling
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.engine import Engine
from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from integration.compose_project import ComposeProject, running_project
from integration.containers import Docker
from integration.service_runs import Runs, refusal
from tools.waiting import wait_until

OPERATION = Path(__file__).with_name("rolling_operation.py")
CONTROL_GROUP = ("memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes", "cpu/cpu.cfs_quota_us")
pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def started(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """A project with two replicas behind HAProxy, which all tests of this file use."""
    with running_project(docker, docker.name("verbs"), tmp_path_factory.mktemp("p") / "c", replicas=2, HEALTH="good") as running:
        yield running


@pytest.fixture
def project(started: ComposeProject) -> Iterator[ComposeProject]:
    """The project as it should be; what a test that failed has left is put right before the next."""
    yield started
    started.set_environment(HEALTH="good", COLOUR="blue", IMAGE=started.docker.image)
    if len(started.healthy()) != 2 or len(started.replicas()) != 2:
        started.compose("up", "--detach", "--wait", "--scale", "app=2")


@pytest.fixture
def runs(project: ComposeProject, tmp_path: Path) -> Runs:
    """The project's inventory."""
    return Runs(tmp_path / "runs", {**project.variables(), "service_replicas": {"normal": 2, "up": 3}})


def set_limits(project: ComposeProject, **wanted: str) -> dict[str, t.Any]:
    defaults = {name: option.get("default") for name, option in limits.OPTIONS.items()}
    named = {"project_folder": str(project.folder), "environment_file": project.environment_file, "service": project.service}
    return limits.operate({**defaults, **named, **wanted}, check_mode=False)


def conclusion(count: int) -> str:
    return f"{count} of {count} replicas run and are healthy"


def recorded(runs: Runs, playbook: str, *options: str, **variables: t.Any) -> str:
    """Run a playbook that must succeed, see that it has left a record, and return its output on one line."""
    done = runs.run(playbook, *options, **variables)
    assert done.status == 0, done.output
    record = runs.records()[-1]
    assert (record["procedure"], record["status"]) == (playbook, "succeeded")
    return " ".join(done.output.split())


def test_what_runs_is_told_with_every_replica(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    output = recorded(runs, "service_status")
    assert conclusion(2) in output
    assert all(name in output for name in project.replicas())
    (status, waited) = runs.verbs("status", "wait")
    assert (status["after"]["wanted"], status["after"]["running"], status["after"]["healthy"]) == (2, 2, 2)
    first = status["after"]["replicas"][0]
    assert (first["name"], first["state"], first["health"]) == (project.replicas()[0], "running", "healthy")
    assert first["address"] == project.address(first["name"])
    assert (waited["changed"], waited["conclusion"]) == (False, conclusion(2))
    assert project.picture() == before


def test_a_stopped_service_starts_again_with_as_many_replicas_as_there_were(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    (predicted,) = runs.verbs("stop", check=True)
    assert project.picture() == before, "check mode stops nothing"
    recorded(runs, "service_stop")
    assert (project.replicas(running=True), project.replicas()) == ([], list(before))
    stopped = project.picture()
    project.set_environment(COLOUR="green")
    (start,) = runs.verbs("start", check=True)
    assert (start["changed"], project.picture()) == (True, stopped)
    stop, start = runs.verbs("stop", "start")
    assert (predicted["changed"], stop["changed"], start["changed"], start["conclusion"]) == (True, False, True, conclusion(2))
    assert project.healthy() == list(before)
    now = project.picture()
    recorded(runs, "service_start")
    assert project.picture() == now, "what runs is left as it is"
    assert {name: one[0] for name, one in now.items()} == {name: one[0] for name, one in before.items()}, "also with other settings by now"


def test_all_services_of_a_project_stop_start_and_restart_also_where_one_has_done_its_work(project: ComposeProject, runs: Runs) -> None:
    once = {"image": "${IMAGE}", "command": ["true"], "pull_policy": "never"}
    (project.folder / "once.yaml").write_text(json.dumps({"services": {"once": once}}))
    runs.variables.update(service_compose_service="", service_compose_files=["compose.yaml", "once.yaml"], service_proxy={})
    start, again, stop, anew, restart = runs.verbs("start", "start", "stop", "start", ("restart", {"service_restart_way": "all"}))
    assert [one["conclusion"] for one in (start, anew, restart)] == [conclusion(3)] * 3, "the replicas and the proxy"
    assert (start["changed"], stop["changed"], stop["after"]["running"], anew["changed"]) == (True, True, 0, True)
    assert any(one["has_finished"] for one in again["after"]["replicas"])
    assert "is no number of replicas" in runs.refused("scale", service_scale_to=-3)
    project.docker("rm", "--force", f"{project.name}-once-1")
    project.wait_up(2)


def test_what_a_killed_run_has_left_keeps_no_verb_from_its_work(project: ComposeProject, runs: Runs, tmp_path: Path) -> None:
    before, (first, second) = project.picture(), project.replicas()
    project.set_environment(COLOUR="green")
    named = {"project_folder": str(project.folder), "environment_file": project.environment_file, "service": project.service}
    order = {**{name: option.get("default") for name, option in rolling.OPTIONS.items()}, **named, "way": "recreate"}
    (tmp_path / "order").write_text(json.dumps({**order, "proxy": runs.variables["service_proxy"]}))
    environment = {**runs.environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen([sys.executable, str(OPERATION), "rolling", str(tmp_path / "order")], env=environment, start_new_session=True)
    try:
        wait_until("the first is set aside", lambda: {first, f"{first}.former"} <= set(project.replicas()) or run.poll() is not None)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert f"{first}.former" in project.replicas()
    status, applied, again = runs.verbs("status", "apply", "apply")
    assert [one["name"] for one in status["after"]["replicas"]] == [first, second]
    assert (applied["changed"], again["changed"], again["conclusion"]) == (True, False, conclusion(2))
    assert "An interrupted run" in applied["steps"][0]
    now = project.picture()
    assert (list(now), {now[name][0] for name in now} & {before[name][0] for name in before}) == ([first, second], set())
    for step in ("start", "restart", ("restart", {"service_restart_way": "all"}), ("scale", {"service_scale_to": 3})):
        if step == "start":
            runs.verb("stop")
        Journal.of(str(runs.folder / "state"), project.name, project.service).note(pattern_beside=[one[0] for one in now.values()])
        project.compose("up", "--no-start", "--no-deps", "--no-recreate", "--scale", "app=3", "app")
        (told,) = runs.verbs(step)
        assert told["conclusion"] == conclusion(3 if told["verb"] == "scale" else 2), step
        assert "is removed" in told["steps"][0], step
        assert len(project.replicas()) == (3 if told["verb"] == "scale" else 2)
    runs.verb("scale", service_scale_to=2)


def test_scaling_shows_adds_and_removes_replicas_without_touching_the_others(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    shown, up = runs.verbs("scale", ("scale", {"service_scale_to": "up"}), check=True)
    assert (shown["changed"], shown["conclusion"]) == (False, conclusion(2))
    assert (up["changed"], up["steps"], project.picture()) == (True, ["Replicas: 2 -> 3"], before)
    recorded(runs, "service_scale", service_scale_to="up")
    project.wait_up(3)
    now = project.picture()
    assert len(now) == 3
    assert {name: now[name] for name in before} == before, "those that served serve on"
    again, *down = runs.verbs(*(("scale", {"service_scale_to": number}) for number in (3, "normal", 2)))
    assert (again["changed"], [one["changed"] for one in down], down[0]["steps"]) == (False, [True, False], ["Replicas: 3 -> 2"])
    assert project.picture() == before


def test_every_way_of_restarting_ends_with_all_replicas_healthy(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    (predicted,) = runs.verbs(("restart", {"service_restart_way": "down_and_up"}), check=True)
    assert (predicted["changed"], project.picture()) == (True, before)
    recorded(runs, "service_restart")
    rolled = project.picture()
    first, second = project.replicas()
    assert all(rolled[name][0] == before[name][0] and rolled[name][1] != before[name][1] for name in before)
    one, every, anew = runs.verbs(
        ("restart", {"service_restart_way": "one", "service_restart_replica": second}),
        ("restart", {"service_restart_way": "all"}),
        ("restart", {"service_restart_way": "down_and_up"}),
    )
    assert [result["conclusion"] for result in (one, every, anew)] == [conclusion(2)] * 3
    start = {(result["verb"], name["name"]): name["started_at"] for result in (one,) for name in result["after"]["replicas"]}
    assert start["restart", first] == rolled[first][1][:19] + "Z", "only the one that was named"
    assert start["restart", second] > rolled[second][1][:19] + "Z"
    assert not {one[0] for one in project.picture().values()} & {one[0] for one in before.values()}, "down and up makes them anew"


def test_limits_are_set_on_all_replicas_and_the_lines_for_the_compose_file_are_shown(project: ComposeProject, runs: Runs) -> None:
    wanted = {"memory": "200m", "memory_swap": "200m", "cpus": 0.5}
    before = project.picture()
    (predicted,) = runs.verbs(("limits", {"service_limits": wanted}), check=True)
    assert (predicted["changed"], project.picture()) == (True, before)
    output = recorded(runs, "service_limits", "--diff", service_limits=wanted)
    assert "memswap_limit: 200m" in output
    assert [one[3:6] for one in project.picture().values()] == [(200 << 20, 200 << 20, 500_000_000)] * 2
    (again,) = runs.verbs(("limits", {"service_limits": wanted}))
    assert (again["changed"], again["after"]) == (False, predicted["after"])
    with pytest.raises(BadInput, match="name memory_swap too"):
        set_limits(project, memory="300m")
    limited = project.picture()
    # The engine itself refuses: the service uses more than that.
    with pytest.raises((BadInput, CommandFailed), match=r"More memory is used now|all replicas have their former limits"):
        set_limits(project, memory="8m", memory_swap="8m")
    assert project.picture() == limited


def test_limits_are_taken_away_from_running_replicas_once(project: ComposeProject, runs: Runs) -> None:
    set_limits(project, memory="200m", memory_swap="200m", cpus="0.5")
    before = project.picture()
    with Engine() as engine, pytest.raises(CommandFailed, match="inimum memory"):
        engine.ask("POST", f"/containers/{project.replicas()[0]}/update", body={"Memory": -1, "MemorySwap": -1})
    project.docker("update", "--memory=0", "--memory-swap=0", "--cpus=0", *before)
    assert project.picture() == before, "0 means `as it is` to the engine"
    wanted = {"memory": "none", "cpus": "none", "memory_request": "64m"}
    (predicted,) = runs.verbs(("limits", {"service_limits": wanted}), check=True)
    assert (predicted["changed"], project.picture()) == (True, before)
    assert predicted["notes"][1:] == ["memory_request is left out: Docker has no such limit."]
    assert "take them out of the Compose file" in recorded(runs, "service_limits", "--diff", service_limits=wanted)
    now = project.picture()
    assert [one[:3] for one in now.values()] == [one[:3] for one in before.values()], "nothing restarts"
    for name in now:
        memory, swap, quota = (int(project.docker("exec", name, "cat", f"/sys/fs/cgroup/{path}")) for path in CONTROL_GROUP)
        assert (memory >= 1 << 62, swap >= 1 << 62, quota) == (True, True, (os.cpu_count() or 1) * 100_000)
    (again,) = runs.verbs(("limits", {"service_limits": wanted}))
    assert (again["changed"], again["after"], project.picture()) == (False, predicted["after"], now)
    project.docker("restart", "--time", "1", project.replicas()[0])
    project.wait_healthy(2)


def test_logs_are_shown_searched_and_followed_and_a_command_runs_where_the_service_runs(project: ComposeProject, runs: Runs) -> None:
    project.get("/error")
    output = recorded(runs, "service_logs", service_log_pattern="connection refused")
    assert "TimeoutError: connection refused" in output
    last, followed, command = runs.verbs(
        ("logs", {"service_log_lines": 2, "service_log_pattern": ""}),
        ("logs", {"service_log_follow_s": 1, "service_log_pattern": "connection refused"}),
        ("exec", {"service_exec_command": ["sh", "-c", "echo $HOSTNAME; echo api_key=abc123 >&2"]}),
    )
    assert len(last["lines"]) == 2
    assert any("connection refused" in line for line in followed["lines"])
    first = project.docker("inspect", "--format", "{{.Config.Hostname}}", project.replicas()[0])
    assert (command["stdout"].strip(), "abc123" in command["stderr"], command["exit_status"]) == (first, False, 0)
    recorded(runs, "service_exec", service_exec_command=["true"])


def test_a_command_is_bounded_in_time_and_output_and_ended_where_it_runs(project: ComposeProject) -> None:
    container = project.replicas()[0]

    def run(*argv: str, **more: t.Any) -> dict[str, t.Any]:
        defaults = {name: option.get("default") for name, option in command.OPTIONS.items()}
        return command.operate({**defaults, "container": container, "argv": list(argv), **more}, check_mode=False)

    with pytest.raises(CommandFailed, match="The command ended with 3") as failed:
        run("sh", "-c", "seq 100000; exit 3", output_bytes=100)
    told = failed.value.facts
    assert (told["exit_status"], told["cut"], told["stdout"].splitlines()[-1], len(told["stdout"]) <= 100) == (3, True, "100000", True)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not end within 1 s"):
        run("sleep", "4321", timeout_s=1)
    assert time.monotonic() - began < 10
    assert "4321" not in project.docker("top", container)
    with pytest.raises(CommandFailed, match="The command ended with 127"):
        run("no-such-program")


def test_a_changed_environment_is_applied_and_a_broken_one_changes_nothing(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    project.set_environment(HEALTH="never")
    message = runs.refused("apply", service_health_timeout_s=4)
    assert "A replica with the present configuration does not become healthy" in message
    assert conclusion(2) in message
    assert project.picture() == before, "what serves was not touched"
    project.set_environment(HEALTH="good", COLOUR="green")
    (predicted,) = runs.verbs("apply", check=True)
    assert (predicted["changed"], project.picture()) == (True, before)
    applied, again = runs.verbs("apply", "apply")
    assert (applied["changed"], again["changed"], applied["conclusion"]) == (True, False, conclusion(2))
    project.wait_up(2)
    assert {project.get()[1]["COLOUR"] for _ in range(4)} == {"green"}


def test_new_replicas_that_never_become_healthy_are_removed_again(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    project.set_environment(HEALTH="never")
    message = runs.refused("scale", service_scale_to=4, service_health_timeout_s=6)
    assert "unhealthy" in message
    assert f"As before: {conclusion(2)}" in message
    assert project.picture() == before


def test_a_missing_image_is_found_before_anything_is_taken_down(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    project.set_environment(IMAGE="sre-runbooks/no-such:image")
    message = runs.refused("restart", service_restart_way="down_and_up")
    assert "The image of the service is not on this host (sre-runbooks/no-such:image" in message
    assert conclusion(2) in message
    assert project.picture() == before


def test_what_fails_only_when_all_is_down_brings_the_former_replicas_back(project: ComposeProject, runs: Runs) -> None:
    before, file = project.picture(), project.folder / "compose.yaml"
    text = file.read_text()
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        file.write_text(text.replace('"app": {', f'"app": {{"ports": ["127.0.0.1:{port}:8000"],', 1))
        try:
            message = runs.refused("restart", service_restart_way="down_and_up")
        finally:
            file.write_text(text)
    first, second = before
    assert f"stopped at {first}: {first} cannot be started" in message, message
    assert f"{port}" in message.split("The container before it")[0], message
    assert f"The container before it is back as {first}: {first} runs and is healthy" in message
    assert f"Started {second}. As before: {conclusion(2)}" in message, message
    assert {name: one[0] for name, one in project.picture().items()} == {name: one[0] for name, one in before.items()}
    project.wait_up(2)


@pytest.mark.parametrize(
    ("way", "said"),
    [("all", "Made {} anew, which was gone"), ("down_and_up", "The container before it is back as {}")],
    ids=lambda one: one[:3],
)
def test_a_replica_that_is_removed_during_the_restart_is_there_again_and_named(
    project: ComposeProject, runs: Runs, way: str, said: str
) -> None:
    first, second = project.replicas()
    before = project.picture()
    process = runs.begin_verb("restart", service_restart_way=way, service_health_timeout_s=15)

    def has_begun() -> bool:
        if way == "all":
            now = project.picture()[first]
            return now[1] != before[first][1] or not now[2]
        named = [part for name in (first, second) for part in ("--filter", f"name=^{name}$")]
        running = project.docker("ps", "--no-trunc", "--quiet", *named).split()
        return len(running) == 2 and not {one[0] for one in before.values()} & set(running)

    wait_until("the restart has begun", has_begun)
    project.docker("rm", "--force", second)
    message = refusal(process)
    assert second in message or "1 of 2 replicas" in message
    assert said.format(second) in message, message
    assert f"As before: {conclusion(2)}" in message, message
    assert len(project.healthy()) == 2
