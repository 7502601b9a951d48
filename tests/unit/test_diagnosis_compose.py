# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service of Docker Compose needs of others is judged by what is meant for it: its project, its networks, its profiles."""

from __future__ import annotations

import os
import socket
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis import (
    compose_images,
    compose_network,
    compose_project,
    compose_services,
    gather_compose,
    host_files,
    host_ports,
)
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.compose_containers import Container
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.compose_project import Project
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.host_ports import Published
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.model import Missing
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.questions import Questions


def container(service: str, project: str = "shop", **state: t.Any) -> tuple[Container, dict[str, t.Any]]:
    """A line of `docker ps` and what `docker inspect` tells of it."""
    name = f"{project}-{service}-1"
    networks = {f"{project}_default": {"Aliases": [service, name], "IPAddress": ""}}
    document = {
        "Id": name,
        "Name": f"/{name}",
        "Config": {"Labels": {"com.docker.compose.project": project}},
        "State": {"Status": "running", "StartedAt": "2026-11-22T05:16:29Z", **state},
        "NetworkSettings": {"Networks": networks},
    }
    return Container(name, name, "running", (), project, service, "/srv"), document


def test_the_database_of_another_project_is_not_the_one_that_is_meant() -> None:
    documents = [container("api")[1], container("db", "other")[1]]
    here = compose_network.Asking("shop", {"shop_default"})
    assert compose_network.ask_server(("DB", "db.invalid", 5432), documents, here, Questions(5)).problem == "name"
    assert compose_network.ask_server(("DB", "db", 5432), documents, here, Questions(5)).problem not in ("network", "stopped")
    # By its own name it is meant, whoever has it; and the one of the same project is.
    assert compose_network.ask_server(("DB", "other-db-1", 5432), documents, here, Questions(5)).problem == "network"
    both = [*documents, container("db")[1]]
    assert compose_network.ask_server(("DB", "db", 5432), both, here, Questions(5)).problem == "stopped"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, [("PUBLIC_URL", "localhost", 8000)]),
        ({"expose": ["8000/tcp"]}, []),
        ({"ports": [{"target": 80, "published": "8000"}]}, []),
        ({"ports": [{"target": 8000}]}, []),
        ({"network_mode": "service:vpn"}, []),
        ({"network_mode": "host"}, [("PUBLIC_URL", "localhost", 8000)]),
    ],
)
def test_its_own_address_is_no_server_that_it_needs(body: dict[str, t.Any], named: list[t.Any]) -> None:
    project = Project("shop", {"api": {"environment": {"PUBLIC_URL": "http://localhost:8000"}, **body}})
    assert compose_network.named(project, [], set()) == named


def test_localhost_of_a_service_in_the_network_of_its_host_is_that_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wanted = [("DB_URL", "localhost", server.getsockname()[1])]
        hosts = Project("shop", {"api": {"network_mode": "host"}})
        assert compose_network.reached(wanted, hosts, [], set(), Questions(5))[0].problem == ""
        assert compose_network.reached(wanted, Project("shop", {"api": {}}), [], set(), Questions(5))[0].problem == "itself"


def test_environment_files_that_compose_misses_or_cannot_read_are_named_without_their_text() -> None:
    said = "couldn't find env file: /srv/nope.env"
    assert compose_project.missing_in(said) == [Missing("environment_file", "/srv/nope.env")]
    said = 'failed to read /srv/.env: line 2: unterminated quoted value "gehe:\nimnis'
    assert compose_project.words(said) == "failed to read /srv/.env: line 2"


def test_services_of_profiles_that_nobody_started_are_not_missed() -> None:
    bodies: dict[str, t.Any] = {"api": {"scale": 2}, "debug": {"profiles": ["debug"]}, "load": {"profiles": ["test"]}}
    project = compose_services.without_unused_profiles(Project("shop", bodies), {"load"})
    assert set(project.services) == {"api", "load"}
    assert compose_services.wanted(project, set()) == 3
    assert compose_services.wanted(Project("", {}), set()) is None


@pytest.mark.parametrize(("status", "running", "wanted"), [(0, 1, 1), (1, 2, 2)])
def test_a_service_that_has_done_its_work_is_not_missed(status: int, running: int, wanted: int) -> None:
    project = Project("shop", {"api": {"depends_on": {"migrate": {"condition": "service_completed_successfully"}}}, "migrate": {}})
    pairs = [container("api"), container("migrate", Status="exited", ExitCode=status)]
    ending = compose_services.one_shots(project)
    assert ending == {"migrate"}
    found, done = compose_services.replicas([one for one, _document in pairs], [document for _one, document in pairs], {}, ending)
    assert len(found) == running
    assert compose_services.wanted(project, done) == wanted


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ({"condition": "service_healthy"}, "is unhealthy"),
        ({"condition": "service_started"}, ""),
        ({"condition": "service_healthy", "required": False}, None),
    ],
)
def test_what_must_run_before_is_judged_by_what_is_asked_of_it(how: dict[str, t.Any], state: str | None) -> None:
    one, document = container("db", Health={"Status": "unhealthy"})
    project = Project("shop", {"api": {"depends_on": {"db": how}}})
    found = compose_services.dependencies(project, [document], [one])
    assert [dependency.state for dependency in found] == ([] if state is None else [state])


def test_containers_are_found_by_the_folder_of_the_first_compose_file(tmp_path: Path) -> None:
    request = gather_compose.Request("api", compose_files=(str(tmp_path / "compose.yaml"),))
    assert request.called.home == os.path.realpath(tmp_path)


def test_a_registry_that_does_not_answer_takes_nothing_from_the_other_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker"
    answers = "*manifest*) sleep 30 ;;\n*away*) echo No such image >&2; exit 1 ;;"
    program.write_text(f'#!/bin/sh\ncase "$*" in\n{answers}\nesac\necho \'[{{"Architecture": "amd64"}}]\'\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(compose_images, "_REGISTRY_S", 1.0)
    project = Project("shop", {name: {"image": name} for name in ("away/a", "away/b", "here")})
    begin = time.monotonic()
    found = compose_images.documents(Questions(20), project)
    assert time.monotonic() - begin < 5
    assert found["away/a"] == found["away/b"] == "its registry: no answer within 1 s"
    assert found["here"] == {"Architecture": "amd64"}


def test_a_port_of_udp_is_another_than_that_of_tcp_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    # Bound without listening, the port of TCP is nobody else's meanwhile.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as kept:
        kept.bind(("0.0.0.0", 0))
        port = kept.getsockname()[1]
        bound.bind(("127.0.0.1", port))
        by_udp, by_tcp = compose_network.ports([Published("", port, port, kind) for kind in ("udp", "tcp")], [], set(), Questions(5))
        assert (by_udp.shown, by_udp.holder.startswith(f"process {os.getpid()} ("), by_tcp.holder) == (f"{port}/udp", True, "")
        monkeypatch.setattr(host_ports, "holders", lambda _inodes: {})
        assert compose_network.ports([Published("127.0.0.1", port, port, "udp")], [], set(), questions := Questions(5)) == []
    assert questions.not_looked_at[0].startswith(f"who holds port {port}/udp: only root may see that (become, or ss -lunp")


def test_a_range_of_ports_is_held_where_all_of_it_is() -> None:
    def container(name: str, *numbers: int) -> Container:
        return Container(name, name, "running", tuple(("0.0.0.0", number, "udp") for number in numbers), "p", name, "/srv")

    def asked(*there: Container, first: int = 5000) -> tuple[str, str]:
        (port,) = compose_network.ports([Published("", first, 5002, "udp")], there, {"mine"}, Questions(5))
        return port.shown, port.holder

    one, two, mine = container("one", 5000, 5001), container("two", 5002), container("mine", 5002)
    both = "container one (service one of project p), container two (service two of project p)"
    assert asked(one, two) == ("5000-5002/udp", both)
    assert asked(one) == asked(one, mine) == ("5000-5002/udp", "")
    assert asked(two, first=5002) == ("5002/udp", "container two (service two of project p)")


def test_a_port_whose_holder_is_not_seen_and_a_file_that_may_not_be_looked_at_are_no_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    questions = Questions(5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(host_ports, "holders", lambda _inodes: {})
        assert compose_network.ports([Published("", port, port)], [], set(), questions) == []
    monkeypatch.setattr(os, "stat", refused)
    assert host_files.mounts([("/closed/app.conf", "/etc/app.conf", "1000")], questions) == []
    monkeypatch.undo()
    noted = [one.partition(":")[0] for one in questions.not_looked_at]
    assert noted == [f"who holds port {port}", "/closed/app.conf, which is mounted at /etc/app.conf"]
