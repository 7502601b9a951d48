# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of the engine, of systemd, of HAProxy and of Kubernetes that are seldom: each is understood, or told as what it is."""

from __future__ import annotations

import itertools
import json
import os
import pwd
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.command import Completed
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import rolling_project
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.containers import address_of, of_service
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.engine import Engine
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.project import Project
from ansible_collections.sre.runbooks.plugins.module_utils.service.haproxy import HAProxy, Runtime
from ansible_collections.sre.runbooks.plugins.module_utils.service.info import wait_until_well
from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.api import Api, NotThere
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.transport import Refused
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.wait import Paths, Waiter
from ansible_collections.sre.runbooks.plugins.module_utils.service.proxies import proxy_from
from ansible_collections.sre.runbooks.plugins.module_utils.service.state import RUNNING, Replica, State
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd import state
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.exec import folder_of
from ansible_collections.sre.runbooks.tests.unit.rolling_fakes import FakeEngine, inspected


def test_a_container_that_goes_between_the_list_and_the_look_at_it_is_simply_not_there() -> None:
    class Going(FakeEngine):
        def ask(self, method: str, path: str, *rest: t.Any, **more: t.Any) -> t.Any:
            found = super().ask(method, path, *rest, **more)
            return [*found, {"Id": f"{9:064x}"}] if path == "/containers/json" else found

    engine = t.cast(Engine, Going([inspected(1), inspected(2)]))
    assert [one.name for one in of_service(engine, "shop", "app")] == ["shop-app-1", "shop-app-2"]


def test_a_proxy_in_the_network_of_its_host_is_reached_there_and_one_without_a_network_by_its_socket_alone() -> None:
    def proxy(mode: str, way: str, value: str) -> str:
        there = inspected(9, Name="/proxy", HostConfig={"NetworkMode": mode}, NetworkSettings={"Networks": {mode: {"IPAddress": ""}}})
        there["State"]["Pid"] = 4321
        engine = t.cast(Engine, FakeEngine([there]))
        found = proxy_from({"backend": "app", "container": "proxy", way: value}, lambda name: address_of(engine, name))
        return str(t.cast(t.Any, found)._runtime)

    assert proxy("host", "address", ":9999") == "127.0.0.1:9999"
    for mode in ("host", "none", "container:other"):
        assert proxy(mode, "socket", "/run/a.sock") == "/proc/4321/root/run/a.sock"
    for mode in ("none", "container:other"):
        with pytest.raises(BadInput, match=r"has no address of its own.*proxy"):
            proxy(mode, "address", ":9999")


def test_when_compose_fails_for_all_services_the_message_says_all_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling_project, "run", lambda _command, **_how: Completed("", "no space left on device", 1))
    for service, words in (("", "for all services of shop"), ("app", "for app of shop")):
        with pytest.raises(CommandFailed, match=f"^Docker Compose cannot do it {words} [(]docker compose stop[)]: "):
            rolling_project.call(Project("", name="shop", service=service), "stop")


@pytest.mark.parametrize("said", ["# pxname,svname,qcur,qmax,scur\napp,a,0\n", "# pxname,svname,qcur\napp,a,0\n"])
def test_a_table_of_haproxy_that_breaks_off_is_no_end_of_the_requests(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime("/run/haproxy.sock")
    monkeypatch.setattr(runtime, "ask", lambda _command: said)
    with pytest.raises(CommandFailed, match="show stat"):
        HAProxy(runtime, "app").in_flight(["a"])


def test_a_working_folder_that_may_be_missing_is_used_where_it_is_there(tmp_path: Path) -> None:
    """Behind an exclamation mark systemctl shows what the unit's file has behind a hyphen (dbus-execute.c of systemd)."""
    assert folder_of(state.unit_from(f"Id=a.service\nWorkingDirectory=!{tmp_path}")) == str(tmp_path)
    assert folder_of(state.unit_from(f"Id=a.service\nWorkingDirectory=!{tmp_path}/missing")) == "/"
    assert folder_of(state.unit_from("Id=a.service\nWorkingDirectory=!")) == "/"
    account = pwd.getpwuid(os.geteuid())
    assert folder_of(state.unit_from(f"Id=a.service\nUser={account.pw_name}\nWorkingDirectory=!~")) == account.pw_dir
    with pytest.raises(BadInput, match="missing"):
        folder_of(state.unit_from(f"Id=a.service\nWorkingDirectory={tmp_path}/missing"))


class Ending:
    """A workload whose pods crash and go one after the other, as those of a StatefulSet do: one with each question.

    Attributes:
        server, account: As of every transport.
    """

    server = account = "test"

    def __init__(self, pods: int) -> None:
        self._left = pods

    def call(self, _method: str, _path: str, *_request: t.Any) -> bytes:
        waiting = {"name": "app", "restartCount": 9, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        status = {"phase": "Running", "containerStatuses": [waiting]}
        pods = [{"metadata": {"name": f"app-{at}", "uid": f"{at}"}, "status": status} for at in range(self._left)]
        self._left -= 1
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": pods}).encode()

    def lines(self, *_request: t.Any) -> Iterator[bytes]:
        return iter(())

    def command(self, *_request: t.Any) -> Iterator[tuple[int, bytes]]:
        return iter(())


def test_a_service_whose_pods_crash_can_be_stopped_though_they_go_one_after_the_other() -> None:
    workload = {"kind": "StatefulSet", "metadata": {"name": "app"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "app"}}}}
    api = Api(t.cast(t.Any, Ending(3)), json.loads, pause=lambda _seconds: None)
    Waiter(api, Paths("default", "statefulset", "app"), 10, Progress("test", path="")).gone(workload)


WELL = State(1, (Replica("app-1", RUNNING, "healthy"),))
STARTING = State(1, (Replica("app-1", RUNNING, "starting"),))
ENDED = State(1, (Replica("app-1", "exited", exit_status=0),))
SILENT = Unreachable("The Docker Engine cannot be reached")


def told(*answers: State | Unreachable) -> t.Callable[[], State]:
    """Tells one after the other."""
    left = list(answers)

    def read() -> State:
        one = left.pop(0)
        if isinstance(one, Unreachable):
            raise one
        return one

    return read


def test_a_wait_goes_on_where_the_runtime_does_not_answer_for_a_moment_and_not_where_it_never_did() -> None:
    """An engine, or systemd, that is started anew or reads itself again refuses connections meanwhile."""
    assert wait_until_well(told(STARTING, SILENT, SILENT, WELL), 10) == WELL
    with pytest.raises(Unreachable):
        wait_until_well(told(SILENT, WELL), 10)
    with pytest.raises(Unreachable):
        wait_until_well(told(STARTING, SILENT, SILENT), 0.4)


def test_replicas_that_ended_while_the_runtime_was_silent_are_told_with_that_silence() -> None:
    with pytest.raises(CommandFailed, match=r"app-1 is exited.*; meanwhile, for \d\.\d s: The Docker Engine cannot be reached"):
        wait_until_well(told(STARTING, SILENT, ENDED, ENDED), 10)


def test_a_workload_that_somebody_deletes_meanwhile_is_told_at_once_and_not_waited_for() -> None:
    workload = {
        "kind": "Deployment",
        "metadata": {"name": "app", "generation": 1, "resourceVersion": "1"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}},
        "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1},
    }

    class Deleted(Ending):
        def call(self, _method: str, _path: str, *_request: t.Any) -> bytes:
            if _path.endswith("/deployments/app"):
                raise Refused(404, 'deployments.apps "app" not found')
            return super().call(_method, _path)

        def lines(self, *_request: t.Any) -> Iterator[bytes]:
            return iter([json.dumps({"type": "DELETED", "object": workload}).encode()])

    now = itertools.count()
    api = Api(t.cast(t.Any, Deleted(0)), json.loads, clock=lambda: float(next(now)), pause=lambda _seconds: None)
    with pytest.raises(NotThere, match="404"):
        Waiter(api, Paths("default", "deployment", "app"), 30, Progress("test", path="")).rollout(workload, set())


def test_a_run_that_has_waited_for_another_brings_none_of_its_notes_back(tmp_path: Path) -> None:
    first, second = (Journal(str(tmp_path), "shop", "app") for _run in range(2))
    with first.held():
        first.note(left=["app-2"])
        assert second.read() == {"left": ["app-2"]}, "before it waits it looks what there is"
        first.forget("left")
    with second.held():
        assert second.read() == {}
        second.note(replica="shop-app-1")
        assert first.read() == {"replica": "shop-app-1"}
        second.forget("replica")
    assert list(tmp_path.glob("*.json")) == []
