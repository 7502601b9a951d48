# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Behind a change of the ConfigMap alone, and behind one that was taken back or killed, every pod runs with the ConfigMap as it is."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.faults import ROUNDS, descendants
from integration.kubernetes_controllers import STARTED_WITH, settings, workload
from integration.kubernetes_server import KubernetesServer
from integration.kubernetes_service import KubernetesService, settle
from integration.playbook_runs import ROOT, Finished, command, finish, start
from tools.ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
BY_HAND = pytest.mark.skipif(ROUNDS < 10, reason="CI tries one of two cases that are alike; make test tries both")
KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
SERVES_AGAIN = "The former configuration serves again"
_TWICE = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: sre.runbooks.configuration, tasks_from: change}
    - ansible.builtin.include_role: {name: sre.runbooks.service, tasks_from: apply}
    - ansible.builtin.assert: {that: not service_apply_result.changed}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def service(request: pytest.FixtureRequest, server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    """A workload of the kind that the test names, newly made, and its ConfigMap."""
    kind = getattr(request, "param", "Deployment")
    server.do(lambda objects: objects.clear())
    server.clear()
    server.create("configmaps", settings(LOG_LEVEL="info", OLD="1"))
    server.create(KINDS[kind], workload(kind))
    found = KubernetesService(tmp_path / "service", server.kubeconfig(tmp_path / "config"))
    found.variables |= {"service_kube_workload": {"kind": kind.lower(), "name": "app"}, "service_health_timeout_s": 60}
    if kind != "DaemonSet":
        found.operate("wait", workload_kind=kind.lower())
    else:
        _until(lambda: len(_ready(server)) == 2)
    return found


@pytest.fixture
def changed(service: KubernetesService, server: KubernetesServer) -> KubernetesService:
    """The same behind a first change, so that its pods are marked."""
    done = _update(service, configuration_values={"LOG_LEVEL": "debug"})
    assert done.status == 0, done.output
    assert _started_with(server) == [{"LOG_LEVEL": "debug", "OLD": "1"}]
    return service


def _update(service: KubernetesService, playbook: str = "config_update", **variables: t.Any) -> Finished:
    return service.playbook(playbook, **variables)


def _until(seen: t.Callable[[], object], timeout_s: float = 30) -> None:
    until = time.monotonic() + timeout_s
    while not seen():
        assert time.monotonic() < until, "it does not come about"
        time.sleep(0.02)


def _ready(server: KubernetesServer) -> list[t.Any]:
    there = [pod for pod in server.pods() if not pod["metadata"].get("deletionTimestamp")]
    return [pod for pod in there if {"type": "Ready", "status": "True"} in pod["status"]["conditions"]]


def _started_with(server: KubernetesServer) -> list[t.Any]:
    """The different configurations with which the pods were started that are there."""
    there = [pod for pod in server.pods() if not pod["metadata"].get("deletionTimestamp")]
    assert _ready(server) == there
    return [json.loads(text) for text in sorted({pod["metadata"]["annotations"][STARTED_WITH] for pod in there})]


def _data(server: KubernetesServer) -> t.Any:
    return server.get("configmaps", "app-settings")["data"]


@pytest.mark.parametrize("service", ["StatefulSet", pytest.param("DaemonSet", marks=BY_HAND)], indirect=True)
def test_a_later_change_of_the_config_map_alone_that_breaks_a_pod_is_taken_back_where_pods_go_before_others_come(
    changed: KubernetesService, server: KubernetesServer
) -> None:
    former = _data(server)
    done = _update(changed, configuration_values={"broken": "1"})
    assert done.status != 0 and "giving up" in done.message, done.output
    assert SERVES_AGAIN in done.message, done.output
    assert (_data(server), _started_with(server)) == (former, [former])
    # The run before has ended whole: the same again is done anew, and a sound one is not kept from its way.
    again = _update(changed, configuration_values={"LOG_LEVEL": "trace"}, configuration_remove=["OLD"])
    assert again.status == 0, again.output
    assert _started_with(server) == [{"LOG_LEVEL": "trace"}]


def test_a_later_change_that_breaks_the_first_pod_of_a_deployment_leaves_the_others_untouched(
    changed: KubernetesService, server: KubernetesServer
) -> None:
    former, pods = _data(server), {pod["metadata"]["uid"] for pod in server.pods()}
    done = _update(changed, configuration_values={"broken": "1"})
    assert SERVES_AGAIN in done.message, done.output
    settle(server)
    assert (_data(server), {pod["metadata"]["uid"] for pod in server.pods()}) == (former, pods)


def test_a_pod_that_kubernetes_makes_anew_while_the_change_is_under_way_does_not_keep_it(
    changed: KubernetesService, server: KubernetesServer
) -> None:
    former = _data(server)
    (evicted, *_) = [("pods", "default", pod["metadata"]["name"]) for pod in server.pods()]

    def evict() -> None:
        _until(lambda: "broken" in _data(server))
        server.do(lambda objects: objects.delete(evicted))

    eviction = threading.Thread(target=evict)
    eviction.start()
    done = _update(changed, configuration_values={"broken": "1"})
    eviction.join()
    assert done.status != 0 and SERVES_AGAIN in done.message, done.output
    settle(server)
    assert (_data(server), _started_with(server)) == (former, [former])


@pytest.fixture
def door(server: KubernetesServer) -> Iterator[int]:
    """Port of the service: it refuses as long as a pod serves that was started with the key `odd`."""

    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            odd = any("odd" in json.loads(pod["metadata"]["annotations"][STARTED_WITH]) for pod in _ready(server))
            self.send_response(503 if odd else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


def test_a_later_change_after_which_the_checks_fail_is_taken_back_in_all_pods(
    changed: KubernetesService, server: KubernetesServer, door: int
) -> None:
    former = _data(server)
    changed.variables["service_health_timeout_s"] = 5
    changed.variables["service_ready_checks"] = [{"name": "api", "type": "http", "url": f"http://127.0.0.1:{door}/"}]
    done = _update(changed, configuration_values={"odd": "1"})
    assert done.status != 0 and SERVES_AGAIN in done.message, done.output
    assert "Its pods were left as they are" in done.message
    settle(server)
    assert (_data(server), _started_with(server)) == (former, [former])


def _kill_when(service: KubernetesService, seen: t.Callable[[], object], **variables: t.Any) -> None:
    """Run config_update, and kill it with all of its processes as soon as `seen` says so."""
    (service.folder / "profile.json").write_text(json.dumps(service.variables))
    argv = ["ansible-playbook", str(ROOT / "playbooks/config_update.yml"), "-i", str(service.folder / "hosts.ini")]
    argv += ["-e", f"@{service.folder / 'profile.json'}", "-e", json.dumps(variables)]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(argv, cwd=ROOT, env=service.environment(), stdin=nowhere, stdout=nowhere, stderr=nowhere) as run:
        try:
            _until(lambda: seen() or run.poll() is not None, 60)
            assert run.poll() is None, "the run had ended before"
        finally:
            for pid in [run.pid, *descendants(run.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_a_run_killed_between_config_map_and_rollout_is_followed_by_one_that_restarts_the_pods(
    service: KubernetesService, server: KubernetesServer
) -> None:
    # A key that is only taken away leaves no time in the ConfigMap, and the pods have no mark yet.
    gone: dict[str, t.Any] = {"configuration_remove": ["OLD"]}
    _kill_when(service, lambda: "OLD" not in _data(server), **gone)
    assert _started_with(server) == [{"LOG_LEVEL": "info", "OLD": "1"}]
    done = _update(service, **gone)
    assert done.status == 0, done.output
    assert _started_with(server) == [_data(server)] == [{"LOG_LEVEL": "info"}]
    server.seen.clear()
    assert "changed=0" in _update(service, **gone).output


@pytest.mark.parametrize("way", ["restore", pytest.param("failure", marks=BY_HAND)])
def test_a_pod_that_came_behind_a_killed_run_and_bears_the_former_marks_does_not_keep_its_change(
    changed: KubernetesService, server: KubernetesServer, way: str
) -> None:
    former = _data(server)
    _kill_when(changed, lambda: "odd" in _data(server), configuration_values={"odd": "1"})
    assert _started_with(server) == [former]
    name = server.pods()[0]["metadata"]["name"]
    server.do(lambda objects: objects.delete(("pods", "default", name)))
    _until(lambda: len(_ready(server)) == 3 and name not in {pod["metadata"]["name"] for pod in server.pods()})
    assert len(_started_with(server)) == 2
    if way == "restore":
        done = _update(changed, "rollback_point_restore", confirm="calendar")
        assert done.status == 0, done.output
    else:
        done = _update(changed, configuration_values={"broken": "1"})
        assert done.status != 0 and SERVES_AGAIN in done.message, done.output
    settle(server)
    assert (_data(server), _started_with(server)) == (former, [former])


@pytest.mark.parametrize("service", ["StatefulSet"], indirect=True)
def test_a_run_killed_while_a_pod_crashes_is_taken_back_by_the_next_restore(changed: KubernetesService, server: KubernetesServer) -> None:
    former = _data(server)

    def breaks() -> bool:
        return any("broken" in pod["metadata"]["annotations"][STARTED_WITH] for pod in server.pods())

    _kill_when(changed, breaks, configuration_values={"broken": "1"})
    done = _update(changed, "rollback_point_restore", confirm="calendar")
    assert done.status == 0, done.output
    assert (_data(server), _started_with(server)) == (former, [former])


def test_an_autoscaler_that_wants_fewer_pods_while_a_change_is_watched_is_no_failure(
    service: KubernetesService, server: KubernetesServer
) -> None:
    (service.folder / "profile.json").write_text(json.dumps(service.variables))
    extra = json.dumps({"configuration_values": {"LOG_LEVEL": "debug"}, "configuration_watch_s": 6})
    argv = command("config_update", service.folder / "hosts.ini", "-e", f"@{service.folder / 'profile.json'}", "-e", extra)
    run = start(argv, service.environment())
    assert run.stdout
    assert any("Let the time pass" in line for line in run.stdout), "it was not watched"
    server.change("deployments", "app", {"spec": {"replicas": 2}})
    done = finish(run)
    assert done.status == 0, done.output
    assert len(_ready(server)) == 2


def test_a_change_leaves_nothing_behind_that_restarts_the_pods_again_in_the_same_play(
    service: KubernetesService, server: KubernetesServer
) -> None:
    play = service.folder / "twice.yml"
    play.write_text(_TWICE)
    done = service.playbook(play, configuration_values={"LOG_LEVEL": "debug"})
    assert done.status == 0, done.output
    assert _started_with(server) == [{"LOG_LEVEL": "debug", "OLD": "1"}]


def test_a_value_set_back_by_hand_and_by_a_run_reaches_pods_that_were_deleted_meanwhile(
    changed: KubernetesService, server: KubernetesServer
) -> None:
    server.change("configmaps", "app-settings", {"data": {"LOG_LEVEL": "trace"}})
    server.do(lambda objects: [objects.delete(key) for key in list(objects) if key[0] == "pods"])
    _until(lambda: len(_ready(server)) == 3)
    assert _started_with(server) == [{"LOG_LEVEL": "trace", "OLD": "1"}]
    done = _update(changed, configuration_values={"LOG_LEVEL": "debug"})
    assert done.status == 0, done.output
    assert _started_with(server) == [{"LOG_LEVEL": "debug", "OLD": "1"}]
