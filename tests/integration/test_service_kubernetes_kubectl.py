# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the verbs make of a workload is what kubectl makes of its twin."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from integration.kubernetes_controllers import settings, workload
from integration.kubernetes_server import KubernetesServer
from integration.kubernetes_service import KubernetesService
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(90)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def service(server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    """Two Deployments alike: `app` is ours, `twin` is for kubectl."""
    server.do(lambda objects: objects.clear())
    server.create("configmaps", settings(LOG_LEVEL="info"))
    ready = KubernetesService(tmp_path / "service", server.kubeconfig(tmp_path / "config"))
    for name in ("app", "twin"):
        server.create("deployments", workload(name=name))
        ready.operate("wait", workload_name=name)
    server.clear()
    return ready


def _object(server: KubernetesServer, name: str) -> t.Any:
    """A Deployment without what tells one from another, and with moments of the same form."""

    def plain(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {
                key: plain(item)
                for key, item in value.items()
                if key not in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "conditions")
            }
        if isinstance(value, list):
            return [plain(item) for item in value]
        return _MOMENT.sub("a moment", value).replace("twin", "app") if isinstance(value, str) else value

    return plain(server.get("deployments", name))


def _changes(server: KubernetesServer, name: str) -> list[t.Any]:
    """The requests that changed a Deployment: path without query, and body."""
    found = zip(server.seen, server.bodies, strict=True)
    return [
        (line.split("?")[0].replace("twin", "app"), _MOMENT.sub("a moment", str(body)))
        for line, body in found
        if not line.startswith("GET") and f"deployments{name}" in line
    ]


def test_a_restart_is_that_of_kubectl(service: KubernetesService, server: KubernetesServer) -> None:
    service.operate("restart")
    service.kubectl("rollout", "restart", "deployment/twin")
    assert "successfully rolled out" in service.kubectl("rollout", "status", "deployment/twin")
    assert _object(server, "app") == _object(server, "twin")
    assert _changes(server, "/app") == _changes(server, "/twin")


def test_scaling_is_that_of_kubectl(service: KubernetesService, server: KubernetesServer) -> None:
    service.operate("scale", scale_to=5)
    service.kubectl("scale", "--replicas=5", "deployment/twin")
    service.kubectl("rollout", "status", "deployment/twin")
    assert _object(server, "app") == _object(server, "twin")
    assert _changes(server, "/app") == _changes(server, "/twin")


def test_limits_are_those_of_kubectl(service: KubernetesService, server: KubernetesServer) -> None:
    service.operate("limits", limits={"memory": "512m", "cpus": 1, "memory_request": "128m"})
    service.kubectl("set", "resources", "deployment/twin", "--limits=memory=512Mi,cpu=1", "--requests=memory=128Mi")
    service.kubectl("rollout", "status", "deployment/twin")
    assert _object(server, "app") == _object(server, "twin")


def test_going_back_is_what_kubectl_calls_undo(service: KubernetesService, server: KubernetesServer) -> None:
    server.change("configmaps", "app-settings", {"data": {"broken": "yes"}})
    with pytest.raises(RunbookError, match="former configuration is back"):
        service.operate("restart")
    service.kubectl("rollout", "restart", "deployment/twin")
    service.kubectl("rollout", "undo", "deployment/twin")
    service.kubectl("rollout", "status", "deployment/twin")
    service.operate("wait")
    ours, theirs = _object(server, "app"), _object(server, "twin")
    assert ours["spec"] == theirs["spec"]
    assert ours["metadata"]["annotations"] == theirs["metadata"]["annotations"]


def test_it_is_finished_when_kubectl_says_so(service: KubernetesService, server: KubernetesServer) -> None:
    service.operate("scale", scale_to=6)
    assert "successfully rolled out" in service.kubectl("rollout", "status", "deployment/app", "--watch=false")
    container = server.get("deployments", "app")["spec"]["template"]["spec"]["containers"][0]
    template = {"spec": {"containers": [{**container, "image": "registry.local/app:unready"}]}}
    server.change("deployments", "app", {"spec": {"template": template}})
    assert "Waiting for deployment" in service.kubectl("rollout", "status", "deployment/app", "--watch=false")
    with pytest.raises(RunbookError, match="without progress"):
        service.operate("wait", health_timeout_s=1.0)
