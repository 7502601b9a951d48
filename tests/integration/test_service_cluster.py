# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verbs of a service on a real Kubernetes, by hand: docs/service_kubernetes.md says how.

Either SRE_RUNBOOKS_TEST_CONTROL_PLANE names a folder with kube-apiserver and kube-controller-manager, which are started with etcd on
loopback ports while the test plays the kubelet; or SRE_RUNBOOKS_TEST_KUBECONFIG names a kubeconfig of a cluster with nodes (kind, k3s), on
which a namespace is made and removed again.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from integration.kubernetes_control_plane import ControlPlane, Kubelet
from integration.kubernetes_service import KubernetesService
from integration.playbook_runs import PROGRAMS, ROOT

CONTROL_PLANE, CLUSTER = "SRE_RUNBOOKS_TEST_CONTROL_PLANE", "SRE_RUNBOOKS_TEST_KUBECONFIG"
IMAGE = os.environ.get("SRE_RUNBOOKS_TEST_IMAGE", "registry.k8s.io/pause:3.9")
NAMESPACE = f"sre-runbooks-{os.getpid()}"
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not os.environ.get(CONTROL_PLANE) and not os.environ.get(CLUSTER),
        reason=f"neither {CONTROL_PLANE} (a folder with kube-apiserver and kube-controller-manager) nor {CLUSTER} (a kubeconfig) is set",
    ),
]


@pytest.fixture(scope="module")
def kubeconfigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The kubeconfig of an administrator, and that of the operator (the same one on a cluster that is only lent)."""
    with contextlib.ExitStack() as stack:
        if os.environ.get(CLUSTER):
            yield os.environ[CLUSTER], os.environ[CLUSTER]
            return
        folder = tmp_path_factory.mktemp("plane")
        plane = stack.enter_context(ControlPlane(Path(os.environ[CONTROL_PLANE]), folder))
        print(f"etcd, kube-apiserver and kube-controller-manager were ready after {plane.started_s:.1f} s")
        stack.enter_context(Kubelet(plane.kubeconfig(), NAMESPACE))
        yield plane.kubeconfig(), plane.kubeconfig("of-the-operator")


@pytest.fixture(scope="module")
def service(kubeconfigs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesService]:
    """Two Deployments, `app` and `twin`, in a namespace in which the operator has the rights of the documentation and no others."""
    admin = kubeconfigs[0]
    _kubectl(admin, "create", "namespace", NAMESPACE)
    manifests = [*_rights(), *(_deployment(name) for name in ("app", "twin"))]
    _kubectl(admin, "create", "-f", "-", said=yaml.safe_dump_all(manifests))
    try:
        made = KubernetesService(tmp_path_factory.mktemp("service"), kubeconfigs[1])
        made.variables.update(service_kube_namespace=NAMESPACE, service_kube_config_map="")
        for name in ("app", "twin"):
            assert made.operate("wait", namespace=NAMESPACE, workload_name=name, health_timeout_s=120.0)["after"]["healthy"] == 3
        yield made
    finally:
        _kubectl(admin, "delete", "namespace", NAMESPACE, "--wait=false")


def _kubectl(kubeconfig: str, *arguments: str, said: str = "") -> str:
    argv = [str(PROGRAMS / "kubectl"), "--kubeconfig", kubeconfig, *arguments]
    done = subprocess.run(argv, input=said, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def _rights() -> list[object]:
    """The manifests of the documentation, in this namespace."""
    text = (ROOT / "docs" / "service_kubernetes.md").read_text()
    block = re.search(r"```yaml\n(apiVersion: rbac.*?)```", text, re.DOTALL)
    assert block, "docs/service_kubernetes.md has no Role"
    return list(yaml.safe_load_all(block.group(1).replace("namespace: prod", f"namespace: {NAMESPACE}")))


def _deployment(name: str) -> dict[str, object]:
    container = {"name": "main", "image": IMAGE, "resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "16Mi"}}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _template(service: KubernetesService, kubeconfigs: tuple[str, str], name: str) -> dict[str, object]:
    done = yaml.safe_load(_kubectl(kubeconfigs[0], "get", "deployment", name, "-n", NAMESPACE, "-o", "yaml"))
    text = re.sub(r"restartedAt': '[^']*'", "restartedAt': 'a moment'", str(done["spec"])).replace("twin", "app")
    return {"spec": text, "annotations": sorted(done["metadata"]["annotations"])}


def test_restart_scale_and_limits_are_those_of_kubectl(service: KubernetesService, kubeconfigs: tuple[str, str]) -> None:
    service.operate("restart", namespace=NAMESPACE, health_timeout_s=60.0)
    service.operate("scale", namespace=NAMESPACE, scale_to=4, health_timeout_s=60.0)
    service.operate("limits", namespace=NAMESPACE, limits={"memory": "96m", "cpus": 0.5}, health_timeout_s=60.0)
    for arguments in (
        ("rollout", "restart", "deployment/twin"),
        ("scale", "--replicas=4", "deployment/twin"),
        ("set", "resources", "deployment/twin", "--limits=memory=96Mi,cpu=500m"),
        ("rollout", "status", "deployment/twin", "--timeout=60s"),
    ):
        _kubectl(kubeconfigs[0], *arguments, "-n", NAMESPACE)
    assert _template(service, kubeconfigs, "app") == _template(service, kubeconfigs, "twin")


def test_every_verb_of_the_playbooks_is_done_once(service: KubernetesService) -> None:
    for verb, variables in (
        ("scale", {"service_scale_to": "up"}),
        ("stop", {}),
        ("start", {}),
        ("limits", {"service_limits": {"cpus": 0.25}}),
    ):
        checked = service.entry(verb, "--check", **variables)
        assert "message" not in checked, checked["output"]
        done, again = service.entry(verb, **variables), service.entry(verb, **variables)
        assert "message" not in done, done["output"]
        assert [checked["changed"], done["changed"], again["changed"]] == [True, True, False], verb
        assert again["after"]["healthy"] == again["after"]["wanted"], verb
    restarted = service.run("restart", service_restart_way="to_zero_and_back")
    assert restarted.status == 0, restarted.output


def test_an_image_that_cannot_be_pulled_is_undone(service: KubernetesService, kubeconfigs: tuple[str, str]) -> None:
    """The number of replicas is 0 while the image changes, so that the start is what fails; the number is 0 again afterwards."""
    options: dict[str, t.Any] = {"namespace": NAMESPACE, "workload_name": "twin", "health_timeout_s": 60.0}
    service.operate("stop", **options)
    _kubectl(kubeconfigs[0], "set", "image", "deployment/twin", "main=registry.invalid/app:missing", "-n", NAMESPACE)
    with pytest.raises(RunbookError, match="ImagePullBackOff"):
        service.operate("start", **options)
    status = service.operate("status", **options)
    assert (status["after"]["wanted"], status["after"]["running"]) == (0, 0)
    _kubectl(kubeconfigs[0], "rollout", "undo", "deployment/twin", "-n", NAMESPACE)
    assert service.operate("start", **options)["after"]["healthy"] == 4


@pytest.mark.skipif(not os.environ.get(CONTROL_PLANE), reason=f"pods that get stuck by their limits are those of {CONTROL_PLANE} only")
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_limits_that_no_pod_bears_are_undone(service: KubernetesService, kubeconfigs: tuple[str, str], kind: str) -> None:
    """The controller of a StatefulSet waits for the stuck pod even when its template is as before."""
    name = f"new-{kind.lower()}"
    made: dict[str, t.Any] = {**_deployment(name), "kind": kind}
    made["spec"] |= {"serviceName": name} if kind == "StatefulSet" else {}
    _kubectl(kubeconfigs[0], "create", "-f", "-", said=yaml.safe_dump(made))
    options: dict[str, t.Any] = {"namespace": NAMESPACE, "workload_kind": kind, "workload_name": name, "health_timeout_s": 30.0}
    service.operate("wait", **options)
    with pytest.raises(RunbookError, match=r"ImagePullBackOff.*configuration is back \(3 of 3 replicas run\)"):
        service.operate("limits", limits={"cpus": 7}, **options)
    back = service.operate("limits", limits={"cpus": 1.5}, keep_back=True, **options)["back"]
    assert service.operate("back", back=back, **options)["after"]["replicas"][0]["limits"]["cpus"] is None
    service.operate("limits", limits={"cpus": 2}, **options)
    with pytest.raises(RunbookError, match="others have changed the same meanwhile"):
        service.operate("back", back=back, **options)


def test_accounts_without_rights_or_with_old_credentials_are_told_so(
    service: KubernetesService, kubeconfigs: tuple[str, str], tmp_path: Path
) -> None:
    stranger = yaml.safe_load(Path(kubeconfigs[0]).read_text())
    stranger["users"] = [{"name": one["name"], "user": {"token": "expired"}} for one in stranger["users"]]
    (tmp_path / "config").write_text(yaml.safe_dump(stranger))
    with pytest.raises(RunbookError, match="does not accept the credentials"):
        KubernetesService(tmp_path / "service", str(tmp_path / "config")).operate("status", namespace=NAMESPACE)
    if kubeconfigs[0] != kubeconfigs[1]:
        with pytest.raises(RunbookError, match='cannot get resource "deployments"'):
            service.operate("status", namespace="kube-system")
