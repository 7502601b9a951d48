# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What engines, systemd, Kubernetes and the host say becomes the right observation; slow and failing questions harm no other."""

from __future__ import annotations

import json
import os
import socket
import time
import typing as t
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis import (
    addresses,
    compose_containers,
    compose_project,
    from_kubernetes,
    gather_kubernetes,
    gather_systemd,
    host_files,
    host_ports,
    unit_facts,
)
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.model import Missing, Mount, Observation, Port
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.questions import Questions
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.environment import shown_environment
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.state import unit_from


def test_questions_are_answered_side_by_side_within_one_deadline() -> None:
    def fails() -> None:
        raise BadInput("It is not there", why="nobody put it there")

    def slowly(answer: int, seconds: float) -> int:
        time.sleep(seconds)
        return answer

    questions = Questions(1.0)
    begin = time.monotonic()
    found = questions.ask(
        {"a": lambda: slowly(1, 0.3), "b": lambda: slowly(2, 0.3), "c": fails, "d": lambda: 1 // 0, "e": lambda: slowly(3, 30)}
    )
    assert time.monotonic() - begin < 3
    assert found == {"a": 1, "b": 2}
    assert set(questions.looked_at) == {"a", "b"}
    assert questions.not_looked_at[-1] == "e: no answer in time"
    assert "c: It is not there: nobody put it there" in questions.not_looked_at
    assert any(one.startswith("d: ZeroDivisionError") for one in questions.not_looked_at)


def test_compose_tells_what_it_misses() -> None:
    said = "error while interpolating services.api.environment.A: required variable SHOP_SEED is missing a value: must be set"
    assert compose_project.missing_in(said) == [Missing("required_variable", "SHOP_SEED", "services.api.environment.A", "must be set")]
    said = "env file /srv/.env.prod not found: stat /srv/.env.prod: no such file or directory"
    assert compose_project.missing_in(said) == [Missing("environment_file", "/srv/.env.prod")]
    warning = 'time="2026-11-22T05:16:17Z" level=warning msg="The \\"COLOUR\\" variable is not set. Defaulting to a blank string."'
    assert compose_project.unset_variables(warning) == ["COLOUR"]
    assert compose_project.words(f"{warning}\nservices.api.imagee false schema") == "services.api.imagee false schema"


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("a ${COLOUR}", True),
        ("$COLOUR", True),
        ("${COLOUR:?x}", True),
        ("${COLOUR:-red}", False),
        ("${COLOURED}", False),
        ("COLOUR", False),
    ],
)
def test_a_variable_with_a_value_of_its_own_is_not_missed(text: str, used: bool) -> None:
    assert compose_project.uses(text, "COLOUR") is used


def test_a_project_is_read_with_what_must_be_there_before() -> None:
    document = {
        "name": "shop",
        "services": {
            "api": {
                "networks": {"out": None, "default": None},
                "volumes": [{"type": "volume", "source": "data", "target": "/d"}, {"type": "bind", "source": "/srv", "target": "/s"}],
                "ports": [
                    {"published": "8000", "target": 80},
                    {"published": "9000-9001", "target": 81},
                    {"published": "53", "protocol": "udp"},
                ],
            },
            "db": {"networks": {"other": None}},
        },
        "networks": {"out": {"external": True, "name": "edge"}, "other": {"external": True}, "default": {}},
        "volumes": {"data": {"external": True, "name": "shop-data"}},
    }
    project = compose_project.read(json.dumps(document), "api")
    assert (project.name, project.networks, project.volumes, project.others) == ("shop", ("edge",), ("shop-data",), ("api", "db"))
    published = compose_project.published(project.services["api"])
    assert published == [("", 8000, 8000, "tcp"), ("", 9000, 9001, "tcp"), ("", 53, 53, "udp")]
    assert set(compose_project.read(json.dumps(document), "").services) == {"api", "db"}


def test_containers_are_listed_with_their_ports() -> None:
    line = "\t".join(
        [
            "id",
            "web-1",
            "running",
            "127.0.0.1:8080->80/tcp, :::9000-9001->9000-9001/tcp, 0.0.0.0:53->53/udp, 54/udp",
            "shop",
            "web",
            "/srv",
            "False",
        ]
    )
    one_off = line.replace("False", "True")
    found = compose_containers.listed(f"{line}\n{one_off}\nrubbish")
    assert [(one.name, one.ports) for one in found] == [
        ("web-1", (("127.0.0.1", 8080, "tcp"), ("::", 9000, "tcp"), ("::", 9001, "tcp"), ("0.0.0.0", 53, "udp")))
    ]
    assert host_ports.collide("::", "127.0.0.1")
    assert not host_ports.collide("10.0.0.7", "127.0.0.1")


STATE = {
    "Status": "running",
    "StartedAt": "2026-11-22T05:16:29.958221532Z",
    "FinishedAt": "2026-11-22T05:16:28.624968835Z",
    "ExitCode": 0,
    "OOMKilled": False,
    "Health": {"Status": "unhealthy", "Log": [{"ExitCode": 0, "Output": "ok"}, {"ExitCode": 1, "Output": "queue\nis stuck"}]},
}


@pytest.mark.parametrize(("minute", "restarts", "state"), [(17, 4, "restarting"), (30, 4, "running"), (17, 0, "running")])
def test_a_container_that_crashed_a_moment_ago_does_not_count_as_running(minute: int, restarts: int, state: str) -> None:
    now = datetime(2026, 11, 22, 5, minute, tzinfo=UTC)
    document = {"Name": "/api-1", "State": STATE, "RestartCount": restarts, "HostConfig": {"Memory": 1 << 20}}
    found = compose_containers.replica(document, ["line"], now)
    assert (found.name, found.state, found.health_says, found.memory_limit) == ("api-1", state, ("queue is stuck",), 1 << 20)


def test_the_kernels_log_tells_which_container_it_ended_for_its_memory() -> None:
    identity = "c419e21dc8b960290fb9eaecbd907d36b1012d1f99e2bf0379bbb032d27a7207"
    line = f"[ 1.0] oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/docker/{identity},task_memcg=/docker/{identity},task=python3"
    documents = [{"Id": identity, "Name": "/hog"}, {"Id": "0" * 64, "Name": "/other"}]
    assert compose_containers.ended_by_kernel(line, documents) == {"hog"}


def test_lines_of_both_streams_are_in_the_order_in_which_they_were_written() -> None:
    said = "2026-11-22T05:00:02Z second\n2026-11-22T05:00:01Z first\n2026-11-22T05:00:03Z third"
    assert compose_containers.log_lines(said, 2) == ["second", "third"]


def test_a_socket_of_this_process_has_this_process_as_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [one for one in host_ports.listeners() if one.port == port]
        assert [one.address for one in found] == ["127.0.0.1"]
        assert host_ports.holders([found[0].inode])[found[0].inode].pid == os.getpid()
    assert host_ports.container_of("0::/docker/" + "a" * 64) == "a" * 64
    assert host_ports.unit_of("12:pids:/system.slice/web.service\n0::/system.slice/web.service") == "web.service"


def test_what_is_mounted_is_looked_at_as_the_service_will_see_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "empty").mkdir()
    file, empty = str(tmp_path / "file"), str(tmp_path / "empty")
    other = f"{os.getuid() + 1000}:{os.getgid() + 1000}"
    assert host_files.mount(str(tmp_path / "gone"), "/x").problem == "missing"
    assert host_files.mount(empty, "/etc/app.conf").problem == "empty_folder"
    assert host_files.mount(empty, "/data") == Mount(empty, "/data")
    assert host_files.mount(file, "/x", other).problem == "not_readable"
    assert host_files.mount(file, "/x", "app") == Mount(file, "/x")
    (space,) = host_files.spaces({file: "a file", empty: "a folder", str(tmp_path / "gone"): "nothing"})
    assert 0 <= space.used_percent <= 100


def test_units_are_read_as_systemd_shows_them() -> None:
    text = (
        "Id=api.service\nActiveState=failed\nSubState=failed\nResult=oom-kill\nExecMainCode=2\n"
        "ExecMainStatus=9\nMemoryMax=104857600\n"
        "EnvironmentFiles=/etc/a.env (ignore_errors=no)\nEnvironmentFiles=/etc/b.env (ignore_errors=yes)\n"
        "Requires=db.service system.slice\n"
        "\nId=api.socket\nActiveState=active\nListen=0.0.0.0:8000 (Stream)\nListen=/run/api.sock (Stream)\n"
    )
    found = {unit.name: unit for unit in map(unit_from, text.split("\n\n"))}
    unit = unit_facts.replica(found["api.service"])
    assert (unit.exit_status, unit.out_of_memory, unit.memory_limit) == (137, True, 100 << 20)
    assert found["api.service"].environment_files == [("/etc/a.env", False), ("/etc/b.env", True)]
    assert unit_facts.required(found["api.service"]) == ["db.service"]
    assert unit_facts.stream_ports(found["api.socket"]) == [8000]
    looping = {"Id": "a", "ActiveState": "active", "NRestarts": "3", "ActiveEnterTimestampMonotonic": "99000000"}
    assert [unit_facts.replica(looping, (), now).state for now in (100.0, 1000.0)] == ["restarting", "running"]


def test_the_journal_tells_apart_what_the_unit_and_what_systemd_said() -> None:
    entries: list[dict[str, t.Any]] = [
        {"MESSAGE": "starting", "SYSLOG_IDENTIFIER": "api"},
        {"MESSAGE": [104, 105, 255], "SYSLOG_IDENTIFIER": "api"},
        {"MESSAGE": "api.service: Failed at step EXEC spawning /x: No such file or directory", "SYSLOG_IDENTIFIER": "(api)"},
        {"MESSAGE": "api.service: Start request repeated too quickly.", "SYSLOG_IDENTIFIER": "systemd"},
        {"MESSAGE": None},
    ]
    own, about = unit_facts.journal("\n".join(map(json.dumps, entries)) + "\nrubbish")
    assert own == ["starting", "hi\ufffd"]
    assert len(about) == 2


@pytest.mark.parametrize(("sub", "lines"), [("failed", ["now"]), ("auto-restart", ["last week", "now"])])
def test_only_the_last_start_is_told_unless_systemd_starts_it_again_and_again(sub: str, lines: list[str]) -> None:
    entries = [{"MESSAGE": "last week", "_SYSTEMD_INVOCATION_ID": "a"}, {"MESSAGE": "now", "_SYSTEMD_INVOCATION_ID": "b"}]
    entries += [{"MESSAGE": f"about {one}", "SYSLOG_IDENTIFIER": "systemd", "INVOCATION_ID": one} for one in "ab"]
    unit = {"Id": "api.service", "ActiveState": "activating" if "auto" in sub else "failed", "SubState": sub, "InvocationID": "b"}
    own, about = unit_facts.journal("\n".join(map(json.dumps, entries)), unit_facts.last_start(unit))
    assert own == lines
    assert about == [f"about {one}" for one in "ab"[-len(lines) :]]


def test_a_port_of_the_unit_itself_is_not_anothers_and_one_that_nobody_sees_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = Questions(5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        holder = host_ports.Holder(7, "redis", "", "redis-server.service")
        monkeypatch.setattr(host_ports, "holders", lambda inodes: dict.fromkeys(inodes, holder))
        assert gather_systemd.ports([port], {"redis.service", "redis-server.service"}, questions) == [Port(port)]
        assert "redis-server.service" in gather_systemd.ports([port], {"api.service"}, questions)[0].holder
        monkeypatch.setattr(host_ports, "holders", lambda inodes: {})
        assert gather_systemd.ports([port], {"api.service"}, questions) == []
    assert questions.not_looked_at[0].startswith(f"who holds port {port}: only root may see that")


@pytest.mark.parametrize(
    ("fault", "problems", "noted"),
    [
        (PermissionError(13, "Permission denied"), [], ["/closed/run: Permission denied", "/closed: Permission denied"]),
        (FileNotFoundError(2, "No such file"), ["no_program", "no_folder"], []),
    ],
)
def test_what_this_account_may_not_see_is_not_taken_for_missing(
    monkeypatch: pytest.MonkeyPatch, fault: OSError, problems: list[str], noted: list[str]
) -> None:
    def refuses(*_arguments: object) -> None:
        raise fault

    seen = Observation("systemd", "api")
    unit = {"ExecStart": "{ path=/closed/run ; argv[]=/closed/run ; code=(null) ; status=0/0 }", "WorkingDirectory": "/closed"}
    monkeypatch.setattr(os, "stat", refuses)
    gather_systemd.files("api.service", unit, seen, {})
    monkeypatch.undo()
    assert [one.problem for one in seen.mounts] == problems
    assert seen.not_looked_at == noted


def test_a_secret_with_a_blank_in_a_units_environment_is_known_as_a_whole() -> None:
    assert addresses.secrets_in(shown_environment("PORT=80 $'DB_PASSWORD=sword fish'")) == {"sword fish"}


@pytest.mark.parametrize(("minute", "state"), [(17, "restarting"), (30, "running")])
def test_a_pod_that_crashed_a_moment_ago_does_not_count_as_running(minute: int, state: str) -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-11-22T05:16:28Z"}}
    container = {"name": "api", "ready": True, "restartCount": 2, "state": {"running": {}}, "lastState": ended}
    ready = [{"type": "Ready", "status": "True"}]
    pod: dict[str, t.Any] = {"kind": "Pod", "metadata": {"name": "api-0"}}
    pod["status"] = {"phase": "Running", "conditions": ready, "containerStatuses": [container]}
    seen = from_kubernetes.observe("api", [pod], now=datetime(2026, 11, 22, 5, minute, tzinfo=UTC))
    assert seen.replicas[0].state == state


def test_pods_are_read_with_what_explains_them_most() -> None:
    init: dict[str, t.Any] = {"name": "migrate", "state": {"terminated": {"exitCode": 0}}}
    waiting: dict[str, t.Any] = {
        "name": "api",
        "restartCount": 5,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
    }
    waiting["lastState"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    well = {"name": "proxy", "ready": True, "restartCount": 0, "state": {"running": {}}}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "api-0"},
        "status": {"phase": "Running", "initContainerStatuses": [init], "containerStatuses": [well, waiting]},
    }
    leaving = {"kind": "Pod", "metadata": {"name": "api-1", "deletionTimestamp": "now"}, "status": {"phase": "Running"}}
    other = {"kind": "Event", "type": "Warning", "involvedObject": {"kind": "Pod", "name": "other-0"}, "message": "x"}
    seen = from_kubernetes.observe(
        "api", [pod, leaving, other, {"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": 2}}]
    )
    (replica,) = seen.replicas
    assert (replica.state, replica.exit_status, replica.out_of_memory, replica.restarts) == ("CrashLoopBackOff", 137, True, 5)
    assert seen.wanted == 2
    assert not [one for one in seen.conditions if one.type == "Event"]
    init["state"] = {"waiting": {"reason": "ImagePullBackOff"}}
    assert from_kubernetes.observe("api", [pod]).replicas[0].reason == "Init:ImagePullBackOff"


def deployment(name: str = "api", replicas: int = 1) -> dict[str, t.Any]:
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": replicas}}


@pytest.mark.parametrize(
    ("about", "ours"),
    [
        ("api", True),
        ("api-5c7b8d9f6b-xk2lp", True),
        ("api-xk2lp", True),
        ("api-0", True),
        ("api-gateway-5c7b8d9f6b-xk2lp", False),
        ("api-gateway", False),
        ("apix-0", False),
    ],
)
def test_events_of_a_neighbour_whose_name_begins_alike_are_not_ours(about: str, ours: bool) -> None:
    event = {"kind": "Event", "type": "Warning", "involvedObject": {"kind": "Pod", "name": about}, "message": "x"}
    seen = from_kubernetes.observe("api", [deployment(), event])
    assert bool(seen.conditions) is ours


def test_a_pod_that_was_evicted_and_replaced_is_no_replica_that_is_missing() -> None:
    well = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"state": {"running": {}}}]}
    pods = [{"kind": "Pod", "metadata": {"name": f"api-{number}"}, "status": well} for number in range(3)]
    evicted = {"kind": "Pod", "metadata": {"name": "api-9"}, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}}
    seen = from_kubernetes.observe("api", [deployment(replicas=3), *pods, evicted])
    assert seen.is_well
    assert (seen.well, seen.of) == (3, 3)
    assert "Evicted" in {one.reason for one in seen.conditions}


BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("first", "main", "wanted", "container", "previous"),
    [
        (
            {"state": BACK_OFF, "lastState": {"terminated": {"exitCode": 1}}},
            {"state": {"waiting": {"reason": "PodInitializing"}}},
            "api",
            "migrate",
            True,
        ),
        ({"ready": False, "state": {"running": {}}}, {"state": {"waiting": {"reason": "PodInitializing"}}}, "", "migrate", False),
        ({"state": {"terminated": {"exitCode": 0}}}, {"state": BACK_OFF, "lastState": {"terminated": {"exitCode": 1}}}, "", "api", True),
        ({"state": {"terminated": {"exitCode": 0}}}, {"state": {"running": {}}}, "api", "api", False),
        ({"state": {"terminated": {"exitCode": 0}}}, {"state": {"waiting": {"reason": "ImagePullBackOff"}}}, "", "", False),
    ],
)
def test_the_log_that_is_read_is_of_the_container_that_explains_most(
    first: dict[str, t.Any], main: dict[str, t.Any], wanted: str, container: str, previous: bool
) -> None:
    status = {"initContainerStatuses": [{"name": "migrate", **first}], "containerStatuses": [{"name": "api", **main}]}
    query = dict(gather_kubernetes.log_wanted({"kind": "Pod", "status": status}, wanted, 9))
    assert query.get("container", "") == container
    assert ("previous" in query) is previous
