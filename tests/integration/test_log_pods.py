# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs of the pods of a workload are read, searched and followed through the API server, whatever is wrong with one of the pods."""

from __future__ import annotations

import multiprocessing
import resource
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.logs import follow, pods
from ansible_collections.sre.runbooks.plugins.module_utils.logs.operation import operate
from integration.kubernetes_answers import BREAKS, HANGS
from integration.kubernetes_controllers import settings, workload
from integration.kubernetes_server import Fault, KubernetesServer
from integration.kubernetes_service import KubernetesService, settle
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(90)
LAST = [{"name": "last", "lines": 10}]
Result = dict[str, t.Any]


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(free_ports(1)[0]) as running:
        running.create("configmaps", settings(LOG_LEVEL="info"))
        running.create("deployments", workload())
        settle(running)
        yield running


@pytest.fixture
def service(server: KubernetesServer, tmp_path: Path) -> KubernetesService:
    server.clear()
    server.do(lambda objects: objects.logs.clear())
    return KubernetesService(tmp_path / "service", server.kubeconfig(tmp_path / "config"))


@pytest.fixture
def without_image(server: KubernetesServer) -> Iterator[str]:
    """The name of a fourth pod, of which there is no image."""
    template = workload(tag="missing")["spec"]["template"]
    name = "app-0-without-image"
    server.create("pods", {"metadata": {"name": name, **template["metadata"]}, "spec": template["spec"]})
    until = time.monotonic() + 10
    while "containerStatuses" not in server.get("pods", name).get("status", {}) and time.monotonic() < until:
        time.sleep(0.02)
    yield name
    server.do(lambda objects: objects.delete(("pods", "default", name)))


def names(server: KubernetesServer) -> list[str]:
    """The pods of the Deployment."""
    return [str(one["metadata"]["name"]) for one in server.pods() if one["metadata"].get("ownerReferences")]


def write(server: KubernetesServer, pod: str, *lines: str) -> None:
    """Let a pod print something."""
    server.do(lambda objects: objects.logs.setdefault(pod, []).extend(lines))


def scanned(service: KubernetesService, named: str = "deployment/app", questions: t.Any = LAST, **more: t.Any) -> Result:
    """The result of a scan of the pods' logs."""
    source = {"name": "app", "kubernetes_workload": named, "kube_config": service.kubeconfig}
    return operate({"sources": [source], "questions": questions, **more})


def followed(service: KubernetesService, **more: t.Any) -> Result:
    """The result of following the pods' logs."""
    source = {"name": "app", "kubernetes_workload": "deploy/app", "kube_config": service.kubeconfig}
    return follow.operate({"sources": [source], "follow_s": 30, **more})


def texts(result: Result) -> list[str]:
    """The lines that a scan shows, without their order: those of different pods have the same times."""
    return sorted(one["text"] for one in result["answers"][0]["lines"])


def test_every_pod_is_read_and_says_what_kubectl_prints(service: KubernetesService, server: KubernetesServer) -> None:
    first, second, third = names(server)
    write(server, first, '{"level": "ERROR", "type": "TimeoutError", "duration_ms": 5}')
    write(server, second, "plain line, connection refused", "another")
    questions = [
        {"name": "refused", "pattern": "connection refused", "lines": 5},
        {"name": "types", "levels": ["ERROR"], "group_by": ["type"]},
    ]
    result = scanned(service, questions=questions)
    assert (result["logs"][0]["lines"], result["logs"][0]["levels"]["ERROR"]) == (4, 1)
    assert texts(result) == ["plain line, connection refused"] and result["answers"][0]["lines"][0]["at"]
    assert result["answers"][1]["groups"] == [{"type": "TimeoutError", "count": 1}]
    whole = scanned(service, since="1h")
    assert all("sinceTime=" in line for line in server.seen[-3:])
    printed = "".join(service.kubectl("logs", pod, "--container", "main") for pod in (first, second, third))
    assert texts(whole) == sorted(printed.splitlines())
    for same in ("deploy/app", "deployments.apps/app", f"replicaset/{first.rpartition('-')[0]}"):
        assert texts(scanned(service, same)) == texts(whole)
    assert scanned(service, f"pod/{third}")["logs"][0]["lines"] == 1


@pytest.mark.parametrize("named", ["deployment/gone", "rollout/app", "gone"])
def test_a_workload_that_is_not_there_is_refused(service: KubernetesService, named: str) -> None:
    with pytest.raises(BadInput, match=r"404|no kind of workload"):
        scanned(service, named)
    assert scanned(service, named, missing_ok=True)["logs"][0]["problem"]


def test_a_pod_without_a_log_is_noted_and_the_lines_of_the_others_are_shown(
    service: KubernetesService, server: KubernetesServer, without_image: str
) -> None:
    result = scanned(service)
    assert texts(result) == sorted(f"{pod} listens on port 8080" for pod in names(server))
    assert (result["logs"][0]["problem"], result["complete"]) == ("", True)
    (note,) = result["notes"]
    assert note.startswith(f"app: container main of pod {without_image} has no log:") and "ImagePullBackOff" in note
    assert [line.split("?")[0].split("/")[-2] for line in server.seen[-4:]][-1] == without_image, "those that are ready come first"
    shown = service.entry("logs")
    assert sorted(shown["lines"]) == texts(result)
    assert shown["conclusion"] == "Last lines: 3"
    assert any("ImagePullBackOff" in one for one in shown["notes"])
    heard = followed(service, stop_after=3)
    assert len(heard["lines"]) == 3


def test_it_fails_when_no_pod_has_a_log_and_says_why(service: KubernetesService, server: KubernetesServer, without_image: str) -> None:
    with pytest.raises(BadInput, match="ImagePullBackOff"):
        scanned(service, f"pod/{without_image}")
    server.faults.append(Fault("GET .*/log$", 400, times=-1, message="is waiting to start: ContainerCreating"))
    failed = service.entry("logs")
    assert "No log of calendar could be read" in failed["message"] and "ContainerCreating" in failed["message"]
    told = followed(service, follow_s=5)
    assert (told["lines"], told["ended_by"], len(told["notes"])) == ([], "logs", 4)
    assert "ContainerCreating" in told["notes"][0]


def test_a_pod_that_cannot_be_reached_is_a_failure_where_every_line_counts(service: KubernetesService, server: KubernetesServer) -> None:
    write(server, names(server)[1], "first", BREAKS)
    with pytest.raises(BadInput, match="broke off"):
        scanned(service)
    result = scanned(service, missing_ok=True)
    assert len(texts(result)) == 3 and "first" in texts(result)
    assert "broke off" in result["logs"][0]["problem"]
    assert len(service.entry("logs")["lines"]) == 3


def test_a_server_that_throttles_is_asked_again(service: KubernetesService, server: KubernetesServer) -> None:
    server.faults.append(Fault("GET .*/log$", 429, headers={"Retry-After": "0"}))
    server.faults.append(Fault("GET .*/pods$", 503))
    assert len(texts(scanned(service))) == 3


def test_the_credentials_of_the_verbs_are_used_and_no_kubectl(
    service: KubernetesService, server: KubernetesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.variables["service_kube_config"] = ""
    own = {"K8S_AUTH_HOST": f"http://127.0.0.1:{server.port}", "K8S_AUTH_API_KEY": "of-the-operator"}
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    monkeypatch.setattr(service, "environment", lambda: {**KubernetesService.environment(service), **own, **home})
    assert len(service.entry("logs")["lines"]) == 3
    assert any("following" in line for line in _written_meanwhile(service, server)["lines"])


def _written_meanwhile(service: KubernetesService, server: KubernetesServer) -> Result:
    """The result of following them by the playbook's role, while each pod goes on to print."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(0.1):
            for pod in names(server):
                write(server, pod, "following")

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        return service.entry("logs", service_log_follow_s=1, service_log_lines=5)
    finally:
        over.set()
        thread.join()


def test_pods_are_followed_together_as_they_print_and_nothing_goes_on_behind_it(
    service: KubernetesService, server: KubernetesServer
) -> None:
    first, second, _third = names(server)
    before = threading.active_count()

    def go_on() -> None:
        write(server, first, "one", "ERROR password=hunter2 refused")
        time.sleep(0.2)
        write(server, second, "Refused, too")

    timer = threading.Timer(0.5, go_on)
    timer.start()
    began = time.monotonic()
    told = followed(service, search="refused", stop_after=2, lines=1)
    assert time.monotonic() - began < 10
    assert [one["log"] for one in told["lines"]] == [f"app {first}", f"app {second}"]
    assert "hunter2" not in str(told) and told["seen"] >= 6
    assert (told["ended_by"], told["notes"]) == ("lines", [])
    timer.join()
    until = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert threading.active_count() <= before


@pytest.mark.parametrize("other", ["deploy/app", "deploy/gone"])
def test_a_pod_that_says_nothing_has_not_broken_off_while_another_source_is_looked_for(service: KubernetesService, other: str) -> None:
    looked_for = threading.Event()
    real = pods.Clusters.logs_of

    def slowly(self: pods.Clusters, *given: t.Any) -> t.Any:
        if looked_for.is_set():
            time.sleep(2)
        looked_for.set()
        return real(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pods.Clusters, "logs_of", slowly)
        sources = [
            {"name": name, "kubernetes_workload": named, "kube_config": service.kubeconfig}
            for name, named in (("a", "deploy/app"), ("b", other))
        ]
        told = follow.operate({"sources": sources, "follow_s": 1})
    assert (told["ended_by"], [note for note in told["notes"] if "broke off" in note or "to the end" in note]) == ("time", [])


def test_pods_beyond_those_that_are_read_are_noted(service: KubernetesService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "MOST_PROGRAMS", 2)
    assert followed(service, follow_s=1)["notes"] == ["app: 1 more logs were not followed"]
    monkeypatch.setattr(pods, "_MOST_PODS", 2)
    assert scanned(service)["notes"] == ["app: 1 more pods of deployment/app were not read"]
    assert followed(service, follow_s=1)["notes"] == ["app: 1 more pods of deploy/app were not read"]


def test_a_log_of_the_profile_is_of_the_cluster_of_the_verbs_whatever_else_the_environment_names(
    service: KubernetesService, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = {"K8S_AUTH_HOST": f"http://127.0.0.1:{free_ports(1)[0]}", "K8S_AUTH_API_KEY": "of-another-cluster"}
    monkeypatch.setattr(service, "environment", lambda: {**KubernetesService.environment(service), **away})
    service.variables["service_logs"] = [
        {"name": "api", "kubernetes_workload": "deployment/app"},
        {"name": "own", "kubernetes_workload": "deployment/app", "kube_config": "/of/its/own"},
    ]
    assert len(service.entry("logs", service_log_name="api")["lines"]) == 3
    assert "/of/its/own" in service.entry("logs", service_log_name="own")["message"]


def test_following_ends_when_the_time_is_up_and_tells_of_a_log_that_broke_off(service: KubernetesService, server: KubernetesServer) -> None:
    first, second, third = names(server)
    write(server, first, "well")
    write(server, second, "well", BREAKS)
    write(server, third, HANGS)
    told = followed(service, follow_s=1.5)
    assert (len(told["lines"]), told["ended_by"]) == (2, "time")
    (note,) = told["notes"]
    assert note.startswith(f"app {second} could not be followed to the end") and "broke off" in note


def test_for_the_last_lines_no_more_is_asked_for(service: KubernetesService, server: KubernetesServer) -> None:
    first, *_others = names(server)
    write(server, first, *(f"line {number}" for number in range(5000)))
    shown = service.entry("logs", service_log_lines=2)
    assert shown["conclusion"] == "Last lines: 2"
    assert shown["lines"] == ["line 4998", "line 4999"]
    assert all("tailLines=2" in line for line in server.seen[-3:])
    server.clear()
    found = service.entry("logs", service_log_lines=2, service_log_pattern="LINE 1")
    assert found["lines"] == ["line 1998", "line 1999"] and found["conclusion"].startswith("Lines with LINE 1: 1111, of which the last 2")
    assert not any("tailLines" in line for line in server.seen)


def test_what_was_not_read_in_time_is_said_in_the_conclusion(service: KubernetesService, server: KubernetesServer) -> None:
    write(server, names(server)[0], "well", HANGS)
    began = time.monotonic()
    shown = service.entry("logs", service_log_timeout_s=2)
    assert time.monotonic() - began < 30
    assert shown["lines"] == ["well"]
    assert "Last lines: 1. Not everything was read in 2" in shown["conclusion"] and "newest lines may be missing" in shown["conclusion"]


@pytest.mark.parametrize("printed", [["well", HANGS], [HANGS]])
def test_reading_ends_when_the_time_is_up_wherever_the_server_falls_silent(
    service: KubernetesService, server: KubernetesServer, printed: list[str]
) -> None:
    write(server, names(server)[1], *printed)
    began = time.monotonic()
    result = scanned(service, timeout_s=2)
    assert time.monotonic() - began < 8
    assert (result["complete"], len(texts(result))) == (False, len(printed))
    assert "was ended after 2 s" in result["notes"][0]


def _scanned_in(kubeconfig: str, pod: str) -> tuple[int, int]:
    """Bytes that a scan has read, and the most memory that this process has had, in kibibytes."""
    source = {"name": "app", "kubernetes_workload": f"pod/{pod}", "kube_config": kubeconfig}
    read = operate({"sources": [source], "questions": []})["logs"][0]["bytes_read"]
    return read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_log_of_any_length_is_read_in_little_memory(service: KubernetesService, server: KubernetesServer) -> None:
    pod = names(server)[0]
    write(server, pod, *["x" * 200_000] * 500)
    # In a process of its own: the high-water mark of this one is that of all its tests.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        short = pool.apply(_scanned_in, (service.kubeconfig, names(server)[1]))
        long = pool.apply(_scanned_in, (service.kubeconfig, pod))
    assert short[0] < 1000 and long[0] > 100 << 19
    assert long[1] - short[1] < 24 << 10, "kibibytes"


def test_a_scan_in_a_thread_of_its_own_reads_pods_too(service: KubernetesService) -> None:
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(scanned(service)))
    thread.start()
    thread.join(60)
    assert len(texts(found[0])) == 3


def test_without_the_package_it_is_said_what_to_install(service: KubernetesService, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes import client

    monkeypatch.setattr(client, "kubernetes", None)
    with pytest.raises(RunbookError, match="pip install kubernetes"):
        scanned(service)


def test_a_server_that_is_not_there_is_told_as_such(service: KubernetesService, server: KubernetesServer) -> None:
    kubeconfig = Path(service.kubeconfig)
    kubeconfig.write_text(kubeconfig.read_text().replace(f":{server.port}", f":{free_ports(1)[0]}"))
    with pytest.raises(Unreachable, match="does not answer"):
        scanned(service, timeout_s=2)
