# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What engines and the host say becomes the right observation; slow and failing questions harm no other."""

from __future__ import annotations

import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils import socket_table
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis import (
    compose_containers,
    compose_project,
    gather_systemd,
    host_files,
    host_ports,
)
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.model import Missing, Mount, Observation
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.questions import Questions
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput


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
        found = [one for one in socket_table.listening() if one.port == port]
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


def test_a_working_folder_that_may_be_missing_is_looked_at_where_it_is_there_and_no_fault_where_not(tmp_path: Path) -> None:
    seen, paths = Observation("systemd", "api"), dict[str, str]()
    for folder in (f"!{tmp_path}", f"!{tmp_path}/missing", "!~", str(tmp_path / "gone")):
        gather_systemd.files("api.service", {"WorkingDirectory": folder}, seen, paths)
    assert paths == {str(tmp_path): "the working folder of api.service"}
    assert [(one.source, one.problem) for one in seen.mounts] == [(f"{tmp_path}/gone", "no_folder")]
