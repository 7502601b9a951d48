# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the verbs of a service on Kubernetes do when something fails in the middle, and what they ask the API server for."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.kubernetes_controllers import autoscaler, workload
from integration.kubernetes_server import Fault, KubernetesServer
from integration.kubernetes_service import KubernetesService, newly_made, settle
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(90)


PATCH = "PATCH .*/deployments/app"


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def service(server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    """The Deployment with three replicas, newly made."""
    return newly_made(server, tmp_path)


def _spec(server: KubernetesServer) -> t.Any:
    return server.get("deployments", "app")["spec"]


def _retag(server: KubernetesServer, tag: str, **spec: t.Any) -> None:
    """Another version of the Deployment, whose restart goes as the tag says; nothing of it runs yet."""
    server.do(lambda objects: objects.clear())
    server.create("deployments", {**workload(replicas=0, tag=tag, **spec)})


def _break(server: KubernetesServer) -> None:
    """From now on, new pods crash."""
    server.change("configmaps", "app-settings", {"data": {"broken": "yes"}})


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_a_refusal_that_passes_is_tried_again(service: KubernetesService, server: KubernetesServer, status: int) -> None:
    server.faults += [Fault(PATCH, status, times=2), Fault("GET .*/pods$", status if status != 409 else 503)]
    assert service.operate("restart")["after"]["healthy"] == 3
    assert len([line for line in server.seen if line.startswith("PATCH")]) == 3


def test_throttling_is_waited_for_as_long_as_the_server_wants(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault(PATCH, 429, headers={"Retry-After": "2"}))
    began = time.monotonic()
    assert service.operate("scale", scale_to=4)["changed"]
    assert time.monotonic() - began >= 2


def test_throttling_beyond_the_deadline_ends_it_before_anything_is_changed(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault(PATCH, 429, times=-1, headers={"Retry-After": "3600"}))
    before, began = _spec(server), time.monotonic()
    error = service.failure("restart", request_s=2.0)
    assert time.monotonic() - began < 2.5
    assert "wants to be asked again after 3600 s" in error.message
    assert not error.changed
    assert _spec(server) == before


def test_endless_conflicts_name_the_cause(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault(PATCH, 409, times=-1, message="the object has been modified"))
    error = service.failure("scale", scale_to=4, request_s=1.0)
    assert "Others changed the same object again and again" in error.message
    assert not error.changed


def test_missing_rights_end_it_at_once_and_name_the_right(service: KubernetesService, server: KubernetesServer) -> None:
    said = 'deployments.apps "app" is forbidden: User "of-the-operator" cannot patch resource "deployments"'
    server.faults.append(Fault(PATCH, 403, times=-1, message=said))
    error = service.failure("restart")
    assert said in error.message
    assert "docs/service_kubernetes.md" in error.next_step
    assert len([line for line in server.seen if line.startswith("PATCH")]) == 1


def test_credentials_that_expire_while_it_waits_are_named_with_what_is_left_to_do(
    service: KubernetesService, server: KubernetesServer
) -> None:
    server.faults.append(Fault(".*", 401, times=-1, after=4, message="Unauthorized"))
    error = service.failure("restart")
    assert "does not accept the credentials" in error.message
    assert "could not be brought back" in error.message
    assert error.changed


def test_an_api_server_that_cannot_be_reached_is_said_so(tmp_path: Path) -> None:
    service = KubernetesService(tmp_path / "service", KubernetesServer(free_ports(1)[0]).kubeconfig(tmp_path / "config"))
    error = service.failure("status", request_s=1.0)
    assert "does not answer" in error.message
    assert "Connection refused" in error.message


@pytest.mark.parametrize("status", [403, 410])
def test_where_watching_is_not_possible_it_asks_now_and_then(service: KubernetesService, server: KubernetesServer, status: int) -> None:
    server.faults.append(Fault("GET .*/deployments$", status, times=-1))
    assert service.operate("restart")["after"]["healthy"] == 3
    assert len([line for line in server.seen if line.endswith("/deployments/app")]) <= 5


def test_a_rollout_is_followed_with_few_requests(service: KubernetesService, server: KubernetesServer) -> None:
    result = service.operate("restart")
    assert result["requests"] == len(server.seen) <= 9


def test_an_image_that_cannot_be_pulled_is_undone(service: KubernetesService, server: KubernetesServer) -> None:
    server.change("deployments", "app", {"metadata": {"annotations": {"kept": "yes"}}})
    before, container = _spec(server), _spec(server)["template"]["spec"]["containers"][0]
    server.do(lambda objects: _with_image_of_new_pods(objects, "registry.local/app:missing"))
    error = service.failure("limits", limits={"cpus": 2})
    assert 'ImagePullBackOff: Back-off pulling image "registry.local/app:missing"' in error.message
    assert "its former configuration is back (3 of 3 replicas run and are healthy)" in error.message
    assert "see that the image is in the registry" in error.next_step
    assert not error.changed
    settle(server)
    assert _spec(server) == before
    assert container["resources"]["limits"]["cpu"] == "500m"
    assert server.get("deployments", "app")["metadata"]["annotations"]["kept"] == "yes"


def _with_image_of_new_pods(objects: t.Any, image: str) -> None:
    """Somebody has deleted the tag: pods that are made from now on cannot pull it."""
    create = objects.create

    def created(key: t.Any, document: t.Any) -> t.Any:
        limits = document.get("spec", {}).get("containers", [{}])[0].get("resources", {}).get("limits", {})
        if key[0] == "pods" and limits.get("cpu") == "2":
            document["spec"]["containers"][0]["image"] = image
        return create(key, document)

    objects.create = created


def test_a_crashing_version_is_undone_with_its_last_words(service: KubernetesService, server: KubernetesServer) -> None:
    before = _spec(server)
    _break(server)
    error = service.failure("restart")
    assert "CrashLoopBackOff" in error.message
    assert "starting | setting DATABASE_URL is missing: password=******** | giving up" in error.message
    assert _spec(server) == before
    assert service.operate("status")["after"]["healthy"] == 3


def test_a_changed_configuration_that_breaks_the_pods_is_undone(service: KubernetesService, server: KubernetesServer) -> None:
    before = _spec(server)
    _break(server)
    error = service.failure("apply", config_map="app-settings")
    assert "CrashLoopBackOff" in error.message
    assert _spec(server) == before


def test_health_that_never_comes_ends_after_the_timeout_in_the_former_state(service: KubernetesService, server: KubernetesServer) -> None:
    before = _spec(server)
    server.do(lambda objects: _with_image_of_new_pods(objects, "registry.local/app:unready"))
    began = time.monotonic()
    error = service.failure("limits", limits={"cpus": 2}, health_timeout_s=2.0)
    assert 2 <= time.monotonic() - began < 8
    assert "after 2 s without progress" in error.message
    assert _spec(server) == before


def test_a_deadline_that_kubernetes_sees_pass_ends_it(service: KubernetesService, server: KubernetesServer) -> None:
    _retag(server, "unready", progressDeadlineSeconds=1)
    error = service.failure("start", replicas_named={"normal": 2})
    assert 'ReplicaSet "app" has timed out progressing' in error.message
    assert _spec(server)["replicas"] == 0


def test_a_start_that_fails_ends_with_no_replica_and_the_number_remembered(service: KubernetesService, server: KubernetesServer) -> None:
    service.operate("stop")
    _break(server)
    error = service.failure("start")
    assert "CrashLoopBackOff" in error.message
    after = server.get("deployments", "app")
    assert (after["spec"]["replicas"], after["metadata"]["annotations"]["sre.runbooks/replicas"]) == (0, "3")


def test_a_scale_that_fails_brings_number_and_autoscaler_back(service: KubernetesService, server: KubernetesServer) -> None:
    server.create("horizontalpodautoscalers", autoscaler())
    server.faults.append(Fault("PATCH .*/scale", 403, times=-1, message="may not"))
    assert "may not" in service.failure("scale", scale_to=7, scale_maximum=9).message
    assert server.get("horizontalpodautoscalers", "app-scaler")["spec"]["maxReplicas"] == 5
    server.faults.clear()
    _break(server)
    error = service.failure("scale", scale_to=7, scale_maximum=9)
    assert "CrashLoopBackOff" in error.message
    assert "3 of 3 replicas run and are healthy" in error.message
    assert (_spec(server)["replicas"], server.get("horizontalpodautoscalers", "app-scaler")["spec"]["maxReplicas"]) == (3, 5)


def test_a_run_that_was_killed_at_zero_is_mended_by_the_next(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault(PATCH + "$", 401, times=-1, after=1))
    service.failure("restart", restart_way="to_zero_and_back")
    assert _spec(server)["replicas"] == 0
    server.clear()
    result = service.operate("restart", restart_way="to_zero_and_back")
    assert (result["after"]["healthy"], _spec(server)["replicas"]) == (3, 3)
    assert "sre.runbooks/replicas" not in server.get("deployments", "app")["metadata"]["annotations"]
