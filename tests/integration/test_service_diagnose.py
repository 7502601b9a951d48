# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Broken services of a real Docker Engine: the diagnosis names what is broken, by module and by playbook."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import time
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.operation import OPTIONS, operate
from integration.broken_services import PASSWORD, Registry, played, services
from integration.containers import Docker
from tools.ports import free_ports
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]


DEFAULTS = {name: option.get("default") for name, option in OPTIONS.items()}


Result = dict[str, t.Any]


def diagnose(**parameters: t.Any) -> Result:
    """What the module's library says; no secret may be in it."""
    result = operate({**DEFAULTS, "timeout_s": 60.0, **parameters}, False)
    assert PASSWORD not in json.dumps(result)
    return result


class Project(t.NamedTuple):
    """The project, the port that this process holds by TCP and UDP, and the first of two that the service `holder` has."""

    name: str
    folder: Path
    port: int
    held: int


def neighbours() -> int:
    """The first of two free ports side by side."""
    while True:
        (first,) = free_ports(1)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", first + 1)):
            return first


@pytest.fixture(scope="module")
def project(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose services have been started, as far as they can be."""
    folder, name, registry = tmp_path_factory.mktemp("project"), docker.name("diagnose"), Registry(tmp_path_factory.mktemp("registry"))
    mounted = folder / "mounted"
    mounted.mkdir()
    port, held = free_ports(1)[0], neighbours()
    found = services(docker.image, name, port, held, registry.name, mounted)
    away = {"external": True, "name": f"{name}-away"}
    top = {"name": name, "services": found, "networks": {"away": away}, "volumes": {"away": away}}
    (folder / "compose.yaml").write_text(json.dumps(top))
    # What has no container, because Compose refuses it, would keep it from making the others.
    without = ("no_image", "unknown_image", "private_image", "named", "no_network", "no_volume")
    kept = {key: body for key, body in found.items() if key not in without}
    (folder / "start.yaml").write_text(json.dumps({"name": name, "services": kept}))
    start = ["compose", "--file", str(folder / "start.yaml"), "--project-directory", str(folder)]
    with socket.create_server(("127.0.0.1", port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", port))
        try:
            docker("run", "--detach", "--init", "--name", f"{name}-fixed", "--network=none", docker.image, "sleep", "600")
            docker(*start, "create")
            docker("start", f"{name}-holder-1", f"{name}-stands_still-1")
            rest = [f"{name}-{key}-1" for key in kept if key not in ("holder", "needs_sick", "stands_still")]
            subprocess.run(["docker", "start", *rest, f"{name}-good-2"], env=docker.environment, capture_output=True, check=False)
            docker("pause", f"{name}-stands_still-1")
            yield Project(name, folder, port, held)
        finally:
            registry.shutdown()
            registry.server_close()
            subprocess.run(["docker", "unpause", f"{name}-stands_still-1"], env=docker.environment, capture_output=True, check=False)
            docker("rm", "--force", f"{name}-fixed")
            docker(*start, "down", "--timeout", "1")


@pytest.fixture(scope="module")
def diagnoses(docker: Docker, project: Project) -> dict[str, Result]:
    """The diagnosis of each service."""
    names = json.loads((project.folder / "compose.yaml").read_text())["services"]
    probed = [f"{project.name}-{one}" for one in ("good-1", "good-2", "sick-1", "no_probe-1")]
    health = ("inspect", "--format", "{{.State.Health.Status}}", *probed)
    wait_until("health checks have decided", lambda: "starting" not in docker(*health), every_s=0.2)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda name: diagnose(runtime="compose", project_folder=str(project.folder), service=name), names)
        return dict(zip(names, found, strict=True))


COMPOSE_CASES = {
    "taken_by_process": ("port_taken", "port {port} is held by process {pid}"),
    "taken_by_container": ("port_taken", "port {held} is held by container {name}-holder-1 (service holder of project {name})"),
    "taken_by_udp": ("port_taken", "port {port}/udp is held by process {pid}"),
    "taken_range": ("port_taken", "port {held}-{next} is held by container {name}-holder-1 (service holder of project {name})"),
    "no_image": ("image_not_here", "the image sre-runbooks/no-such:1 is not on this host"),
    "unknown_image": ("image_unknown", "shop/api:7 cannot be pulled"),
    "private_image": ("image_access_denied", "the registry refuses the image"),
    "hog": ("out_of_memory", "needed more memory than it may use and was ended by the kernel (limit 30 MiB)"),
    "no_command": ("command_not_found", "exit status 127"),
    "ends_127": ("command_not_found", "exit status 127"),
    "ends_126": ("not_executable", "exit status 126"),
    "no_first_line": ("exec_format", "a script without its first line"),
    "sick": ("health_failing", "it says: queue is stuck"),
    "no_probe": ("health_program_missing", "does not have"),
    "needs_sick": ("dependency_down", "sick, which must run before, is unhealthy, its health check says: queue is stuck"),
    "loops": ("log_variable_missing", "SHOP_CURRENCY"),
    "named": ("container_name_taken", "the name {name}-fixed"),
    "no_network": ("network_missing", "the network {name}-away"),
    "no_volume": ("volume_missing", "the volume {name}-away"),
    "folder_for_file": ("mount_is_empty_folder", "is an empty folder and should be a file"),
    "refused": ("server_refuses", "nothing listens at good:5432"),
    "calls_stopped": ("server_stopped", "the server unexplained:5432 is a container that does not run"),
    "reads_only": ("log_read_only", "read-only file system"),
    "stands_still": ("paused", "is paused"),
    "full": ("log_disk_full", "file system is full"),
}


@pytest.mark.parametrize("service", COMPOSE_CASES)
def test_what_keeps_a_compose_service_from_running_is_named(project: Project, diagnoses: dict[str, Result], service: str) -> None:
    rule, words = COMPOSE_CASES[service]
    expected = words.format(name=project.name, port=project.port, held=project.held, next=project.held + 1, pid=os.getpid())
    result = diagnoses[service]
    found = {one["rule"]: one for one in result["findings"]}
    assert rule in found, result
    assert expected in found[rule]["what"]
    assert not result["is_well"]
    leading = result["findings"][0]
    assert leading["what"] in result["conclusion"]
    assert result["next_step"] == leading["next_step"]
    if leading["severity"] == "cause" or found[rule]["severity"] == "cause":
        assert leading["rule"] == rule, result["findings"]
    assert not result["not_looked_at"], result["not_looked_at"]


def test_a_service_that_is_well_is_told_as_such(diagnoses: dict[str, Result]) -> None:
    assert diagnoses["good"]["is_well"]
    assert diagnoses["good"]["conclusion"].startswith("2 of 2 replicas run and are healthy; ")
    assert [one for one in diagnoses["good"]["findings"] if one["severity"] != "note"] == []
    assert diagnoses["holder"]["is_well"]


def test_what_nothing_explains_is_unknown_and_shows_status_and_last_lines(diagnoses: dict[str, Result]) -> None:
    conclusion = diagnoses["unexplained"]["conclusion"]
    for words in ("exit status 3", "Why is unknown", "the flux is off", "the compose files", "the images"):
        assert words in conclusion


def test_further_clues_are_beside_the_first(diagnoses: dict[str, Result]) -> None:
    rules = {one["rule"]: one for one in diagnoses["refused"]["findings"]}
    assert {"server_refuses", "server_is_itself", "variable_not_set", "ended_with_status"} <= set(rules)
    assert "COLOUR" in rules["variable_not_set"]["what"]
    assert "SHOP_CURRENCY" not in json.dumps(diagnoses["sick"])
    assert "restart_loop" in {one["rule"] for one in diagnoses["loops"]["findings"]}
    assert diagnoses["refused"]["log"]  # with its password masked, which diagnose() has seen to


BROKEN_FILES = {
    "required_variable_missing": ({"api": {"image": "x", "environment": {"A": "${SHOP_SEED:?must be set}"}}}, "SHOP_SEED", "must be set"),
    "environment_file_missing": ({"api": {"image": "x", "env_file": [".env.prod"]}}, ".env.prod", "does not exist"),
    "compose_file_invalid": ({"api": {"imagee": "x"}}, "imagee", "not valid"),
    "service_not_defined": ({"apo": {"image": "x"}}, "no service api", "apo"),
    "compose_file_missing": (None, "no compose file", "service_compose_folder"),
}


@pytest.mark.parametrize("rule", BROKEN_FILES)
def test_what_is_wrong_with_compose_files_is_named(docker: Docker, tmp_path: Path, rule: str) -> None:
    body, *words = BROKEN_FILES[rule]
    if body is not None:
        (tmp_path / "compose.yaml").write_text(json.dumps({"services": body}))
    result = diagnose(runtime="compose", project_folder=str(tmp_path), service="api")
    assert result["findings"][0]["rule"] == rule, result["findings"]
    for part in words:
        assert part in result["conclusion"] + result["next_step"]


def test_an_engine_that_does_not_answer_is_the_cause_and_the_deadline_holds(
    docker: Docker, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    gone = diagnose(runtime="compose", project_folder=str(project.folder), service="good")
    assert gone["findings"][0]["rule"] == "engine_unreachable"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        begin = time.monotonic()
        slow = diagnose(runtime="compose", project_folder=str(project.folder), service="good", timeout_s=2.0)
    assert time.monotonic() - begin < 8
    assert slow["findings"][0]["rule"] == "engine_unreachable"
    assert slow["not_looked_at"]


def test_what_a_failed_verb_said_is_a_clue(docker: Docker, project: Project) -> None:
    said = 'Conflict. The container name "/shop" is already in use by container "0123"'
    result = diagnose(runtime="compose", project_folder=str(project.folder), service="unexplained", failure=said)
    assert result["conclusion"].count("the name shop, which the service wants for its container") == 1


def test_the_playbook_ends_with_the_conclusion_and_leaves_it_in_the_record(docker: Docker, project: Project, tmp_path: Path) -> None:
    variables = {"service_runtime": "compose", "service_compose_folder": str(project.folder), "service_compose_service": "taken_by_process"}
    done = played(tmp_path, docker, "service_diagnose", variables)
    assert done.status == 0, done.output[-3000:]
    expected = f"port {project.port} is held by process {os.getpid()}"
    last = " ".join(done.output.split("PLAY RECAP")[0].split())[-400:]
    assert expected in last
    assert re.search(r"'Next: end process \d+ \(\S+\), or let the service publish another port\.'$", last)
    record = next((tmp_path / "state" / "runs").glob("*/record.json")).read_text()
    assert expected in record
    assert PASSWORD not in record + done.output


FAILED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Do something
      block:
        - name: Fail
          ansible.builtin.fail: {msg: The pump is dry.}
      rescue:
        - name: Tell it
          ansible.builtin.include_role: {name: sre.runbooks.service, tasks_from: _failed}
          vars: {__service_verb: start, __service_went_back: All is as before.}
"""


def test_a_verb_that_failed_tells_what_failed_and_the_diagnosis(docker: Docker, project: Project, tmp_path: Path) -> None:
    (tmp_path / "failed.yml").write_text(FAILED)
    variables = {"service_runtime": "compose", "service_compose_folder": str(project.folder), "service_compose_service": "sick"}
    done = played(tmp_path, docker, tmp_path / "failed.yml", variables)
    assert done.status == 2
    told = " ".join(done.output.split())
    assert "Start of shop failed: The pump is dry. All is as before. The service sick does not run as it should" in told
    assert "it says: queue is stuck" in told
    assert "Next: ask the health check by hand" in told
