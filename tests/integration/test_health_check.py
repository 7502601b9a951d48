# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook health_check.yml, from a profile to its exit status, against real servers."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, closed_port, drips, sends

SECRETS = ("swordfish-42", "bearer-77-value", "header-88-value", "query-99-value")


class Profile:
    """An inventory of one operator with the given checks, and the way to run playbooks on it."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder, self.repository = folder, repository

    def run(self, *arguments: str, playbook: str | None = None, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        """Run the playbook with these variables in the profile."""
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"operator": {"hosts": {"localhost": variables}}}))
        command = ["ansible-playbook", playbook or "playbooks/health_check.yml", "-i", str(inventory), *arguments]
        return subprocess.run(command, cwd=self.repository, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def profile(tmp_path: Path, repository: Path) -> Profile:
    return Profile(tmp_path, repository)


def test_a_healthy_service_is_shown_and_the_playbook_ends_well(profile: Profile) -> None:
    with Server(sends(answer(b'{"healthy": true}'))) as server:
        checks = [{"name": "API", "type": "json", "url": server.url, "conditions": ["healthy == `true`"]}]
        done = profile.run(health_checks=checks)
        rehearsed = profile.run("--check", "--diff", health_checks=checks)
        assert len(server.requests) == 2
    assert done.returncode == rehearsed.returncode == 0, done.stdout + done.stderr
    assert "PASS    API" in done.stdout
    assert "changed=0" in done.stdout


def test_an_unhealthy_service_fails_the_playbook_with_the_reason_and_without_a_secret(profile: Profile) -> None:
    def echo(connection: t.Any, request: bytes) -> None:
        connection.sendall(answer(b"you sent " + request, "500 Internal Server Error"))

    with Server(echo) as server, Server(drips(b"x")) as slow:
        checks = [
            {"name": "Account", "type": "http", "url": server.url + "?token=query-99-value", "user": "me", "password": "swordfish-42"},
            {"name": "Token", "type": "http", "url": server.url, "token": "bearer-77-value", "headers": {"X-Api-Key": "header-88-value"}},
            {"name": "Slow", "type": "http", "url": slow.url, "timeout_s": 0.5},
            {"name": "Gone", "type": "redis", "port": closed_port(), "password": "swordfish-42", "retries": 0},
            {"name": "Behind", "type": "http", "url": server.url, "depends_on": ["Gone"]},
        ]
        done = profile.run("-vvvv", health_checks=checks)
        reported = profile.run(health_checks=checks, health_fail_on=[])
    assert done.returncode == 2
    assert "answered 500 (Internal Server Error) instead of 200" in done.stdout
    assert "not asked, because it depends on Gone" in done.stdout
    assert "you sent GET" in done.stdout
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert reported.returncode == 0
    assert "FAIL    Slow" in reported.stdout


def test_a_profile_with_mistakes_is_refused_before_anything_is_asked(profile: Profile) -> None:
    with Server(sends(answer(b""))) as server:
        done = profile.run(
            "-vvvv",
            health_checks=[
                {"name": "Good", "type": "http", "url": server.url},
                {"name": "Typo", "type": "http", "ulr": server.url, "password": "swordfish-42"},
                {"name": "Odd", "type": "telnet"},
            ],
        )
        assert server.requests == []
    assert done.returncode == 2
    assert "The list of checks has 3 mistakes" in done.stdout + done.stderr
    assert "did you mean 'url'?" in done.stdout + done.stderr
    assert "swordfish-42" not in done.stdout + done.stderr


def test_the_result_is_left_for_gates_and_the_module_s_own_failure_keeps_it(profile: Profile) -> None:
    playbook = profile.folder / "gate.yml"
    playbook.write_text("""
- name: A gate
  hosts: operator
  gather_facts: false
  tasks:
    - name: Ask by the role
      ansible.builtin.import_role:
        name: sre.runbooks.health
    - name: Ask by the module
      sre.runbooks.health_check:
        checks: "{{ health_checks }}"
        fail_on: [warn]
      register: asked
      failed_when: false
    - name: Decide
      ansible.builtin.assert:
        that:
          - health_result.verdict == 'warn'
          - health_result.score == 0.75
          - health_result.counts.warn == 1 and health_result.counts.fail == 0
          - health_result.results[1].observed.value == 5
          - asked.results | length == 2
          - "'1 of 2 checks did not pass' in asked.msg"
""")
    with Server(sends(answer(b'{"n": 5}'))) as server:
        checks = [
            {"name": "A", "type": "http", "url": server.url},
            {"name": "B", "type": "json", "url": server.url, "value": "n", "warn_above": 4},
        ]
        done = profile.run(playbook=str(playbook), health_checks=checks)
    assert done.returncode == 0, done.stdout + done.stderr
