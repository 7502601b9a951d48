# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks and entry points of a service on Kubernetes: check mode, the real run, and again."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from integration.kubernetes_controllers import autoscaler
from integration.kubernetes_server import Fault, KubernetesServer
from integration.kubernetes_service import KubernetesService, newly_made, picture, settle
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(120)
RESTARTED = "kubectl.kubernetes.io/restartedAt"


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kubernetes")


@pytest.fixture
def service(server: KubernetesServer, folder: Path) -> KubernetesService:
    """The Deployment with three replicas, newly made."""
    return newly_made(server, folder)


def _three_times(service: KubernetesService, server: KubernetesServer, verb: str, **variables: t.Any) -> list[dict[str, t.Any]]:
    """An entry point in check mode, for real, and again; check mode has changed nothing."""
    before = picture(server)
    checked = service.entry(verb, "--check", "--diff", **variables)
    assert picture(server) == before, "check mode changed something"
    assert not [line for line in server.seen if not line.startswith("GET ")]
    results = [checked, *service.entries(verb, 2, **variables)]
    for result in results:
        assert "message" not in result, result["output"]
        assert {"changed", "verb", "runtime", "service", "before", "after", "steps", "conclusion", "notes"} == set(result)
    return results


def _three_calls(service: KubernetesService, server: KubernetesServer, verb: str, **options: t.Any) -> list[dict[str, t.Any]]:
    """The same of the module's library alone."""
    before = picture(server)
    checked = service.operate(verb, check_mode=True, **options)
    assert picture(server) == before, "check mode changed something"
    assert not [line for line in server.seen if not line.startswith("GET ")]
    return [checked, service.operate(verb, **options), service.operate(verb, **options)]


def test_status_says_how_many_replicas_run_and_leaves_them_alone(service: KubernetesService, server: KubernetesServer) -> None:
    before = picture(server)
    done = service.run("status")
    assert done.status == 0, done.output
    assert picture(server) == before
    result = str(service.record())
    assert "3 of 3 replicas run and are healthy" in result


def test_a_restart_replaces_all_pods_and_its_check_mode_none(service: KubernetesService, server: KubernetesServer) -> None:
    before = picture(server)
    checked = service.run("restart", "--check")
    assert checked.status == 0, checked.output
    assert picture(server) == before
    done = service.run("restart")
    assert done.status == 0, done.output
    after = picture(server)
    assert not {name for name in before if name.startswith("pods/")} & set(after)
    assert server.get("deployments", "app")["spec"]["template"]["metadata"]["annotations"][RESTARTED]
    assert "3 of 3 replicas run and are healthy" in str(service.record())


def test_scaling_to_a_named_number_is_done_once(service: KubernetesService, server: KubernetesServer) -> None:
    checked, done, again = _three_times(service, server, "scale", service_scale_to="up")
    assert (checked["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert checked["steps"] == done["steps"] == ["Let 5 instead of 3 replicas run."]
    assert checked["after"]["wanted"] == done["after"]["running"] == len(server.pods()) == 5


def test_scaling_without_a_number_only_says_how_many_there_are(service: KubernetesService, server: KubernetesServer) -> None:
    before = picture(server)
    result = service.entry("scale")
    assert (result["changed"], result["after"]["wanted"], result["after"]["healthy"]) == (False, 3, 3)
    assert picture(server) == before


def test_the_autoscaler_gets_other_limits_before_the_number_leaves_them(service: KubernetesService, server: KubernetesServer) -> None:
    server.create("horizontalpodautoscalers", autoscaler(least=2, most=4))
    refused = service.entry("scale", service_scale_to=6)
    assert "default/app-scaler would undo it: it keeps between 2 and 4 replicas" in refused["message"]
    assert "service_scale_maximum=6" in refused["message"]
    server.clear()
    checked, done, again = _three_calls(service, server, "scale", scale_to=6, scale_maximum=8)
    assert (checked["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert server.get("horizontalpodautoscalers", "app-scaler")["spec"]["maxReplicas"] == 8
    assert len(server.pods()) == 6


def test_what_was_stopped_comes_back_with_as_many_replicas(service: KubernetesService, server: KubernetesServer) -> None:
    server.change("deployments", "app", {"spec": {"replicas": 4}})
    settle(server)
    checked, done, again = _three_times(service, server, "stop")
    assert (checked["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert server.pods() == []
    assert server.get("deployments", "app")["metadata"]["annotations"]["sre.runbooks/replicas"] == "4"
    server.clear()
    checked, done, again = _three_times(service, server, "start")
    assert (checked["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert (checked["after"]["wanted"], done["after"]["healthy"]) == (4, 4)
    assert "sre.runbooks/replicas" not in server.get("deployments", "app")["metadata"]["annotations"]


def test_limits_are_given_to_the_container_once(service: KubernetesService, server: KubernetesServer) -> None:
    wanted = {"memory": "1g", "cpus": 1.5, "memory_request": "128m", "memory_swap": "2g"}
    checked, done, again = _three_calls(service, server, "limits", limits=wanted)
    assert (checked["changed"], done["changed"], again["changed"]) == (True, True, False)
    container = server.get("deployments", "app")["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {"limits": {"memory": "1Gi", "cpu": "1500m"}, "requests": {"memory": "128Mi"}}
    assert done["after"]["replicas"][0]["limits"] == {"memory_bytes": 1 << 30, "cpus": 1.5}
    assert done["notes"][0] == "memory_swap is left out: Kubernetes has no such limit."


def test_limits_are_taken_away_once_and_come_back_where_no_pod_bears_that(service: KubernetesService, server: KubernetesServer) -> None:
    service.operate("limits", limits={"memory": "1g", "cpus": 1.5, "memory_request": "128m"})
    server.clear()
    server.change("configmaps", "app-settings", {"data": {"broken": "yes"}})
    before = server.get("deployments", "app")["spec"]["template"]
    with pytest.raises(RunbookError, match="former configuration is back"):
        service.operate("limits", limits={"memory": "none"})
    assert server.get("deployments", "app")["spec"]["template"] == before
    server.change("configmaps", "app-settings", {"data": {"broken": None}})
    server.clear()
    checked, done, again = _three_calls(service, server, "limits", limits={"memory": "none", "cpus": "none"})
    assert (checked["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert done["steps"] == ["Give the container main no memory limit, no cpu limit."]
    container = server.get("deployments", "app")["spec"]["template"]["spec"]["containers"][0]
    assert {kind: values for kind, values in container["resources"].items() if values} == {"requests": {"memory": "128Mi"}}
    assert done["after"]["replicas"][0]["limits"] == {"memory_bytes": None, "cpus": None}


def test_pods_are_restarted_only_where_their_configuration_has_changed(service: KubernetesService, server: KubernetesServer) -> None:
    untouched = service.entry("apply")
    assert (untouched["changed"], untouched["notes"]) == (False, [])
    server.change("configmaps", "app-settings", {"data": {"LOG_LEVEL": "debug"}})
    server.clear()
    checked, done, again = _three_calls(service, server, "apply", config_map="app-settings")
    assert (checked["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert done["steps"] == ["Restart the pods with the changed configuration."]


def test_wait_ends_when_the_service_is_healthy_and_its_checks_pass(service: KubernetesService, server: KubernetesServer) -> None:
    server.change("deployments", "app", {"spec": {"replicas": 5}})
    listens = [{"name": "api", "type": "tcp", "host": "127.0.0.1", "port": server.port}]
    result = service.entry("wait", service_ready_checks=listens)
    assert "message" not in result, result["output"]
    assert (result["changed"], result["after"]["healthy"]) == (False, 5)


def test_checks_that_do_not_pass_bring_the_former_configuration_back(service: KubernetesService, server: KubernetesServer) -> None:
    container = {
        **server.get("deployments", "app")["spec"]["template"]["spec"]["containers"][0],
        "env": [{"name": "WORD", "value": "hunter4"}],
    }
    server.change("deployments", "app", {"spec": {"template": {"spec": {"containers": [container]}}}})
    settle(server)
    before = server.get("deployments", "app")["spec"]
    closed = [{"name": "api", "type": "tcp", "host": "127.0.0.1", "port": free_ports(1)[0]}]
    failed = service.entry("limits", "-vvv", service_limits={"cpus": 2}, service_ready_checks=closed, service_health_timeout_s=2)
    assert "The former configuration is back" in failed["message"], failed
    assert "hunter4" not in failed["output"], "the template of the pods was shown"
    assert server.get("deployments", "app")["spec"] == before
    server.faults.append(Fault("PATCH .*/deployments/app", 403, times=-1, after=1, message="may not any more"))
    failed = service.entry("limits", service_limits={"cpus": 2}, service_ready_checks=closed, service_health_timeout_s=2)
    assert "1 of 1 checks did not pass" in failed["message"], failed
    assert "Going back did not end well" in failed["message"]
    assert "may not any more" in failed["message"]


def test_logs_are_shown_and_searched(service: KubernetesService, server: KubernetesServer) -> None:
    result = service.entry("logs", service_log_pattern="port 80")
    assert "message" not in result, result["output"]
    assert len(result["lines"]) == 3
    assert all("listens on port 8080" in line for line in result["lines"])


def test_a_command_runs_in_a_pod(service: KubernetesService, server: KubernetesServer) -> None:
    argv = ["sh", "-c", "echo to stdout; echo 'to stderr' >&2"]
    result = service.entry("exec", service_exec_command=argv)
    assert "message" not in result, result["output"]
    assert (result["stdout"], result["stderr"], result["exit_status"]) == ("to stdout\n", "to stderr\n", 0)
    server.clear()
    assert service.entry("exec", "--check", service_exec_command=argv)["conclusion"] == "The command would run"
    assert not [line for line in server.seen if "/exec" in line]


def test_a_stuck_restart_is_undone_and_the_playbook_says_why(service: KubernetesService, server: KubernetesServer) -> None:
    before = server.get("deployments", "app")["spec"]
    server.change("configmaps", "app-settings", {"data": {"broken": "yes"}})
    done = service.run("restart")
    assert done.status != 0
    for part in (
        "CrashLoopBackOff",
        "it ended with Error (3)",
        "giving up",
        "former configuration is back (3 of 3 replicas run and are healthy)",
    ):
        assert part in done.message, done.output
    assert "hunter2" not in done.output
    assert server.get("deployments", "app")["spec"] == before
    settle(server)


def test_expired_credentials_end_it_at_once_with_what_to_do(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault(".*", 401, times=-1, message="Unauthorized"))
    done = service.run("restart")
    assert done.status != 0
    assert "does not accept the credentials of the current context" in done.message
    assert "log in to the cluster again" in done.message
