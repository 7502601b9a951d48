# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of the diagnosis: each finds what it is for, says it and a next step, and is quiet where nothing is wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.conclude import conclude, state
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.model import (
    COMPOSE,
    KUBERNETES,
    RUNNING,
    SEVERITIES,
    SYSTEMD,
    Address,
    Condition,
    Dependency,
    Image,
    Message,
    Observation,
    Port,
    Replica,
    Space,
)
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.rules import RULES, find
from ansible_collections.sre.runbooks.tests.unit.diagnosis_cases import CASES, replica, said, seen, unit

BY_NAME = {rule.name: rule for rule in RULES}


def test_every_rule_has_its_own_name_and_a_case() -> None:
    assert len(BY_NAME) == len(RULES)
    assert set(CASES) == set(BY_NAME)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_finds_what_it_is_for_and_says_what_to_do(name: str) -> None:
    observation, words = CASES[name]
    findings = [one for one in find(observation) if one.rule == name]
    assert findings, find(observation)
    assert words in findings[0].what
    assert findings[0].severity in SEVERITIES
    assert findings[0].next_step
    for text in (findings[0].what, findings[0].next_step):
        assert not re.search(r"\{\w*\}|\bNone\b|\s{2}|\(\)| [:,;]", text), text
        assert not text.endswith((".", ":")), text
    assert not observation.not_looked_at


@pytest.mark.parametrize("runtime", [COMPOSE, KUBERNETES, SYSTEMD])
def test_nothing_is_found_where_all_is_well(runtime: str) -> None:
    well = [Replica(f"api-{number}", RUNNING, "healthy", log=("connection refused", "KeyError: 'X'")) for number in range(3)]
    properties = {"api.service": {"LoadState": "loaded", "ActiveState": "active", "Result": "success"}} if runtime == SYSTEMD else {}
    observation = Observation(
        runtime,
        "api",
        3,
        replicas=well,
        properties=dict(properties),
        ports=[Port(8000)],
        dependencies=[Dependency("db")],
        addresses=[Address("DATABASE_URL", "db", 5432)],
        spaces=[Space("/", "root", 40.0, 10.0, 1 << 40)],
        images=[Image("shop/api:7", True, "amd64", "amd64")],
    )
    assert find(observation) == []
    diagnosis = conclude(observation, [])
    assert diagnosis.is_well
    assert diagnosis.conclusion == "3 of 3 replicas run and are healthy; nothing was found."


def test_a_cause_comes_before_its_symptoms_whatever_finds_them_first() -> None:
    observation = replica(state="restarting", exit_status=1, restarts=9, log=("ECONNREFUSED 10.0.0.7:5432",))
    observation.dependencies.append(Dependency("db", "is exited (1)"))
    diagnosis = conclude(observation, find(observation))
    assert [one.severity for one in diagnosis.findings] == sorted((one.severity for one in diagnosis.findings), key=SEVERITIES.index)
    assert diagnosis.conclusion.startswith("The service api does not run as it should (0 of 1 replica runs): db, which must run before")
    assert diagnosis.next_step == "diagnose and start db first"


def test_what_nothing_explains_is_unknown_with_the_last_lines_and_what_was_looked_at() -> None:
    observation = replica(exit_status=3, log=("one", "two", "three", "four"))
    observation.looked_at += ["the compose files", "the ports"]
    diagnosis = conclude(observation, find(observation))
    assert not diagnosis.is_well
    for words in ("exit status 3", "Why is unknown", "two | three | four", "the compose files, the ports"):
        assert words in diagnosis.conclusion


def test_a_healthy_service_with_a_trouble_beside_it_says_both() -> None:
    observation = Observation(COMPOSE, "api", 1, replicas=[Replica("api-1", RUNNING)], spaces=[Space("/data", "volume", 100.0)])
    diagnosis = conclude(observation, find(observation))
    assert diagnosis.is_well
    assert diagnosis.conclusion.startswith("1 of 1 replica runs, but the file system of /data (volume) is full")


def test_events_that_are_over_are_only_a_note_of_a_service_that_is_well() -> None:
    for name in ("image_pull_fails", "config_missing", "quota_exceeded", "volume_not_mounted", "liveness"):
        observation = replace(CASES[name][0], replicas=[Replica("api-0", RUNNING, "healthy")])
        observation.conditions.append(Condition("Pod", "api-0", "Event", "Warning", "Failed", 'secret "x" not found'))
        diagnosis = conclude(observation, find(observation))
        assert {one.severity for one in diagnosis.findings} <= {"note"}, diagnosis
        assert diagnosis.conclusion.startswith("1 of 1 replica runs and is healthy; ")
    failed = replace(CASES["limits_refused"][0], replicas=[Replica("api-0", RUNNING, "healthy")])
    assert "but the engine refuses the limits" in conclude(failed, find(failed)).conclusion


def test_what_another_rule_says_by_name_is_not_said_again() -> None:
    taken = said("engine", "listen tcp4 0.0.0.0:80: bind: address already in use")
    taken.ports.append(Port(80, "process 7 (nginx)", "end it"))
    assert "port_refused" not in {one.rule for one in find(taken)}
    named = unit(ExecMainCode="1", ExecMainStatus="217")
    named.missing += CASES["account_missing"][0].missing
    assert "systemd_status" not in {one.rule for one in find(named)}


def test_an_address_of_localhost_says_less_than_the_log() -> None:
    observation = replica(exit_status=1, log=('FATAL:  password authentication failed for user "app"',))
    observation.addresses.append(Address("PUBLIC_URL", "localhost", 8000, "itself"))
    diagnosis = conclude(observation, find(observation))
    assert "log-in was refused" in diagnosis.conclusion
    assert "server_is_itself" in {one.rule for one in diagnosis.findings}


def test_a_registry_that_does_not_answer_cannot_be_reached() -> None:
    observation = seen(images=[Image("shop/api:7", False, registry="its registry: no answer within 8 s")])
    assert {one.rule for one in find(observation)} >= {"image_registry_unreachable"}
    assert "image_not_here" not in {one.rule for one in find(observation)}


def test_a_port_that_is_free_again_is_told_as_such() -> None:
    observation = said("engine", "listen tcp4 127.0.0.1:8080: bind: address already in use")
    observation.ports.append(Port(8080))
    found = next(one for one in find(observation) if one.rule == "port_refused")
    assert found.what.endswith("was in use when it was last tried, and is free now")
    assert found.next_step.startswith("start it again")


def test_a_service_that_is_scaled_to_nothing_is_no_riddle() -> None:
    observation = seen(replicas=[])
    observation.wanted = 0
    diagnosis = conclude(observation, find(observation))
    assert diagnosis.conclusion.endswith("no replica is wanted: the service is scaled to 0.")


@pytest.mark.parametrize("runtime", [COMPOSE, KUBERNETES, SYSTEMD])
def test_what_runs_is_not_known_without_an_answer_and_never_taken_for_nothing(runtime: str) -> None:
    question = "what runs: docker did not end within 10 s"
    observation = Observation(
        runtime, "api", 3, unanswered=question, messages=[Message({COMPOSE: "engine"}.get(runtime, runtime), question)]
    )
    findings = find(observation)
    diagnosis = conclude(observation, findings)
    assert {one.rule for one in findings} == {"replicas_unknown"}
    assert not diagnosis.is_well
    assert diagnosis.conclusion == f"Whether the service api runs as it should is not known: no answer to the question for {question}."
    assert "0 of" not in state(observation)
    assert "start" not in diagnosis.next_step


def test_a_rule_that_fails_takes_nothing_from_the_others() -> None:
    def fails(_seen: Observation) -> list[object]:
        raise ZeroDivisionError

    observation = CASES["paused"][0]
    broken = BY_NAME["unit_masked"]._replace(look=fails)  # type: ignore[arg-type]
    assert [one.rule for one in find(observation, [broken, BY_NAME["paused"]])] == ["paused"]
    assert observation.not_looked_at == ["rule unit_masked: ZeroDivisionError"]
    observation.not_looked_at.clear()


def test_the_documentation_names_every_rule_with_its_severity() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "diagnosis.md").read_text()
    rows = [f"| `{rule.name}` | {rule.severity} | {rule.title.replace('|', chr(92) + '|')} |" for rule in RULES]
    assert [row for row in rows if row not in text] == []
    assert len(re.findall(r"^\| `\w+` \| \w+ \| ", text, re.MULTILINE)) == len(RULES)


def test_a_file_system_is_full_by_its_share_and_not_because_it_is_small_or_an_image() -> None:
    def rules(**parts: Any) -> set[str]:
        space = Space(**{"path": "/x", "what": "x", "used_percent": 4.0, "free_bytes": 9 << 20, **parts})
        return {one.rule for one in find(Observation(COMPOSE, "api", 1, replicas=[Replica("api-1", RUNNING)], spaces=[space]))}

    assert rules() == set()
    assert rules(used_percent=100.0, inodes_percent=100.0, free_bytes=0, read_only=True) == set()
    assert rules(used_percent=91.0) == {"disk_full"}
    assert rules(used_percent=91.0, free_bytes=1 << 40) == {"disk_nearly_full"}


@pytest.mark.parametrize(("status", "rule"), [(207, "ended_with_status"), (245, "ended_with_status"), (226, "systemd_status")])
def test_each_status_of_a_unit_is_told_by_one_rule(status: int, rule: str) -> None:
    observation = unit(ExecMainCode="1", ExecMainStatus=str(status))
    observation.replicas = [Replica("api.service", "failed", exit_status=status)]
    assert {one.rule for one in find(observation)} == {rule}


@pytest.mark.parametrize("status", [126, 127, 137])
def test_a_unit_is_not_spoken_of_in_words_of_docker(status: int) -> None:
    findings = find(replica(SYSTEMD, exit_status=status))
    assert findings
    assert not re.search("docker|image", " ".join(one.what + one.next_step for one in findings))
