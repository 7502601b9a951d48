# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The autoscaler of a service on Kubernetes: shown, and made of its manifest where the cluster has lost it."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from integration.kubernetes_controllers import autoscaler, settings, workload
from integration.kubernetes_server import Fault, KubernetesServer
from integration.kubernetes_service import KubernetesService, picture, settle
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(120)
SCALERS = "horizontalpodautoscalers"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAKING = f"POST .*/{SCALERS}"
MANIFEST = """\
# Scales with the load.
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: app-hpa
  labels: {reviewed: 2026-11-22}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  minReplicas: 2
  maxReplicas: 6
  metrics:
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def service(server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    """The Deployment `app` with three replicas, newly made, and no autoscaler."""
    server.do(lambda objects: objects.clear())
    server.clear()
    server.create("configmaps", settings(LOG_LEVEL="info"))
    server.create("deployments", workload())
    settle(server)
    server.clear()
    return KubernetesService(tmp_path / "service", server.kubeconfig(tmp_path / "config"))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "hpa.yaml"
    path.write_text(MANIFEST)
    return path


def _scalers(server: KubernetesServer) -> list[str]:
    return t.cast("list[str]", server.do(lambda objects: [key[2] for key in objects if key[0] == SCALERS]))


def _changes(server: KubernetesServer) -> list[str]:
    """Requests that change something, without what tells who asked."""
    return [line.partition("?")[0] for line in server.seen if not line.startswith("GET ")]


def _failure(service: KubernetesService, **options: t.Any) -> RunbookError:
    with pytest.raises(RunbookError) as caught:
        service.operate("scale", **options)
    return caught.value


def test_an_autoscaler_that_is_gone_is_made_of_its_manifest_by_the_playbook(
    service: KubernetesService, server: KubernetesServer, manifest: Path
) -> None:
    service.variables["service_kube_autoscaler"] = {"name": "app-hpa", "file": str(manifest)}
    before = picture(server)
    checked = service.run("scale", "--check", "--diff", service_scale_maximum=10)
    assert checked.status == 0, checked.output
    said = f"Make horizontalpodautoscaler default/app-hpa of {manifest}, which chooses between 2 and 10 replicas."
    assert said in checked.output
    assert _changes(server) == []
    done = service.run("scale", service_scale_maximum=10)
    assert done.status == 0, done.output
    assert said in done.output
    assert _changes(server) == [f"POST /apis/autoscaling/v2/namespaces/default/{SCALERS}"]
    made = server.get(SCALERS, "app-hpa")
    wanted = yaml.safe_load(MANIFEST)["spec"]
    assert made["spec"] == {**wanted, "maxReplicas": 10}
    # As kubectl leaves it, so that its next `apply` finds what it has to compare with.
    applied = json.loads(made["metadata"]["annotations"][APPLIED])
    assert applied["spec"] == made["spec"]
    assert applied["metadata"] == {"name": "app-hpa", "namespace": "default", "labels": {"reviewed": "2026-11-22"}}
    after = picture(server)
    assert {name: after[name] for name in before} == before
    server.clear()
    again = service.entry("scale", service_scale_maximum=10)
    assert (again["changed"], _changes(server)) == (False, [])


def test_number_and_limits_are_set_in_one_call_and_the_number_must_be_within_them(
    service: KubernetesService, server: KubernetesServer, manifest: Path
) -> None:
    asked: dict[str, t.Any] = {"autoscaler": "app-hpa", "autoscaler_file": str(manifest)}
    assert "it keeps between 2 and 4 replicas" in _failure(service, scale_to=5, scale_maximum=4, **asked).message
    assert _changes(server) == []
    result = service.operate("scale", scale_to=5, scale_maximum=8, **asked)
    assert (result["changed"], len(result["steps"]), result["after"]["healthy"]) == (True, 2, 5)


def test_a_number_alone_is_set_and_makes_no_autoscaler(service: KubernetesService, server: KubernetesServer, manifest: Path) -> None:
    result = service.operate("scale", scale_to=4, autoscaler="app-hpa", autoscaler_file=str(manifest))
    assert result["after"]["healthy"] == 4
    said = f"The cluster has no HorizontalPodAutoscaler app-hpa; -e service_scale_maximum=<n> makes it of {manifest}."
    assert said in result["notes"]
    assert _scalers(server) == []


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_made_is_removed_when_the_run_fails(
    service: KubernetesService, server: KubernetesServer, manifest: Path, lost: bool
) -> None:
    before = picture(server)
    server.faults.append(Fault("PATCH .*/scale", 403, times=-1, message="may not"))
    if lost:
        server.faults.append(Fault(MAKING, 504, lost=True))
    error = _failure(service, scale_to=7, scale_maximum=9, autoscaler_file=str(manifest))
    assert "may not" in error.message
    assert "its former configuration is back" in error.message
    assert not error.changed
    assert picture(server) == before
    assert _scalers(server) == []


def test_what_may_have_been_made_is_removed_though_no_answer_came(
    service: KubernetesService, server: KubernetesServer, manifest: Path
) -> None:
    server.faults.append(Fault(MAKING, 504, lost=True, headers={"Retry-After": "60"}))
    error = _failure(service, scale_maximum=9, autoscaler_file=str(manifest), request_s=2.0)
    assert "its former configuration is back" in error.message
    assert _scalers(server) == []


def test_the_way_back_of_another_task_removes_it_too_but_not_what_others_have_put_in_its_place(
    service: KubernetesService, server: KubernetesServer, manifest: Path
) -> None:
    back = service.operate("scale", scale_maximum=9, autoscaler_file=str(manifest), keep_back=True)["back"]
    service.operate("back", back=back)
    service.operate("back", back=back)
    assert _scalers(server) == []
    server.create(SCALERS, {**autoscaler(), "metadata": {"name": "app-hpa"}})
    with pytest.raises(RunbookError, match="others have changed horizontalpodautoscaler app-hpa meanwhile"):
        service.operate("back", back=back)
    assert _scalers(server) == ["app-hpa"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("kind: [", "is no YAML"),
        ("- just\n- a list\n", "it is no object"),
        (MANIFEST + "---\n" + MANIFEST, "it holds 2 objects"),
        (MANIFEST.replace("HorizontalPodAutoscaler", "Deployment"), "it holds Deployment of autoscaling/v2"),
        (MANIFEST.replace("autoscaling/v2", "example.org/v1"), "of example.org/v1"),
        (MANIFEST.replace("name: app}", "name: other}"), "it scales deployment other, and not deployment default/app"),
        (MANIFEST.replace("app-hpa", "other-hpa"), "it describes other-hpa, and the profile names app-hpa"),
        (MANIFEST.replace("name: app-hpa", "name: app-hpa\n  namespace: other"), "it is meant for the namespace other"),
        (MANIFEST.replace("maxReplicas: 6", "maxReplicas: many"), "no numbers of replicas"),
        (MANIFEST.replace("minReplicas: 2", "minReplicas: 20"), "would be from 20 to 10 replicas"),
        (MANIFEST.replace("{apiVersion: apps/v1, kind: Deployment, name: app}", "app"), "it scales none None"),
        (MANIFEST.replace("labels: {reviewed: 2026-11-22}", "annotations: some"), "its annotations are none"),
        (None, "No such file or directory"),
    ],
)
def test_a_manifest_of_anything_else_is_refused_before_anything_is_changed(
    service: KubernetesService, server: KubernetesServer, manifest: Path, content: str | None, said: str
) -> None:
    manifest.unlink() if content is None else manifest.write_text(content)
    error = _failure(service, scale_to=5, scale_maximum=10, autoscaler="app-hpa", autoscaler_file=str(manifest))
    assert said in error.message
    assert not error.changed
    assert _changes(server) == []


def test_a_manifest_is_named_by_its_whole_path(service: KubernetesService, server: KubernetesServer) -> None:
    assert "is not named by a whole path" in _failure(service, scale_maximum=10, autoscaler_file="k8s/hpa.yaml").message
    assert _changes(server) == []


def test_another_autoscaler_of_the_service_is_not_joined_by_a_second(
    service: KubernetesService, server: KubernetesServer, manifest: Path
) -> None:
    server.create(SCALERS, autoscaler())
    asked: dict[str, t.Any] = {"autoscaler": "app-hpa", "autoscaler_file": str(manifest)}
    error = _failure(service, scale_maximum=10, **asked)
    assert "horizontalpodautoscaler default/app-scaler scales deployment default/app, and not app-hpa" in error.message
    server.do(lambda objects: objects.clear())
    server.create("deployments", workload())
    server.create(SCALERS, {**autoscaler("other"), "metadata": {"name": "app-hpa"}})
    error = _failure(service, scale_maximum=10, **asked)
    assert "horizontalpodautoscaler default/app-hpa does not scale deployment default/app" in error.message
    error = _failure(service, scale_maximum=10, autoscaler_file=str(manifest))
    assert "There is a horizontalpodautoscaler app-hpa already" in error.message
    assert not error.changed
    assert _scalers(server) == ["app-hpa"]
    assert _changes(server) == [f"POST /apis/autoscaling/v2/namespaces/default/{SCALERS}"]


def test_showing_tells_the_limits_of_the_autoscaler_what_it_wants_and_what_it_sees(
    service: KubernetesService, server: KubernetesServer, manifest: Path
) -> None:
    server.create(SCALERS, {**autoscaler(), "status": {"currentReplicas": 3, "desiredReplicas": 4}})
    done = service.run("scale")
    assert done.status == 0, done.output
    assert "horizontalpodautoscaler default/app-scaler chooses between 2 and 5 replicas; it wants 4, and sees 3 now." in done.output
    assert _changes(server) == []
    server.do(lambda objects: objects.pop((SCALERS, "default", "app-scaler")))
    result = service.operate("scale", autoscaler="app-scaler")
    assert (result["changed"], result["notes"]) == (False, ["The cluster has no HorizontalPodAutoscaler app-scaler."])
    assert service.operate("scale")["notes"] == []
    server.faults.append(Fault(f"GET .*/{SCALERS}", 403, times=-1))
    assert service.operate("scale")["notes"] == ["Whether a HorizontalPodAutoscaler scales it could not be seen."]


@pytest.mark.parametrize("runtime", ["compose", "systemd"])
def test_limits_of_an_autoscaler_are_refused_where_there_is_none(service: KubernetesService, runtime: str) -> None:
    failed = service.entry("scale", service_runtime=runtime, service_scale_to=2, service_scale_maximum=10)
    assert f"There is no autoscaler on {runtime}" in failed["message"], failed
    assert "-e service_scale_to=<n>. Nothing was changed." in failed["message"]


@pytest.mark.parametrize("runtime", ["compose", "systemd", "kubernetes"])
def test_a_misspelt_limit_is_refused_beside_one_that_is_known(service: KubernetesService, runtime: str) -> None:
    failed = service.entry("limits", service_runtime=runtime, service_limits={"memroy": "2g", "cpus": 1})
    assert "There is no limit memroy." in failed["message"], failed
    assert "Nothing was changed." in failed["message"]
