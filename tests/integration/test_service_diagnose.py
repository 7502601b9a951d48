# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Broken services of a real Docker Engine and a real systemd: the diagnosis names what is broken, by module and by playbook."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.operation import OPTIONS, operate
from integration.broken_services import PASSWORD, UNITS, Registry, services
from integration.containers import Docker
from tools.image import SYSTEMD_OPTIONS
from tools.ports import free_ports

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
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
    until_decided(docker, f"{project.name}-good-1", f"{project.name}-good-2", f"{project.name}-sick-1", f"{project.name}-no_probe-1")
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda name: diagnose(runtime="compose", project_folder=str(project.folder), service=name), names)
        return dict(zip(names, found, strict=True))


def until_decided(docker: Docker, *names: str) -> None:
    """Wait until the health checks have decided."""
    give_up = time.monotonic() + 30
    while "starting" in docker("inspect", "--format", "{{.State.Health.Status}}", *names) and time.monotonic() < give_up:
        time.sleep(0.2)


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
    assert done.returncode == 0, done.stdout[-3000:]
    expected = f"port {project.port} is held by process {os.getpid()}"
    last = " ".join(done.stdout.split("PLAY RECAP")[0].split())[-400:]
    assert expected in last
    assert re.search(r"'Next: end process \d+ \(\S+\), or let the service publish another port\.'$", last)
    record = next((tmp_path / "state" / "runs").glob("*/record.json")).read_text()
    assert expected in record
    assert PASSWORD not in record + done.stdout


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
    done = played(tmp_path, docker, str(tmp_path / "failed.yml"), variables)
    assert done.returncode == 2
    told = " ".join(done.stdout.split())
    assert "Start of shop failed: The pump is dry. All is as before. The service sick does not run as it should" in told
    assert "it says: queue is stuck" in told
    assert "Next: ask the health check by hand" in told


def played(folder: Path, docker: Docker, playbook: str, variables: dict[str, t.Any], hosts: str = "") -> subprocess.CompletedProcess[str]:
    """A run of a playbook with a state folder of its own."""
    local = 'localhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"'
    (folder / "hosts.ini").write_text(f"[operator]\n{local}\n{hosts}\n")
    (folder / "variables.json").write_text(json.dumps({"service_name": "shop", **variables}))
    path = playbook if "/" in playbook else str(ROOT / "playbooks" / f"{playbook}.yml")
    environment = {
        **{name: value for name, value in docker.environment.items() if not name.startswith("ANSIBLE_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "SRE_RUNBOOKS_STATE": str(folder / "state"),
    }
    command = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        path,
        "-i",
        str(folder / "hosts.ini"),
        "-e",
        f"@{folder}/variables.json",
    ]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )


ASK = """
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, "/repository/collections")
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.operation import OPTIONS, operate
defaults = {name: option.get("default") for name, option in OPTIONS.items()}
asked = json.loads(sys.argv[1])
print(json.dumps({name: operate({**defaults, "runtime": "systemd", **one}, False) for name, one in asked.items()}))
"""


@pytest.fixture(scope="module")
def systemd(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A container in which systemd is process 1 and the units have been started, as far as they can be."""
    folder = tmp_path_factory.mktemp("units")
    for unit, text in UNITS.items():
        (folder / unit).write_text(text)
    name = docker.name("diagnose-systemd")
    volumes = (f"--volume={folder}:/etc/systemd/system.control:ro", f"--volume={ROOT}:/repository:ro")
    docker("run", "--detach", "--name", name, "--network=none", *SYSTEMD_OPTIONS, *volumes, docker.systemd_image, "/lib/systemd/systemd")
    try:
        give_up = time.monotonic() + 40
        while inside(docker, name, "systemctl", "is-system-running") not in ("running", "degraded"):
            if time.monotonic() > give_up:
                pytest.skip(f"systemd does not start in a container here: {docker('logs', name)[-300:]}")
            time.sleep(0.3)
        wanted = [unit for unit in UNITS if "@" not in unit and unit not in ("second_web.service", "stopped.service")]
        inside(docker, name, "systemctl", "mask", "--runtime", "masked.service")
        inside(docker, name, "systemctl", "start", "--no-block", *wanted, "template@a.service", "template@b.service")
        time.sleep(2)
        inside(docker, name, "systemctl", "start", "second_web.service")
        (folder / "changed.service").write_text("[Service]\nExecStart=true\n")
        time.sleep(1)
        yield name
    finally:
        docker("rm", "--force", name)


def inside(docker: Docker, name: str, *command: str) -> str:
    """What a command in the container printed, whatever its exit status."""
    done = subprocess.run(["docker", "exec", name, *command], env=docker.environment, capture_output=True, text=True, check=False)
    return done.stdout.strip()


UNIT_CASES = {
    "no_program": ("program_missing", "the program /opt/app/bin/server of the unit does not exist (203/EXEC)"),
    "not_executable": ("program_not_executable", "/etc/passwd of the unit may not be executed (203/EXEC)"),
    "no_account": ("account_missing", "the account app-of-nobody"),
    "no_folder": ("working_folder_missing", "/srv/app"),
    "no_namespace": ("systemd_status", "226/NAMESPACE"),
    "no_environment": ("environment_file_missing", "the environment file /etc/app.env of no_environment.service does not exist"),
    "limit": ("start_limit", "it failed too often (3 times within 1min)"),
    "invalid": ("unit_invalid", "is not valid"),
    "too_slow": ("start_timeout", "within its time limit (1s)"),
    "before": ("pre_start_failed", "runs before it starts, failed (exited, 1)"),
    "condition": ("condition_not_met", "ConditionPathExists=/srv/not-there"),
    "needs": ("dependency_down", "no_program.service, which must run before, is failed"),
    "second_web": ("port_taken", "(python3) of web.service"),
    "masked": ("unit_masked", "is masked"),
    "missing": ("unit_missing", "there is no unit missing.service"),
    "stopped": ("not_started", "stopped.service is stopped"),
    "changed": ("needs_reload", "still has the old ones"),
    "template@.service": ("ended_with_status", "template@b.service ended by itself with exit status 7"),
}


@pytest.fixture(scope="module")
def unit_diagnoses(docker: Docker, systemd: str) -> dict[str, Result]:
    """The diagnosis of each unit, made where systemd runs."""
    asked = {unit: {"unit": unit, "ports": [8000] if "web" in unit else [], "timeout_s": 20.0} for unit in [*UNIT_CASES, "good", "web"]}
    said = docker("exec", systemd, "python3", "-c", ASK, json.dumps(asked))
    assert PASSWORD not in said
    found: dict[str, Result] = json.loads(said)
    return found


@pytest.mark.parametrize("unit", UNIT_CASES)
def test_what_keeps_a_unit_from_running_is_named(unit_diagnoses: dict[str, Result], unit: str) -> None:
    rule, words = UNIT_CASES[unit]
    result = unit_diagnoses[unit]
    found = {one["rule"]: one for one in result["findings"]}
    assert rule in found, result
    assert words in found[rule]["what"]
    assert not result["is_well"]
    assert words in result["conclusion"]
    assert not result["not_looked_at"]


def test_units_that_run_are_well_and_an_unexplained_end_shows_its_last_lines(unit_diagnoses: dict[str, Result]) -> None:
    assert unit_diagnoses["good"]["conclusion"].startswith("1 of 1 replica runs; ")
    assert unit_diagnoses["web"]["is_well"]
    assert "the flux is off" in unit_diagnoses["limit"]["conclusion"]
    assert "1 of 2 replicas run" in unit_diagnoses["template@.service"]["conclusion"]


def test_the_playbook_diagnoses_a_unit_on_its_host(docker: Docker, systemd: str, tmp_path: Path) -> None:
    host = f"[app]\n{systemd} ansible_connection=community.docker.docker ansible_python_interpreter=/usr/bin/python3"
    variables = {"service_runtime": "systemd", "service_systemd_unit": "no_environment.service"}
    done = played(tmp_path, docker, "service_diagnose", variables, host)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "the environment file /etc/app.env of no_environment.service does not exist." in done.stdout
    assert "Next: create /etc/app.env" in done.stdout
