# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways of a restart of a workload of Kubernetes, what cannot be done, and what is never asked for."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.kubernetes_controllers import workload
from integration.kubernetes_server import KubernetesServer
from integration.kubernetes_service import KubernetesService, newly_made
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def service(server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    """The Deployment with three replicas, newly made."""
    return newly_made(server, tmp_path)


def test_to_zero_and_back_has_new_pods_and_as_many(service: KubernetesService, server: KubernetesServer) -> None:
    before = {pod["metadata"]["name"] for pod in server.pods()}
    result = service.operate("restart", restart_way="to_zero_and_back")
    assert (result["after"]["healthy"], len(result["steps"])) == (3, 2)
    assert not before & {pod["metadata"]["name"] for pod in server.pods()}


def test_one_pod_is_deleted_and_replaced(service: KubernetesService, server: KubernetesServer) -> None:
    before = sorted(pod["metadata"]["name"] for pod in server.pods())
    result = service.operate("restart", restart_way="one", restart_replica=before[0])
    after = {pod["metadata"]["name"] for pod in server.pods()}
    assert result["after"]["healthy"] == 3
    assert before[0] not in after
    assert set(before[1:]) < after
    assert before[1] in service.failure("restart", restart_way="one", restart_replica="other").message


def test_all_pods_at_once_are_replaced_by_others(service: KubernetesService, server: KubernetesServer) -> None:
    before = {pod["metadata"]["name"] for pod in server.pods()}
    result = service.operate("restart", restart_way="all")
    assert result["after"]["healthy"] == 3
    assert not before & {pod["metadata"]["name"] for pod in server.pods()}
    assert "nothing serves" in result["notes"][0]


def test_a_deleted_pod_whose_successor_crashes_is_told_with_its_last_words(service: KubernetesService, server: KubernetesServer) -> None:
    server.change("configmaps", "app-settings", {"data": {"broken": "yes"}})  # from now on, new pods crash
    error = service.failure("restart", restart_way="one", restart_replica=server.pods()[0]["metadata"]["name"])
    assert "giving up" in error.message
    assert "nothing to put back" in error.message


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_other_workloads_are_restarted_too(service: KubernetesService, server: KubernetesServer, kind: str) -> None:
    server.create(f"{kind.lower()}s", workload(kind, name="other", replicas=2))
    options: dict[str, t.Any] = {"workload_kind": kind, "workload_name": "other"}
    assert service.operate("wait", **options)["after"]["healthy"] == 2
    result = service.operate("restart", **options)
    assert result["after"]["healthy"] == 2
    before, after = ({one["name"]: one["started_at"] for one in result[moment]["replicas"]} for moment in ("before", "after"))
    assert (set(before) == set(after)) == (kind == "StatefulSet")
    assert {
        pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/restartedAt")
        for pod in server.pods()
        if pod["metadata"]["labels"]["app"] == "other"
    } != {None}
    if kind == "DaemonSet":
        assert "one pod on each node" in service.failure("scale", scale_to=3, **options).message
    else:
        assert service.operate("scale", scale_to=3, **options)["after"]["healthy"] == 3
        assert service.operate("stop", **options)["after"]["running"] == 0


def test_what_cannot_be_done_is_refused_before_anything_is_changed(service: KubernetesService, server: KubernetesServer) -> None:
    asked: list[tuple[dict[str, t.Any], str]] = [
        ({"operation": "scale", "scale_to": "many"}, "no number of replicas"),
        ({"operation": "scale", "scale_minimum": 2}, "no HorizontalPodAutoscaler"),
        ({"operation": "limits", "limits": {"memory": "much"}}, "no amount of memory"),
        ({"operation": "limits", "limits": {"memory": "32m"}}, r"request for memory \(64Mi\) would be more than its limit"),
        ({"operation": "limits", "limits": {"disk": "1g"}}, "There is no limit 'disk'"),
        ({"operation": "status", "workload_name": "other"}, r'deployments.apps "other" not found'),
        ({"operation": "status", "workload_kind": "job"}, "There is no kind of workload 'job'"),
        ({"operation": "apply", "config_map": "other"}, 'configmaps "other" not found.*correct service_kube_config_map'),
        ({"operation": "scale", "scale_to": 4, "autoscaler": "other"}, "correct service_kube_autoscaler"),
        ({"operation": "status", "workload_name": "app/status"}, "'app/status' is no name of Kubernetes.*service_kube_workload"),
        ({"operation": "status", "namespace": "../kube-system"}, "is no name of Kubernetes.*service_kube_namespace"),
        ({"operation": "scale", "scale_to": "²"}, "'²' is no number of replicas"),
        ({"operation": "limits", "limits": {"cpus": 1}, "workload_name": "set", "workload_kind": "statefulset"}, "OnDelete"),
    ]
    server.create("statefulsets", workload("StatefulSet", name="set", replicas=1, updateStrategy={"type": "OnDelete"}))
    for options, said in asked:
        assert re.search(said, service.failure(**options).message)
    server.change("deployments", "app", {"spec": {"paused": True}})
    assert "is paused" in service.failure("restart").message
    assert "is paused" in service.failure("limits", limits={"cpus": 1}).message
    assert not [line for line in server.seen if not line.startswith("GET")]


def test_values_of_a_secret_are_never_asked_for(service: KubernetesService, server: KubernetesServer) -> None:
    server.create("secrets", {"metadata": {"name": "app-secret"}, "data": {"PASSWORD": "aHVudGVyMg=="}})
    server.clear()
    assert "aHVudGVyMg" not in str(service.operate("apply", secret="app-secret", config_map="app-settings"))
    marked = server.get("deployments", "app")["spec"]["template"]["metadata"]["annotations"]["sre.runbooks/configuration"]
    assert marked.endswith(":" + server.get("secrets", "app-secret")["metadata"]["resourceVersion"])
    assert not service.operate("apply", secret="app-secret", config_map="app-settings")["changed"]
    server.change("secrets", "app-secret", {"data": {"PASSWORD": "b3RoZXI="}})
    assert service.operate("apply", secret="app-secret", config_map="app-settings")["changed"]
    asked = [accepted for line, accepted in zip(server.seen, server.accepted, strict=True) if "/secrets" in line]
    assert asked == ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"] * 3
