# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of Compose services, of units under a real systemd, and of what lies in containers, with a real Docker Engine."""

from __future__ import annotations

import json
import subprocess
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.tests.unit.checks_servers import outcome, outcomes
from integration.containers import Docker
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
PROJECT = "sre-runbooks-checks"
SLEEP = ["sleep", "600"]
PATIENT = {"timeout_s": 30}


@pytest.fixture(scope="module")
def project(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a project whose services are as their names say."""
    folder = tmp_path_factory.mktemp("project")
    probe = {"interval": "300ms", "timeout": "2s", "retries": 1, "start_period": "0s"}
    services: dict[str, dict[str, t.Any]] = {
        "plain": {"command": SLEEP},
        "healthy": {"command": SLEEP, "healthcheck": {"test": ["CMD", "true"], **probe}, "deploy": {"replicas": 2}},
        "sick": {"command": SLEEP, "healthcheck": {"test": ["CMD", "false"], **probe}},
        "ended": {"command": ["sh", "-c", "exit 3"]},
        "never_started": {"command": SLEEP, "profiles": ["by-hand"]},
        "named": {"command": SLEEP, "environment": {"COLOUR": "${COLOUR:?}"}, "profiles": ["by-hand"]},
    }
    for service in services.values():
        service.update(image="${IMAGE}", init=True, stop_grace_period="1s", pull_policy="never")
    (folder / "compose.yaml").write_text(json.dumps({"name": PROJECT, "services": services}))
    (folder / ".env").write_text(f"IMAGE={docker.image}\nCOLOUR=none\n")
    (folder / ".env.prod").write_text(f"IMAGE={docker.image}\nCOLOUR=blue\n")
    docker("compose", "up", "--detach", folder=folder)
    try:
        yield folder
    finally:
        docker("compose", "--profile", "*", "down", "--timeout", "1", folder=folder)


def until(verdict: str, ask: Callable[[], Result]) -> Result:
    """Ask until the answer has the verdict; container health needs a moment to be known."""
    return wait_until(f"the verdict {verdict}", lambda: (found := ask()).verdict == verdict and found, 20, every_s=0.3)


def service(project: Path, name: str, **keys: t.Any) -> Result:
    return outcome(type="compose_service", project_folder=str(project), service=name, **PATIENT, **keys)


def test_a_service_with_enough_healthy_containers_passes(project: Path) -> None:
    assert service(project, "plain").value == 1
    result = until("pass", lambda: service(project, "healthy", replicas=2))
    assert result.value == 2
    assert {container["health"] for container in result.observed["containers"]} == {"healthy"}
    few = service(project, "healthy", replicas=3)
    assert (few.verdict, few.reason) == ("fail", "2 of 3 containers run and are healthy")


def test_a_sick_an_ended_and_a_missing_service_fail_and_say_why(project: Path) -> None:
    assert "is unhealthy" in until("fail", lambda: unhealthy(project)).reason
    assert f"{PROJECT}-ended-1 is exited (3)" in until("fail", lambda: service(project, "ended")).reason
    assert "there is no container of it" in service(project, "never_started").reason


def unhealthy(project: Path) -> Result:
    while "is starting" in (result := service(project, "sick")).reason:
        time.sleep(0.2)
    return result


def test_a_paused_a_killed_and_a_restarted_container_are_seen(docker: Docker, project: Path) -> None:
    name = f"{PROJECT}-plain-1"
    docker("pause", name)
    paused = service(project, "plain")
    docker("unpause", name)
    docker("kill", name)
    killed = service(project, "plain")
    docker("start", name)
    assert (paused.verdict, killed.verdict) == ("fail", "fail")
    assert "is paused" in paused.reason
    assert "is exited (137)" in killed.reason
    assert service(project, "plain").verdict == "pass"


def test_a_project_is_found_by_its_files_its_name_and_other_variables(project: Path) -> None:
    file = str(project / "compose.yaml")
    by_file, by_name, other, relative = outcomes(
        {"type": "compose_service", "service": "plain", "compose_files": [file], **PATIENT},
        {"type": "compose_service", "service": "plain", "project_name": PROJECT, **PATIENT},
        {"type": "compose_service", "service": "plain", "compose_files": [file], "env_files": [str(project / ".env.prod")], **PATIENT},
        {"type": "compose_service", "service": "plain", "compose_files": ["compose.yaml"], "project_folder": str(project), **PATIENT},
    )
    assert [result.verdict for result in (by_file, by_name, other, relative)] == ["pass"] * 4


def test_what_cannot_be_asked_of_compose_is_unknown(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compose.yaml").write_text("services: [this is no")
    no_service, broken, empty, gone = (
        service(folder, name)
        for folder, name in ((project, "no_such_service"), (tmp_path, "a"), (tmp_path / "..", "a"), (tmp_path / "gone", "a"))
    )
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    away = service(project, "plain")
    results = [no_service, broken, empty, gone, away]
    assert [result.verdict for result in results] == ["unknown"] * 5, results
    assert "no_such_service" in no_service.reason
    assert "does not exist" in gone.reason
    assert "docker" in away.reason.lower()


def test_memory_processor_disk_files_and_commands_of_a_container_are_measured(docker: Docker) -> None:
    work = "import os; block = os.urandom(50_000_000); open('/tmp/app.log', 'w').write('x' * 42)\nwhile True: pass"
    name = f"{PROJECT}-busy"
    docker("run", "--detach", "--init", "--name", name, "--memory=256m", "--network=none", docker.image, "python3", "-c", work)
    try:
        inside = {"container": name, **PATIENT}
        until("pass", lambda: outcome(type="log_freshness", path="/tmp/app.log", fail_above=300, **inside))
        memory, share, processor, disk, inodes, log, lost, command = outcomes(
            {"type": "memory", "measure": "used_bytes", **inside},
            {"type": "memory", "fail_above": 10, **inside},
            {"type": "cpu", "warn_above": 20, **inside},
            {"type": "disk", **inside},
            {"type": "disk", "measure": "inodes_percent", **inside},
            {"type": "log_freshness", "path": "/tmp/app.log", "fail_above": 300, **inside},
            {"type": "log_freshness", "path": "/tmp/other.log", **inside},
            {"type": "command", "argv": ["printenv", "COLOUR"], "environment": {"COLOUR": "blue"}, "contains": ["blue"], **inside},
        )
        assert memory.value is not None
        assert 50_000_000 < memory.value < 256 << 20
        assert share.verdict == "fail"
        assert share.value == pytest.approx(100 * memory.value / (256 << 20), abs=5)
        assert (processor.verdict, processor.type) == ("warn", "cpu"), processor
        assert disk.verdict == "pass"
        assert disk.value is not None
        assert 0 < disk.value <= 100
        assert inodes.verdict == "pass" or "inodes" in inodes.reason
        assert (log.verdict, log.observed["size_bytes"]) == ("pass", 42)
        assert (lost.verdict, lost.reason) == ("fail", "the file does not exist")
        assert command.verdict == "pass"
        docker("kill", name)
        stopped = outcomes(*({"type": kind, **inside} for kind in ("memory", "cpu", "disk")))
        assert [result.verdict for result in stopped] == ["unknown"] * 3, stopped
    finally:
        docker("rm", "--force", name)
    gone = outcomes({"type": "memory", **inside}, {"type": "command", "argv": ["true"], **inside})
    assert [result.verdict for result in gone] == ["unknown"] * 2, gone


UNITS = {
    "good.service": "[Service]\nExecStart=sleep 600\n",
    "bad.service": "[Service]\nExecStart=sh -c 'exit 3'\n",
    "again.service": "[Service]\nExecStart=sh -c 'exit 1'\nRestart=always\nRestartSec=1\nStartLimitIntervalSec=0\n",
    "waiting.service": "[Service]\nExecStart=sh -c 'exit 1'\nRestart=always\nRestartSec=600\n",
    "once.service": "[Service]\nType=oneshot\nExecStart=true\n",
    "wrong.service": "[Service]\nType=oneshot\nExecStart=false\n",
    "idle.service": "[Service]\nType=oneshot\nExecStart=true\n",
    # systemd forgets a unit that has ended unless something refers to it.
    "once.timer": "[Timer]\nOnActiveSec=1d\n",
    "idle.timer": "[Timer]\nOnActiveSec=1d\n",
}


@pytest.fixture(scope="module")
def systemd(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A container in which systemd is process 1 and has these units."""
    folder = tmp_path_factory.mktemp("units")
    for name, text in UNITS.items():
        (folder / name).write_text(text)
    name = f"{PROJECT}-systemd"
    docker.begin_systemd(name, f"--volume={folder}:/etc/systemd/system.control:ro")
    try:
        docker.await_systemd(name)
        inside = ["docker", "exec", name, "systemctl"]
        for unit in ("once.timer", "idle.timer", *(f"{name}.service" for name in ("good", "bad", "again", "waiting", "once", "wrong"))):
            subprocess.run([*inside, "start", unit], env=docker.environment, capture_output=True, check=False)
        restarts = ("exec", name, "systemctl", "show", "--property=NRestarts", "--value", "again.service")
        wait_until("it was restarted", lambda: docker(*restarts) not in ("", "0"), every_s=0.2)
        yield name
    finally:
        docker("rm", "--force", name)


def test_units_of_a_real_systemd_are_judged_by_their_state(systemd: str) -> None:
    expected: list[tuple[str, dict[str, t.Any], str, str]] = [
        ("good.service", {}, "pass", ""),
        ("bad.service", {}, "fail", "is failed (failed, exit status 3)"),
        ("waiting.service", {}, "fail", "auto-restart"),
        ("once.service", {"oneshot": True}, "pass", ""),
        ("once.service", {}, "fail", "is inactive"),
        ("wrong.service", {"oneshot": True}, "fail", "the last run of the unit failed (exit-code, exit status 1)"),
        ("idle.service", {"oneshot": True}, "warn", "remembers no run"),
        ("once.timer", {}, "pass", ""),
        ("missing.service", {}, "fail", "there is no such unit"),
        ("again.service", {"fail_above": 0}, "fail", "the number of restarts is"),
    ]
    for unit, keys, verdict, part in expected:
        result = outcome(type="systemd_unit", unit=unit, container=systemd, **PATIENT, **keys)
        assert (result.verdict, part in result.reason) == (verdict, True), (unit, result)


def test_a_unit_that_is_stopped_is_seen_and_a_container_without_systemd_is_unknown(docker: Docker, systemd: str) -> None:
    docker("exec", systemd, "systemctl", "stop", "good.service")
    stopped = outcome(type="systemd_unit", unit="good.service", container=systemd, **PATIENT)
    docker("exec", systemd, "systemctl", "start", "good.service")
    assert stopped.verdict == "fail"
    assert "is inactive" in stopped.reason
    gone = outcome(type="systemd_unit", unit="good.service", container=f"{systemd}-gone", **PATIENT)
    assert gone.verdict == "unknown"
