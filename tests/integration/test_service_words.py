# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the verbs of a service say to whoever runs them and what they leave in the record, alike on Compose and systemd."""

from __future__ import annotations

import json
import re
import textwrap
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.compose_project import ComposeProject, running_project
from integration.containers import Docker
from integration.playbook_runs import Finished
from integration.service_runs import Runs
from integration.systemd_hosts import Hosts, systemd_hosts

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
SECRET = "geheim-4711"
DIAGNOSIS = "Look at everything that can keep it from running"


@pytest.fixture(scope="module")
def project(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """A project with two replicas, which have a secret in their environment."""
    folder = tmp_path_factory.mktemp("p") / "c"
    with running_project(docker, docker.name("words"), folder, replicas=2, has_proxy=False, HEALTH="good", API_TOKEN=SECRET) as running:
        yield running


@pytest.fixture
def runs(project: ComposeProject, tmp_path: Path) -> Runs:
    """The project's inventory."""
    return Runs(tmp_path / "runs", {**project.variables(), "service_replicas": {"normal": 2}, "service_logs": [{"name": "other"}]})


@pytest.fixture(scope="module")
def hosts(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Two hosts, on each three instances of a template."""
    with systemd_hosts(docker, tmp_path_factory.mktemp("hosts"), 2) as found:
        yield found


def said(output: str) -> list[list[str]]:
    """The lines that each verb has said at its end, of runs that show results as YAML."""
    parts = re.split(r"^TASK \[", output, flags=re.MULTILINE)
    told = [part for part in parts if part.startswith("sre.runbooks.service : Say what was done, and what runs]")]
    found = [re.search(r"^    msg: (?:\|-\n)?(.*?)\n$", part, re.MULTILINE | re.DOTALL) for part in told]
    return [textwrap.dedent(one.group(1)).splitlines() for one in found if one]


def shown(hosts: Hosts, run: Finished) -> dict[str, list[str]]:
    """The same by host, of runs that show results as JSON."""
    assert run.status == 0, run.output
    part = run.output.partition("Say what was done, and what runs]")[2].partition("TASK [")[0]
    texts = dict(re.findall(r'^ok: \[([^\]]+)\] => \{\s*"msg": "(.*)"\s*\}', part, re.MULTILINE))
    return {host.name: texts[host.name].split(r"\n") for host in hosts.hosts if host.name in texts}


def test_each_verb_ends_with_what_was_done_and_what_runs(project: ComposeProject, runs: Runs, tmp_path: Path) -> None:
    first, second = project.replicas()
    well = "2 of 2 replicas run and are healthy"
    wanted = [
        ("status", {}),
        ("restart", {"service_restart_way": "all"}),
        ("scale", {"service_scale_to": 2}),
        ("exec", {"service_exec_command": ["sh", "-c", "echo $API_TOKEN; echo two"]}),
    ]
    steps = [{"verb": verb, "variables": variables} for verb, variables in wanted]
    done = runs.run("entry", steps=steps, result_folder=str(tmp_path))
    assert done.status == 0, done.output
    there = [f"{first} runs and is healthy", f"{second} runs and is healthy", well]
    status, restart, scale, command = said(done.output)
    assert (status, restart, scale) == (there, [f"Restarted {first}, {second}", well], there)
    assert (command[0], command[1:3]) == (f"Run sh in {first}", ["********", "two"]), "the service's own secrets are masked"
    assert SECRET not in done.output
    checked = runs.run("service_restart", "--check", service_restart_way="all")
    ((warning, step, conclusion),) = said(checked.output)
    assert (warning, step, conclusion) == ("In check mode nothing is changed. This would be done:", *restart)
    (would,) = runs.verbs(("exec", {"service_exec_command": ["touch", "/tmp/made"]}), check=True)
    assert (would["changed"], would["exit_status"], would["conclusion"]) == (True, None, "The command would run")
    assert "made" not in project.docker("exec", first, "ls", "/tmp")


def test_lines_of_several_replicas_say_whose_they_are_and_an_unknown_log_is_named_with_those_that_there_are(
    project: ComposeProject, runs: Runs
) -> None:
    first, second = project.replicas()
    done = runs.run("service_logs", "-e", "service_log_lines=4", "-e", "service_log_follow_s=1")
    assert done.status == 0, done.output
    ((*lines, conclusion),) = said(done.output)
    assert lines
    assert {line.partition(": ")[0] for line in lines} <= {first, second}
    assert conclusion.startswith("Lines: ")
    done = runs.run("service_logs", service_log_name="api")
    assert "There is no log api (service_logs): it has other. Next: give one of them by service_log_name" in done.message
    assert DIAGNOSIS not in done.output


def test_a_mistyped_replica_is_refused_at_once(project: ComposeProject, runs: Runs) -> None:
    before = project.picture()
    for playbook, more in (("service_restart", {"service_restart_way": "one"}), ("service_exec", {"service_exec_command": ["true"]})):
        done = runs.run(playbook, **{playbook + "_replica": "no-such"}, **more)
        assert done.status != 0
        assert "Nothing was changed" in done.message
        assert project.replicas()[0] in done.message, "those that there are, are named"
        assert DIAGNOSIS not in done.output
    assert project.picture() == before


def test_the_record_names_the_verb_with_its_conclusion_and_time(project: ComposeProject, runs: Runs) -> None:
    done = runs.run("service_restart", service_restart_way="all")
    assert done.status == 0, done.output
    (record,) = runs.records()
    (step,) = (step for step in record["steps"] if step["name"] == "Restart the service")
    assert (record["title"], step["hosts"], step["changed"]) == ("Restart the service", ["localhost"], True)
    assert (step["summary"], step["duration_s"] > 1) == ("2 of 2 replicas run and are healthy", True)


def test_each_host_of_a_service_says_what_it_did_and_has_a_step_in_the_record(hosts: Hosts) -> None:
    names = [host.name for host in hosts.hosts]
    every: dict[str, t.Any] = {"service_hosts": "app"}
    status = shown(hosts, hosts.run("service_status", **every))
    assert status == dict.fromkeys(names, [f"app@0{number}.service runs" for number in (1, 2, 3)] + ["3 of 3 replicas run"])
    restart = shown(hosts, hosts.run("service_restart", service_restart_way="all", **every))
    assert {name: lines[-1] for name, lines in restart.items()} == dict.fromkeys(names, "3 of 3 replicas run")
    steps = [step for step in latest(hosts)["steps"] if step["name"] == "Restart the service"]
    assert sorted(step["hosts"][0] for step in steps) == sorted(names)
    assert [(step["summary"], step["changed"], step["duration_s"] > 0) for step in steps] == [("3 of 3 replicas run", True, True)] * 2
    logs = shown(hosts, hosts.run("service_logs", service_log_lines=2, service_log_pattern="BEGINS WITH", **every))
    assert all(len(logs[name]) == 3 and "begins with" in logs[name][0] for name in names), logs
    refused = hosts.run("service_logs", service_log_name="api", **every)
    assert "There is no log api (service_logs): it has none" in refused.message
    assert DIAGNOSIS not in refused.output


def latest(hosts: Hosts) -> dict[str, t.Any]:
    """The last record of a run on the hosts."""
    found = [json.loads(path.read_text()) for path in (hosts.folder / "state" / "runs").glob("*/record.json")]
    return dict(max(found, key=lambda record: str(record["started_at"])))
