# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What service_replicas_set does after a run that was killed, and when a step of it fails, with a scripted engine."""

from __future__ import annotations

import copy
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, DeadlineExceeded, LeaseHeld
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import replicas as replicas_set
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.containers import address_of
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.project import OPTIONS as OPTIONS_OF_A_PROJECT
from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from ansible_collections.sre.runbooks.tests.unit.rolling_fakes import FakeEngine, inspected


class OneService:
    """What `docker` says of the replicas of the service shop-app, from an engine in memory; a replica can be killed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *there: dict[str, t.Any]) -> None:
        labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "app"}
        for one in there:
            one["Config"]["Labels"].update(labels)
        self.engine, self.folder = FakeEngine(there), folder
        self.journal = Journal.of(str(folder), "shop", "app")
        monkeypatch.setattr(replicas_set, "Engine", lambda: self.engine)
        monkeypatch.setattr(replicas_set, "containers_of", lambda _project: list(copy.deepcopy(self.engine.containers).values()))

    def operate(self, *, check_mode: bool = False, **asked: t.Any) -> dict[str, t.Any]:
        """What the module service_replicas_set says."""
        given = dict.fromkeys(("replicas", "all")) | dict.fromkeys(OPTIONS_OF_A_PROJECT, "")
        given |= {
            "project_name": "shop",
            "service": "app",
            "proxy": {},
            "state_folder": str(self.folder),
            "scale_to": "",
            "replicas_named": {"up": 2},
        }
        given |= {"stop_timeout_s": 1, "drain_timeout_s": 0.1, "health_timeout_s": 5.0}
        return replicas_set.operate({**given, **asked}, check_mode)


def test_a_failed_verb_goes_back_to_what_there_was_when_a_killed_run_had_been_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = OneService(tmp_path, monkeypatch, inspected(1), inspected(2, "exited"))
    with service.journal.held():
        service.journal.note(replica="shop-app-2", servers=[])
    foreseen = service.operate(check_mode=True, scale_to="up")
    assert service.engine.running() == {"shop-app-1"}

    def refuse(*_words: str, **_more: t.Any) -> None:
        raise CommandFailed("the engine refuses")

    monkeypatch.setattr(replicas_set, "docker", refuse)
    with pytest.raises(CommandFailed) as caught:
        service.operate(all="stopped")
    told = caught.value.facts
    for one in (foreseen, told):
        assert [[replica["state"] for replica in one[moment]["replicas"]] for moment in ("before", "repaired")] == [
            ["running", "exited"],
            ["running", "running"],
        ]
    assert foreseen["steps"] == ["An interrupted run had stopped shop-app-2: it is started"], "and nothing else is foreseen to be started"
    assert caught.value.changed
    again = service.operate(replicas=told["repaired"]["replicas"])
    assert (again["changed"], service.engine.running()) == (False, {"shop-app-1", "shop-app-2"})


def test_what_can_not_be_asked_for_is_refused_before_anything_is_put_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = OneService(tmp_path, monkeypatch, inspected(1), inspected(2, "exited"))
    with service.journal.held():
        service.journal.note(replica="shop-app-2", servers=[])
    refusals: list[tuple[dict[str, t.Any], str]] = [
        ({"scale_to": -3}, "-3 is no number of replicas"),
        ({"scale_to": "more"}, r"'more' is no number of replicas.*up \(2\)"),
        ({"scale_to": 3, "service": ""}, "Only one service can be scaled"),
        ({"scale_to": 3, "all": "stopped"}, "Only one of replicas, all and scale_to"),
    ]
    for asked, words in refusals:
        with pytest.raises(BadInput, match=words):
            service.operate(**asked)
    assert service.engine.calls == []


def test_a_step_that_fails_in_its_middle_counts_as_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = OneService(tmp_path, monkeypatch, inspected(1), inspected(2))

    def stop_one(*_words: str, **_more: t.Any) -> None:
        raise DeadlineExceeded("docker did not end")

    monkeypatch.setattr(replicas_set, "docker", stop_one)
    with pytest.raises(DeadlineExceeded) as caught:
        service.operate(all="stopped")
    assert caught.value.changed


def test_a_service_is_put_right_while_its_proxy_does_not_run_and_not_while_another_run_is_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = {**inspected(9, "exited"), "Name": "/proxy"}
    service = OneService(tmp_path, monkeypatch, inspected(1), inspected(2, "exited"))
    monkeypatch.setattr(replicas_set, "address_of", lambda _engine, name: address_of(t.cast(t.Any, FakeEngine([proxy])), name))
    asked: dict[str, t.Any] = {"proxy": {"kind": "haproxy", "backend": "app", "container": "proxy", "address": ":9999"}}
    with service.journal.held():
        service.journal.note(replica="shop-app-2", servers=["app-2"])
        with pytest.raises(LeaseHeld) as caught:
            service.operate(**asked)
        assert (caught.value.changed, service.engine.calls) == (False, [])
    done = service.operate(**asked)
    assert service.engine.running() == {"shop-app-1", "shop-app-2"}
    assert any("app-2 drained until the next run" in note and "does not run" in note for note in done["notes"])
    assert service.journal.read() == {"side_by_side": [{"replica": "shop-app-2", "servers": ["app-2"]}]}


def test_only_an_engine_that_may_be_starting_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = OneService(tmp_path, monkeypatch, inspected(1))
    denied = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix"
    for said in (denied, f"failed to connect to the docker API at unix:///var/run/docker.sock: {denied}", 'context "x": context not found'):
        answers = iter([said])

        def answer(_project: t.Any, answers: t.Iterator[str] = answers) -> t.Any:
            raise CommandFailed("docker failed", why=next(answers))

        monkeypatch.setattr(replicas_set, "containers_of", answer)
        with pytest.raises(CommandFailed, match="docker failed"):
            service.operate()
    starting = iter(
        [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "failed to connect to the docker API at unix:///var/run/docker.sock; check if the daemon is running",
            "error during connect: this error may indicate that the docker daemon is not running",
        ]
    )

    def in_the_end(_project: t.Any) -> t.Any:
        for said in starting:
            raise CommandFailed("docker failed", why=said)
        return [inspected(1)]

    monkeypatch.setattr(replicas_set, "containers_of", in_the_end)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    assert service.operate()["state"]["running"] == 1
