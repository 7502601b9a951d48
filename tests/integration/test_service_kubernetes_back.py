# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is seen, and what is put back, of a workload of Kubernetes when answers are lost, pods end slowly, or others work on it too."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.kubernetes_controllers import workload
from integration.kubernetes_server import Fault, KubernetesServer
from integration.kubernetes_service import KubernetesService, newly_made
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(90)
PATCH = "PATCH .*/deployments/app"
SET: dict[str, t.Any] = {"workload_kind": "statefulset", "workload_name": "set"}


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def service(server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    """The Deployment `app` with three replicas, newly made."""
    return newly_made(server, tmp_path)


def _stateful_set(server: KubernetesServer, service: KubernetesService, replicas: int, stop_s: int = 1) -> None:
    made = workload("StatefulSet", name="set", replicas=replicas)
    made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = stop_s
    server.create("statefulsets", made)
    service.operate("wait", **SET)


def _template(server: KubernetesServer) -> t.Any:
    return server.get("deployments", "app")["spec"]["template"]


def _break(server: KubernetesServer) -> None:
    """From now on, new pods crash."""
    server.change("configmaps", "app-settings", {"data": {"broken": "yes"}})


@pytest.mark.parametrize("way", ["one", "all"])
def test_a_successor_that_comes_before_the_deletion_is_confirmed_is_told_when_it_breaks(
    service: KubernetesService, server: KubernetesServer, way: str
) -> None:
    _break(server)
    server.faults.append(Fault("DELETE .*", 503, lost=True, headers={"Retry-After": "1"}))
    began = time.monotonic()
    error = service.failure("restart", restart_way=way, restart_replica=server.pods()[0]["metadata"]["name"], health_timeout_s=30)
    assert "giving up" in error.message
    assert error.changed
    assert time.monotonic() - began < 10


def test_a_deletion_whose_answer_was_lost_is_not_made_again(service: KubernetesService, server: KubernetesServer) -> None:
    first = server.pods()[0]["metadata"]["name"]
    server.faults.append(Fault("DELETE .*", 500, lost=True, headers={"Retry-After": "1"}))
    result = service.operate("restart", restart_way="one", restart_replica=first)
    assert (result["changed"], result["after"]["healthy"]) == (True, 3)
    assert first not in {pod["metadata"]["name"] for pod in server.pods()}


def test_replicas_that_end_one_after_the_other_are_waited_for(service: KubernetesService, server: KubernetesServer) -> None:
    _stateful_set(server, service, 7)
    server.do(lambda objects: setattr(objects, "ending_s", 0.5))
    assert service.operate("scale", scale_to=5, health_timeout_s=0.3, **SET)["after"]["running"] == 5
    assert service.operate("stop", health_timeout_s=0.3, **SET)["after"]["running"] == 0


def test_a_stateful_set_that_waits_for_a_broken_pod_is_brought_back(service: KubernetesService, server: KubernetesServer) -> None:
    _stateful_set(server, service, 2)
    before = server.get("statefulsets", "set")["spec"]
    server.do(lambda objects: objects.unfit_cpus.add("2"))
    error = service.failure("limits", limits={"cpus": 2}, **SET)
    assert "CrashLoopBackOff" in error.message
    assert "its former configuration is back (2 of 2 replicas run and are healthy)" in error.message
    assert not error.changed
    assert server.get("statefulsets", "set")["spec"] == before


def test_a_configuration_that_is_back_and_does_not_help_is_told_as_that(service: KubernetesService, server: KubernetesServer) -> None:
    _stateful_set(server, service, 2)
    before = server.get("statefulsets", "set")["spec"]
    _break(server)
    error = service.failure("restart", **SET)
    assert "its former configuration is back, but it was not seen healthy again: statefulset default/set does not become" in error.message
    assert "could not be brought back" not in error.message
    assert error.changed
    assert server.get("statefulsets", "set")["spec"] == before


def test_a_change_whose_answer_was_lost_is_put_back(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault(PATCH, 504, lost=True, headers={"Retry-After": "60"}))
    error = service.failure("stop", request_s=2.0)
    assert "its former configuration is back (3 of 3 replicas run and are healthy)" in error.message
    assert server.get("deployments", "app")["spec"]["replicas"] == 3
    assert "sre.runbooks/replicas" not in server.get("deployments", "app")["metadata"]["annotations"]


def test_a_change_that_may_have_been_made_and_cannot_be_put_back_is_told_as_a_change(
    service: KubernetesService, server: KubernetesServer
) -> None:
    server.faults += [Fault(PATCH, 504, lost=True, headers={"Retry-After": "60"}), Fault(".*", 401, times=-1, after=2)]
    error = service.failure("limits", limits={"cpus": 2}, request_s=2.0)
    assert "could not be brought back" in error.message
    assert error.changed


def test_what_others_deploy_meanwhile_stays_when_a_change_is_put_back(service: KubernetesService, server: KubernetesServer) -> None:
    before = _template(server)
    back = service.operate("limits", limits={"cpus": 2, "memory_request": "32m"}, keep_back=True)["back"]
    assert "registry.local" not in str(back), "the whole template is in the result"
    container = {**_template(server)["spec"]["containers"][0], "image": "registry.local/app:2"}
    server.change("deployments", "app", {"spec": {"template": {"spec": {"containers": [container]}}}})
    # The answer to the first try is lost; the second finds the change made.
    server.faults.append(Fault(PATCH, 502, lost=True))
    assert service.operate("back", back=back)["after"]["healthy"] == 3
    (now,) = _template(server)["spec"]["containers"]
    assert (now["image"], now["resources"]) == ("registry.local/app:2", before["spec"]["containers"][0]["resources"])


def test_a_value_that_others_have_changed_since_is_left_to_them(service: KubernetesService, server: KubernetesServer) -> None:
    back = service.operate("limits", limits={"cpus": 2}, keep_back=True)["back"]
    service.operate("limits", limits={"cpus": 3})
    error = service.failure("back", back=back)
    assert "others have changed the same meanwhile" in error.message.lower()
    assert _template(server)["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "3"


def test_a_second_run_waits_for_what_a_killed_one_has_set(service: KubernetesService, server: KubernetesServer) -> None:
    server.change("deployments", "app", {"spec": {"replicas": 5}})
    result = service.operate("scale", scale_to=5)
    assert (result["changed"], result["after"]["healthy"]) == (False, 5)
    resources = {**_template(server)["spec"]["containers"][0], "resources": {"limits": {"cpu": "2"}}}
    server.change("deployments", "app", {"spec": {"template": {"spec": {"containers": [resources]}}}})
    result = service.operate("limits", limits={"cpus": 2})
    assert (result["changed"], result["after"]["healthy"], result["conclusion"]) == (False, 5, "5 of 5 replicas run and are healthy.")


def test_scaled_to_none_it_is_stopped_and_scaled_up_nothing_is_remembered(service: KubernetesService, server: KubernetesServer) -> None:
    assert service.operate("scale", scale_to=0)["after"]["running"] == 0
    assert service.operate("start")["after"]["healthy"] == 3
    service.operate("stop")
    assert service.operate("scale", scale_to=1)["after"]["healthy"] == 1
    assert "sre.runbooks/replicas" not in server.get("deployments", "app")["metadata"]["annotations"]
