# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Broken units of a real systemd: the diagnosis names what is broken, by module and by playbook."""

from __future__ import annotations

import json
import subprocess
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.broken_services import PASSWORD, UNITS, played
from integration.containers import Docker
from integration.playbook_runs import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]


Result = dict[str, t.Any]


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
    docker.begin_systemd(name, f"--volume={folder}:/etc/systemd/system.control:ro", f"--volume={ROOT}:/repository:ro")
    try:
        docker.await_systemd(name)
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
    assert done.status == 0, done.output[-3000:]
    assert "the environment file /etc/app.env of no_environment.service does not exist." in done.output
    assert "Next: create /etc/app.env" in done.output
