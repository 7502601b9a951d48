# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands in the pods of a service on Kubernetes: where they run, how long, and what of their output is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, DeadlineExceeded
from integration.kubernetes_controllers import settings, workload
from integration.kubernetes_server import Fault, KubernetesServer
from integration.kubernetes_service import KubernetesService, settle
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        running.create("configmaps", settings(LOG_LEVEL="info"))
        made = workload(replicas=2)
        template = made["spec"]["template"]
        template["spec"]["containers"].append({"name": "worker", "image": "registry.local/worker:1"})
        template["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "worker"}
        running.create("deployments", made)
        settle(running)
        yield running


@pytest.fixture
def service(server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    server.clear()
    return KubernetesService(tmp_path / "service", server.kubeconfig(tmp_path / "config"))


def test_a_command_runs_in_the_container_that_kubectl_would_take(service: KubernetesService, server: KubernetesServer) -> None:
    service.operate("exec", command=["true"])
    assert all("container=worker" in line for line in server.seen if "/exec" in line)
    server.clear()
    named = server.pods()[1]["metadata"]["name"]
    result = service.operate("exec", command=["echo", "two words"], command_replica=named, container="main")
    assert result["steps"] == [f"echo in pod {named}."]
    assert all(f"/{named}/exec" in line and "container=main" in line for line in server.seen if "/exec" in line)
    assert (result["stdout"], result["stderr"], result["exit_status"], result["cut"]) == ("two words\n", "", 0, False)


def test_output_is_masked_and_only_its_end_is_kept(service: KubernetesService) -> None:
    script = "for n in $(seq 9000); do echo line $n; done; echo password=hunter2; echo token=hunter3 >&2"
    result = service.operate("exec", command=["sh", "-c", script], output_bytes=4096)
    assert len(result["stdout"]) <= 4096
    assert result["stdout"].startswith("line ")
    assert result["stdout"].endswith("line 9000\npassword=********\n")
    assert "hunter" not in str(result)
    assert result["cut"]
    assert result["notes"] == ["Only the end of what it printed is kept"]


def test_what_a_failed_command_said_is_in_its_failure(service: KubernetesService) -> None:
    error = service.failure("exec", command=["sh", "-c", "echo password=hunter2; echo no such table >&2; exit 3"])
    assert isinstance(error, CommandFailed)
    assert "ended with 3" in error.message
    assert "no such table" in error.message
    assert (error.facts["exit_status"], error.facts["stderr"]) == (3, "no such table\n")
    assert "hunter2" not in str(error.facts)
    assert error.changed


def test_a_command_that_takes_too_long_is_ended_in_the_pod(service: KubernetesService, tmp_path: Path) -> None:
    began, left = time.monotonic(), tmp_path / "left"
    error = service.failure("exec", command=["sh", "-c", f"echo begun; sleep 3; touch {left}"], command_timeout_s=1.0)
    assert isinstance(error, DeadlineExceeded)
    assert "did not end within 1 s and was ended" in error.message
    assert "begun" in error.message
    assert time.monotonic() - began < 3
    time.sleep(max(0.0, 3.5 - (time.monotonic() - began)))
    assert not left.exists()


def test_a_pod_that_may_not_be_entered_is_told_with_the_right_that_is_missing(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault("GET .*/exec", 403, times=-1, message='User "operator" cannot create resource "pods/exec"'))
    error = service.failure("exec", command=["true"])
    assert 'cannot create resource "pods/exec"' in error.message
    assert "docs/service_kubernetes.md" in error.next_step


def test_without_a_command_or_a_pod_nothing_is_run(service: KubernetesService, server: KubernetesServer) -> None:
    assert isinstance(service.failure("exec", command=[]), BadInput)
    error = service.failure("exec", command=["true"], command_replica="other")
    assert server.pods()[0]["metadata"]["name"] in error.message
    checked = service.operate("exec", check_mode=True, command=["true"])
    assert (checked["changed"], checked["exit_status"], checked["conclusion"]) == (True, None, "The command would run")
    assert not [line for line in server.seen if "/exec" in line]
