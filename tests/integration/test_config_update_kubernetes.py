# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ConfigMap and Secret of a workload are changed by the real playbooks; with a broken value they are as before, and its pods serve."""

from __future__ import annotations

import base64
import json
import re
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.kubernetes_controllers import settings, workload
from integration.kubernetes_server import Fault, KubernetesServer
from integration.kubernetes_service import KubernetesService, picture, settle
from tools.ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SECRET = "hush-4711-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    """The API server."""
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture(scope="module")
def service(server: KubernetesServer, tmp_path_factory: pytest.TempPathFactory) -> KubernetesService:
    """A Deployment with three replicas, its ConfigMap and its Secret."""
    folder = tmp_path_factory.mktemp("kubernetes")
    server.create("configmaps", settings(LOG_LEVEL="info", OLD="1"))
    server.create("secrets", {"metadata": {"name": "app-keys"}, "type": "Opaque", "data": {"OTHER": encoded("stays")}})
    server.create("deployments", workload())
    settle(server)
    found = KubernetesService(folder, server.kubeconfig(folder / "config"))
    found.variables["service_kube_secret"] = "app-keys"
    return found


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def data(server: KubernetesServer) -> tuple[t.Any, t.Any]:
    return server.get("configmaps", "app-settings")["data"], server.get("secrets", "app-keys")["data"]


def pods(server: KubernetesServer) -> set[str]:
    return {name for name in picture(server) if name.startswith("pods/")}


def changes(server: KubernetesServer) -> list[str]:
    """What was asked of the server that is more than reading, and no trial."""
    return [line for line in server.seen if not line.startswith("GET ") and "dryRun" not in line]


def test_a_change_reaches_both_objects_and_every_pod_and_a_second_run_changes_nothing(
    service: KubernetesService, server: KubernetesServer
) -> None:
    wanted = {
        "configuration_values": {"LOG_LEVEL": "debug"},
        "configuration_secret_values": {"API_KEY": SECRET},
        "configuration_remove": ["OLD"],
    }
    before, first = picture(server), pods(server)
    server.seen.clear()
    predicted = service.playbook("config_update", "--check", "--diff", **wanted)
    assert predicted.status == 0, predicted.output
    assert "LOG_LEVEL=debug" in predicted.output and "API_KEY=changed" in predicted.output
    assert (picture(server), changes(server)) == (before, [])
    done = service.playbook("config_update", "-v", **wanted)
    assert done.status == 0, done.output
    assert data(server) == ({"LOG_LEVEL": "debug"}, {"OTHER": encoded("stays"), "API_KEY": encoded(SECRET)})
    assert not first & pods(server)
    server.seen.clear()
    again = service.playbook("config_update", **wanted)
    assert (again.status, "changed=0" in again.output, changes(server)) == (0, True, []), again.output
    for output in (predicted.output, done.output, again.output):
        assert SECRET not in output and encoded(SECRET) not in output


def test_a_broken_value_is_back_on_the_old_configuration_and_serving_within_a_health_timeout_for_each_way(
    service: KubernetesService, server: KubernetesServer, tell: Callable[[str], None]
) -> None:
    former = data(server)
    # The timeout that a user has who sets none.
    broken = {"configuration_values": {"broken": "1"}, "configuration_secret_values": {"API_KEY": "another-" + SECRET}}
    done = service.playbook("config_update", **broken, service_health_timeout_s=100)
    assert done.status != 0
    found = re.search(r"The former configuration serves again, ([0-9.]+) s after the change began", done.message)
    assert found, done.output
    assert "could not be applied" in done.message
    assert data(server) == former
    settle(server)
    assert all(one["status"].get("phase") == "Running" for one in server.pods()), server.pods()
    assert "another-" not in done.output
    tell(f"config_update on Kubernetes: the old configuration serves {found[1]} s after the change began (health timeout 100 s)")
    assert float(found[1]) < 100


def test_what_the_server_refuses_is_told_and_nothing_was_changed(service: KubernetesService, server: KubernetesServer) -> None:
    before = data(server)
    server.faults.append(Fault("PATCH .*/configmaps/", 403, times=-1, message="admission says no"))
    try:
        refused = service.playbook("config_update", configuration_values={"LOG_LEVEL": "trace"})
    finally:
        server.faults.clear()
    assert refused.status != 0 and "admission says no" in refused.message, refused.output
    assert data(server) == before
    files = service.playbook("config_update", configuration_files=[{"path": "/etc/x", "content": "x"}])
    assert "is a key of a ConfigMap" in files.message, files.output


def test_faults_between_both_objects_that_pass_are_outlasted_on_the_way_and_on_the_way_back(
    service: KubernetesService, server: KubernetesServer
) -> None:
    # The first such request is the trial.
    server.faults += [
        Fault("PATCH .*/configmaps/", 409, after=1),
        Fault("PATCH .*/secrets/", 429, after=1, headers={"Retry-After": "1"}),
        Fault("PATCH .*/secrets/", 504, after=1, lost=True),
    ]
    wanted = {"configuration_values": {"LOG_LEVEL": "trace"}, "configuration_secret_values": {"API_KEY": "of-faults-" + SECRET}}
    done = service.playbook("config_update", **wanted)
    assert (done.status, [fault.times for fault in server.faults]) == (0, [0, 0, 0]), done.output
    former = data(server)
    assert former == ({"LOG_LEVEL": "trace"}, {"OTHER": encoded("stays"), "API_KEY": encoded("of-faults-" + SECRET)})
    server.faults[:] = [
        Fault("PATCH .*/secrets/", 403, after=1, times=-1, message="admission says no"),
        Fault("PUT .*/configmaps/", 503, times=2),
        Fault("PUT .*/configmaps/", 500, lost=True),
    ]
    before = pods(server)
    back = service.playbook("config_update", configuration_values={"broken": "1"}, configuration_secret_values={"API_KEY": "other"})
    assert "admission says no" in back.message and "the service was not touched" in back.message, back.output
    assert (data(server), pods(server), [fault.times for fault in server.faults[1:]]) == (former, before, [0, 0])
    server.clear()


def test_credentials_that_expire_between_both_objects_leave_a_change_that_the_next_run_takes_back(
    service: KubernetesService, server: KubernetesServer
) -> None:
    former, before = data(server), pods(server)
    server.faults += [Fault("PATCH .*/secrets/", 401, after=1, times=-1), Fault("PUT .*", 401, times=-1)]
    lost = service.playbook("config_update", configuration_values={"broken": "1"}, configuration_secret_values={"API_KEY": "other"})
    assert "It could not be taken back" in lost.message and "rollback_point_restore" in lost.message, lost.output
    assert (data(server)[0]["broken"], data(server)[1], pods(server)) == ("1", former[1], before)
    server.clear()
    restored = service.playbook("rollback_point_restore", confirm="calendar")
    assert restored.status == 0, restored.output
    assert (data(server), pods(server)) == (former, before)


def test_a_point_brings_back_the_objects_and_leaves_the_number_of_replicas(service: KubernetesService, server: KubernetesServer) -> None:
    former = data(server)
    taken = service.playbook("rollback_point_create")
    assert taken.status == 0, taken.output
    server.change("configmaps", "app-settings", {"data": {"LOG_LEVEL": "warn", "NEW": "1"}})
    server.change("secrets", "app-keys", {"data": {"API_KEY": encoded("other")}})
    server.change("deployments", "app", {"spec": {"replicas": 2}})
    settle(server)
    restored = service.playbook("rollback_point_restore", confirm="calendar")
    assert restored.status == 0, restored.output
    assert data(server) == former
    assert server.get("deployments", "app")["spec"]["replicas"] == 2
    server.seen.clear()
    again = service.playbook("rollback_point_restore", confirm="calendar")
    assert (again.status, changes(server)) == (0, []), again.output


def test_only_what_is_configured_comes_back_where_the_service_shall_be_left_alone(
    service: KubernetesService, server: KubernetesServer, tmp_path: Path
) -> None:
    kept = tmp_path / "prompts.txt"
    kept.write_text("former\n")
    service.variables["configuration_point_paths"] = [str(kept)]
    # The default kind of a workload is that of the role service.
    service.variables["service_kube_workload"] = {"name": "app"}
    assert service.playbook("rollback_point_create").status == 0
    former, text = data(server), kept.read_text()
    kept.write_text("other\n")
    server.change("configmaps", "app-settings", {"data": {"NEW": "1"}})
    server.change("deployments", "app", {"spec": {"template": {"metadata": {"annotations": {"note": "other"}}}}})
    settle(server)
    before = pods(server)
    alone = {"confirm": "calendar", "configuration_point_apply": False}
    predicted = service.playbook("rollback_point_restore", "--check", "-v", **alone)
    assert (predicted.status, "would be left alone" in predicted.output, kept.read_text()) == (0, True, "other\n"), predicted.output
    restored = service.playbook("rollback_point_restore", "-v", **alone)
    assert (restored.status, "the service was left alone" in restored.output) == (0, True), restored.output
    settle(server)
    assert (data(server), kept.read_text(), pods(server)) == (former, text, before)
    assert "changed=0" in service.playbook("rollback_point_restore", **alone).output
    # What cannot be validated never reaches a pod either.
    refused = service.playbook("rollback_point_restore", confirm="calendar", configuration_validate=[["test", "1", "-gt", "2"]])
    assert "the service was not touched" in refused.message, refused.output
    assert (data(server), pods(server)) == (former, before)
    whole = service.playbook("rollback_point_restore", confirm="calendar")
    assert whole.status == 0, whole.output
    settle(server)
    assert "note" not in server.get("deployments", "app")["spec"]["template"]["metadata"].get("annotations", {})
    assert not before & pods(server)


@pytest.fixture
def recorded(service: KubernetesService) -> KubernetesService:
    """The service when a run was given the secret, and a point keeps it."""
    assert service.playbook("config_update", configuration_secret_values={"API_KEY": SECRET}).status == 0
    assert service.playbook("rollback_point_create").status == 0
    return service


def test_no_secret_is_in_any_record_or_point_that_others_may_read(recorded: KubernetesService) -> None:
    service, kept = recorded, 0
    for path in (Path(service.folder) / "state").rglob("*"):
        if path.is_file() and (SECRET.encode() in path.read_bytes() or encoded(SECRET).encode() in path.read_bytes()):
            assert "rollback_points" in path.parts and path.name != "manifest.json", path
            assert not path.stat().st_mode & 0o077
            assert json.loads(path.read_text())["kind"] == "Secret"
            kept += 1
    assert kept
