# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status page as its procedures start and stop it, out of a checkout and out of an installed collection."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.local_ports import is_free
from ansible_collections.sre.runbooks.tests.unit.checks_servers import closed_port
from integration import playbook_runs
from integration.playbook_runs import PROGRAMS, ROOT, Finished, finish, start
from integration.status_pages import CHECKS, METRICS, Service
from tools.waiting import wait_until


class Profile:
    """An inventory of a service with a history, and its runs."""

    def __init__(self, folder: Path) -> None:
        self.service = Service(folder / "state")
        self.service.record()
        self.inventory = folder / "inventory"
        (self.inventory / "group_vars" / "all").mkdir(parents=True)
        hosts = '[operator]\nlocalhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"\n'
        (self.inventory / "hosts.ini").write_text(hosts)
        variables = {
            "service_name": self.service.name,
            "service_title": "Wrapper integration",
            "service_components": [{"name": "routellm", "title": "RouteLLM", "availability": 0.999}, {"name": "database"}],
            "service_logs": [{"name": "app", "path": str(self.service.log)}, {"name": "journal", "systemd_unit": "x.service"}],
            "health_checks": [{**check, "type": "tcp", "host": "127.0.0.1", "port": 1} for check in CHECKS],
            "health_metrics": [{**metric, "type": "json", "url": "http://127.0.0.1:1"} for metric in METRICS],
            "status_page_port": self.service.port,
        }
        (self.inventory / "group_vars" / "all" / "service.yml").write_text(json.dumps(variables))

    def run(self, playbook: str, *options: str, folder: Path = ROOT, **environment: str) -> Finished:
        """Run a playbook, by path or by its full name."""
        command = [str(PROGRAMS / "ansible-playbook"), playbook, "-i", str(self.inventory), *options]
        return finish(start(command, playbook_runs.environment(self.service.folder, **environment), folder))

    def checkout(self, name: str, *options: str, **environment: str) -> Finished:
        """Run a playbook of the checkout."""
        return self.run(str(ROOT / "playbooks" / f"{name}.yml"), *options, folder=ROOT, **environment)


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Profile]:
    (tmp_path / "state").mkdir()
    made = Profile(tmp_path)
    yield made
    made.service.operate("stopped")


def changed(done: Finished) -> int:
    """The number of changed tasks."""
    assert done.status == 0, done.output
    return int(done.output.rpartition("changed=")[2].split()[0])


def test_it_is_rehearsed_started_left_alone_and_stopped(profile: Profile) -> None:
    assert changed(profile.checkout("status_page", "--check")) == 1
    assert is_free(profile.service.port)
    done = profile.checkout("status_page")
    assert changed(done) == 1
    assert profile.service.url in done.output
    status, health = profile.service.data("/api/system/health")
    assert (status, health["data"]["active_wrappers"], health["data"]["system_status"]) == (200, 2, "Healthy")
    assert "no log file" not in profile.service.ask()[2]
    assert changed(profile.checkout("status_page")) == 0
    assert changed(profile.checkout("status_page_stop")) == 1
    assert changed(profile.checkout("status_page_stop")) == 0
    assert is_free(profile.service.port)


def test_no_secret_of_the_checks_is_shown_or_kept(profile: Profile) -> None:
    done = profile.checkout("status_page", "-vvv")
    assert done.status == 0
    assert "hunter2-of-the-profile" not in done.output
    found = [path for path in profile.service.folder.rglob("*") if path.is_file() and b"hunter2-of-the-profile" in path.read_bytes()]
    assert not found


def test_a_taken_port_and_an_open_page_are_refused_with_what_to_do(profile: Profile) -> None:
    with socket.create_server(("127.0.0.1", profile.service.port)):
        done = profile.checkout("status_page")
    assert done.status != 0
    assert f"port {profile.service.port} (status_page_port of status_page)" in done.message
    for terms in ({"status_page_address": "0.0.0.0"}, {"status_page_address": "0.0.0.0", "status_page_password": "correct horse"}):
        done = profile.checkout("status_page", "-e", json.dumps(terms))
        assert done.status != 0
        assert "open to the network" in done.message
        assert "correct horse" not in done.output
    assert is_free(profile.service.port)


def test_the_password_may_come_from_the_environment(profile: Profile) -> None:
    assert changed(profile.checkout("status_page", SRE_RUNBOOKS_STATUS_PAGE_PASSWORD="correct horse battery")) == 1
    assert profile.service.ask()[0] == 401
    assert profile.service.ask(password="correct horse battery")[0] == 200


def test_what_the_recurring_check_finds_is_on_the_page(profile: Profile) -> None:
    port = closed_port()
    checks = [{"name": "api", "title": "API answers", "component": "routellm", "type": "tcp", "host": "127.0.0.1", "port": port}]
    terms = ("-e", json.dumps({"health_checks": checks, "health_metrics": [], "service_components": [{"name": "routellm"}]}))
    assert changed(profile.checkout("status_page", *terms)) == 1
    with socket.create_server(("127.0.0.1", port)):
        assert profile.checkout("alert_check", *terms).status == 0
    wait_until("it is healthy", lambda: profile.service.data("/api/system/health")[1]["data"]["system_status"] == "Healthy", 5)
    profile.checkout("alert_check", *terms)
    wait_until("it is not", lambda: profile.service.data("/api/system/health")[1]["data"]["system_status"] == "Unhealthy", 5)
    assert "API answers" in profile.service.ask()[2]


@pytest.mark.slow
def test_it_runs_out_of_an_installed_collection_from_any_folder(profile: Profile, tmp_path: Path) -> None:
    place = tmp_path / "collections"
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(place)}  # where it is found already it would not be installed

    def galaxy(*words: str) -> None:
        program = str(Path(sys.executable).parent / "ansible-galaxy")
        subprocess.run([program, "collection", *words], check=True, capture_output=True, timeout=120, cwd=tmp_path, env=environment)

    galaxy("build", "--output-path", str(tmp_path), str(ROOT))
    galaxy("install", "--offline", "--no-deps", "--collections-path", str(place), *map(str, tmp_path.glob("sre-runbooks-*.tar.gz")))
    done = profile.run(
        "sre.runbooks.status_page", folder=tmp_path, ANSIBLE_CONFIG=str(tmp_path / "no.cfg"), ANSIBLE_COLLECTIONS_PATH=str(place)
    )
    assert changed(done) == 1
    # The running page needs the collection no more.
    shutil.rmtree(place)
    assert "RouteLLM" in profile.service.ask()[2]
