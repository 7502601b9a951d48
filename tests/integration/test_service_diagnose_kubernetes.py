# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workloads that do not run, on an API server whose pods fare as the tags of their images say: the diagnosis names why."""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.operation import OPTIONS, operate
from integration.kubernetes_server import Fault, KubernetesServer
from integration.kubernetes_service import KubernetesService, newly_made, settle
from tools.ports import free_ports
from tools.waiting import wait_until

pytestmark = pytest.mark.timeout(120)
DEFAULTS = {name: option.get("default") for name, option in OPTIONS.items()}
Result = dict[str, t.Any]


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def service(server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    """The Deployment with three replicas, newly made."""
    return newly_made(server, tmp_path)


def diagnose(of: KubernetesService, **parameters: t.Any) -> Result:
    given = {"runtime": "kubernetes", "service": "app", "kube_config": of.kubeconfig, **parameters}
    result = operate({**DEFAULTS, **given}, False)
    assert "hunter2" not in json.dumps(result)
    return result


def broken(service: KubernetesService, server: KubernetesServer, tag: str, reason: str) -> Result:
    """The diagnosis when new pods have an image with this tag, and have come to the state that is meant."""
    image = {"name": "main", "image": f"registry.local/app:{tag}"}
    server.change("deployments", "app", {"spec": {"template": {"spec": {"containers": [image]}}}})

    def found() -> Result | None:
        result = diagnose(service)
        return result if reason in {one["rule"] for one in result["findings"]} else None

    return wait_until(f"{reason} is found", found, 10, every_s=0.1)


def test_a_workload_that_is_well_is_told_as_such_and_only_read(service: KubernetesService, server: KubernetesServer) -> None:
    server.clear()
    result = diagnose(service)
    assert result["is_well"]
    assert result["conclusion"] == "3 of 3 replicas run and are healthy; nothing was found."
    assert not result["not_looked_at"]
    assert not [line for line in server.seen if not line.startswith("GET ")]


@pytest.mark.parametrize(
    ("tag", "rule", "words"),
    [
        ("missing", "image_pull", "cannot be pulled"),
        ("crashing", "crash_loop", "3 restarts, last with exit status 3"),
        ("unready", "not_ready", "runs and is not ready"),
    ],
)
def test_what_keeps_new_pods_from_running_is_named(
    service: KubernetesService, server: KubernetesServer, tag: str, rule: str, words: str
) -> None:
    result = broken(service, server, tag, rule)
    found = {one["rule"]: one for one in result["findings"]}
    assert rule in found, result
    assert words in found[rule]["what"]
    assert not result["is_well"]
    if tag == "crashing":
        assert "log_variable_missing" in found
        assert "DATABASE_URL" in result["conclusion"]
    else:
        assert words in result["conclusion"]


def test_events_of_the_pods_explain_what_their_state_does_not(service: KubernetesService, server: KubernetesServer) -> None:
    server.change("deployments", "app", {"spec": {"replicas": 4}})
    settle(server)
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "app.1"},
        "type": "Warning",
        "reason": "FailedCreate",
        "involvedObject": {"kind": "ReplicaSet", "name": "app"},
        "message": 'pods "app-9" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4',
    }
    server.create("events", event)
    result = diagnose(service, replicas=5)
    assert "the quota small of the namespace is used up" in result["conclusion"]


def test_a_missing_workload_and_refused_credentials_are_told_apart(service: KubernetesService, server: KubernetesServer) -> None:
    missing = diagnose(service, service="apo")
    assert missing["findings"][0]["rule"] == "workload_missing", missing
    server.faults.append(Fault("GET .*deployments", 403, times=99))
    refused = diagnose(service)
    server.clear()
    assert refused["findings"][0]["rule"] == "cluster_refuses", refused
    assert "workload_missing" not in {one["rule"] for one in refused["findings"]}


def test_pods_that_may_not_be_listed_are_not_taken_for_none(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault("GET .*pods", 403, times=99))
    result = diagnose(service)
    server.clear()
    assert result["conclusion"].startswith("Whether the service app runs as it should is not known: the API server of Kubernetes refuses")
    assert [one["rule"] for one in result["findings"]] == ["cluster_refuses"]
    assert result["state"] == "what runs is not known"


def test_an_api_server_that_is_gone_is_the_cause(service: KubernetesService, server: KubernetesServer, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.write_text(Path(service.kubeconfig).read_text().replace(f":{server.port}", ":1"))
    begin = time.monotonic()
    result = diagnose(service, kube_config=str(closed), timeout_s=3.0)
    assert time.monotonic() - begin < 8
    assert result["findings"][0]["rule"] == "cluster_unreachable", result


def test_the_playbook_ends_with_the_conclusion(service: KubernetesService, server: KubernetesServer) -> None:
    broken(service, server, "missing", "image_pull")
    done = service.run("diagnose")
    assert done.status == 0, done.output
    last = " ".join(done.output.split("PLAY RECAP")[0].split())[-500:]
    assert "cannot be pulled" in last
    assert last.endswith("'Next: check the name and the tag of the image, and imagePullSecrets.'")
