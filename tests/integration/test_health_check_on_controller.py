# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""health_check in the task's own process: what a module does by itself must hold there too - limits, secrets, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, drips, sends

SECRETS = ("swordfish-42", "bearer-77-value", "environment-55-value")
FAR = {"ansible_connection": "ssh", "ansible_host": "far.invalid"}


class Plays:
    """Runs tasks on hosts and returns what came out.

    Args:
        folder: Where playbook and inventory are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "library").mkdir()
        # Under another name no action plugin takes the module's place.
        shutil.copy(Path(__file__).parents[2] / "plugins/modules/health_check.py", folder / "library/health_check_there.py")

    def run(self, *tasks: dict[str, t.Any], hosts: dict[str, dict[str, t.Any]] | None = None, verbosity: str = "") -> tuple[int, str]:
        """Exit status and all output of a play."""
        local = {"here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
        (self.folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts or local}}))
        (self.folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]))
        command = ["ansible-playbook", "-i", "inventory.json", "play.yml", *([verbosity] if verbosity else [])]
        environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, check=False
        )
        return done.returncode, done.stdout

    def result(self, task: dict[str, t.Any], **keywords: t.Any) -> dict[str, t.Any]:
        """What a task registers, whether it failed or not."""
        target = self.folder / "result.json"
        target.unlink(missing_ok=True)
        keep = {"ansible.builtin.copy": {"content": "{{ got | to_json }}", "dest": str(target)}}
        status, said = self.run({**task, "register": "got", "ignore_errors": True, **keywords}, keep)
        assert status == 0, said
        assert "Traceback" not in said
        return t.cast("dict[str, t.Any]", json.loads(target.read_text()))


@pytest.fixture
def plays(tmp_path: Path) -> Plays:
    return Plays(tmp_path)


def check(**keys: t.Any) -> dict[str, t.Any]:
    """A task with one check."""
    return {"sre.runbooks.health_check": {"checks": [{"name": "a", "retries": 0, **keys}], "fail_on": []}}


def test_the_task_s_own_process_and_the_module_on_the_host_give_the_same_result(plays: Plays) -> None:
    with Server(sends(answer(b'{"n": 5}'))) as server:
        checks = [{"name": "a", "type": "json", "url": server.url, "value": "n", "warn_above": 4}, {"name": "b", "type": "disk"}]
        given: list[dict[str, t.Any]] = [{"checks": checks}, {"checks": checks, "fail_on": ["warn"]}, {"checks": [{"name": "a"}]}]
        for arguments in [*given, {"checks": []}, {}]:
            here, there = (plays.result({module: arguments}) for module in ("sre.runbooks.health_check", "health_check_there"))
            for got in (here, there):
                for name in ("duration_ms", "results", "table", "warnings", "invocation", "failed_when_result", "exception"):
                    got.pop(name, None)
                got["msg"] = re.sub(r"sre\.runbooks\.health_check|health_check_there|\d+(\.\d+)?", "", got["msg"])
            assert here == there


def test_a_pattern_that_searches_for_ever_is_given_up_there_too_and_the_other_checks_keep_their_deadlines(plays: Plays) -> None:
    with Server(sends(answer(b"a" * 60 + b"!"))) as server, Server(drips(b"x")) as slow:
        checks = [
            {"name": "hostile", "type": "http", "url": server.url, "matches": ["(a+)+$"]},
            {"name": "slow", "type": "http", "url": slow.url, "timeout_s": 0.5, "retries": 0},
        ]
        got = plays.result({"sre.runbooks.health_check": {"checks": checks, "fail_on": []}})
    hostile, late = got["results"]
    assert hostile["verdict"] == "unknown"
    assert "could not be judged within" in hostile["reason"]
    assert late["verdict"] == "fail"
    assert got["duration_ms"] < 8000, "the deadline of the hostile one is 10 s"


def test_nothing_of_a_check_is_left_when_the_play_is_over(plays: Plays) -> None:
    mark = f"97{os.getpid()}.25"
    status, said = plays.run({**check(type="command", argv=["sleep", mark], timeout_s=0.4), "loop": [1, 2, 3]})
    assert status == 0, said
    left = [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in entry_bytes(entry)]
    assert left == []


def entry_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_task_s_own_timeout_ends_it(plays: Plays) -> None:
    begin = time.monotonic()
    status, said = plays.run({**check(type="command", argv=["sleep", "60"], timeout_s=50), "timeout": 2})
    assert status == 2
    assert "imed out" in said or "imeout" in said
    assert time.monotonic() - begin < 15


def test_the_task_s_environment_reaches_the_check_and_is_taken_back_in_a_loop(plays: Plays) -> None:
    task = check(type="command", argv=["printenv", "COLOUR"], contains=["{{ item }}"])
    got = plays.result(task, loop=["blue", "green"], environment={"COLOUR": "{{ item }}"})
    assert [item["verdict"] for item in got["results"]] == ["pass", "pass"]
    assert plays.result(task, loop=["blue"])["results"][0]["verdict"] == "fail"


def test_check_mode_asks_all_the_same(plays: Plays) -> None:
    with Server(sends(answer(b""))) as server:
        assert plays.result(check(type="http", url=server.url), check_mode=True)["verdict"] == "pass"
        assert len(server.requests) == 1


def test_no_secret_is_shown_however_the_task_fails(plays: Plays) -> None:
    def echo(connection: t.Any, request: bytes) -> None:
        connection.sendall(answer(b"you sent " + request, "500 Internal Server Error"))

    (plays.folder / "secrets.yml").write_text(json.dumps(dict(zip(("one", "two", "three"), SECRETS, strict=True))))
    load = {"ansible.builtin.include_vars": {"file": "secrets.yml"}, "no_log": True}
    with Server(echo) as server:
        asked = {
            "checks": [
                {"name": "a", "type": "http", "url": server.url, "user": "me", "password": "{{ one }}"},
                {"name": "b", "type": "http", "url": server.url, "token": "{{ two }}"},
                {
                    "name": "c",
                    "type": "command",
                    "argv": [sys.executable, "-c", "import os, sys; sys.exit(os.environ['APP_PASSWORD'])"],
                    "environment": {"APP_PASSWORD": "{{ three }}"},
                },
            ]
        }
        mistaken = {"checks": [{"name": "a", "type": "htp", "password": "{{ one }}", "environment": {"APP_PASSWORD": "{{ three }}"}}]}
        misplaced = {"checks": [{"name": "a", "type": "tcp", "token": "{{ two }}"}], "fail_on": ["{{ two }}"], "odd": "{{ one }}"}
        tasks = [{"sre.runbooks.health_check": arguments, "ignore_errors": True} for arguments in (asked, mistaken, misplaced)]
        status, said = plays.run(load, *tasks, verbosity="-vvvvv")
    assert status == 0, said
    assert said.count("...ignoring") == 3
    assert "you sent GET" in said
    for secret in SECRETS:
        assert secret not in said


def test_distant_hosts_are_asked_for_from_the_controller_where_the_task_says_so(plays: Plays) -> None:
    with Server(sends(answer(b""))) as server:
        asked = {"checks": [{"name": "a", "type": "http", "url": server.url}], "from_controller": True}
        hosts = {f"far{number}": FAR for number in range(5)}
        status, said = plays.run({"sre.runbooks.health_check": asked}, hosts=hosts)
        assert status == 0, said
        assert len(server.requests) == 5
        status, said = plays.run({"sre.runbooks.health_check": {**asked, "from_controller": False}}, hosts={"far": FAR})
        assert status == 4, "without it the host itself would be asked, and this one cannot be reached"


def test_a_check_of_the_host_itself_is_refused_from_the_controller(plays: Plays) -> None:
    own: list[dict[str, t.Any]] = [
        {"type": "disk"}, {"type": "memory"}, {"type": "cpu"}, {"type": "process", "port": 80}, {"type": "log_freshness", "path": "/a"},
        {"type": "command", "argv": ["a"]}, {"type": "systemd_unit", "unit": "a"}, {"type": "postgresql"},
        {"type": "postgresql", "host": "db", "container": "c"}, {"type": "compose_service", "service": "a", "project_name": "b"},
    ]  # fmt: skip
    checks = [{"name": f"check {number}", **keys} for number, keys in enumerate(own)]
    status, said = plays.run({"sre.runbooks.health_check": {"checks": checks, "from_controller": True}}, hosts={"far": FAR})
    assert status == 2
    assert all(f"check {number} (" in " ".join(said.split()) for number in range(len(own)))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("su") is None, reason="only root becomes another account without a password")
def test_with_become_the_module_runs_as_the_other_account(plays: Plays) -> None:
    task = check(type="command", argv=["id", "-un"], contains=["nobody"])
    become = {"become": True, "become_user": "nobody", "become_method": "ansible.builtin.su", "become_flags": "-s /bin/sh"}
    # The other account must be able to run that Python.
    got = plays.result(
        task, **become, vars={"ansible_python_interpreter": "/usr/bin/python3", "ansible_shell_allow_world_readable_temp": True}
    )
    assert got.get("verdict") == "pass", got
