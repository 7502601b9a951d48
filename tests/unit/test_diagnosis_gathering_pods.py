# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Kubernetes says becomes the right observation."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis import (
    from_kubernetes,
    gather_kubernetes,
)


@pytest.mark.parametrize(("minute", "state"), [(17, "restarting"), (30, "running")])
def test_a_pod_that_crashed_a_moment_ago_does_not_count_as_running(minute: int, state: str) -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-11-22T05:16:28Z"}}
    container = {"name": "api", "ready": True, "restartCount": 2, "state": {"running": {}}, "lastState": ended}
    ready = [{"type": "Ready", "status": "True"}]
    pod: dict[str, t.Any] = {"kind": "Pod", "metadata": {"name": "api-0"}}
    pod["status"] = {"phase": "Running", "conditions": ready, "containerStatuses": [container]}
    seen = from_kubernetes.observe("api", [pod], now=datetime(2026, 11, 22, 5, minute, tzinfo=UTC))
    assert seen.replicas[0].state == state


def test_pods_are_read_with_what_explains_them_most() -> None:
    init: dict[str, t.Any] = {"name": "migrate", "state": {"terminated": {"exitCode": 0}}}
    waiting: dict[str, t.Any] = {
        "name": "api",
        "restartCount": 5,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
    }
    waiting["lastState"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    well = {"name": "proxy", "ready": True, "restartCount": 0, "state": {"running": {}}}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "api-0"},
        "status": {"phase": "Running", "initContainerStatuses": [init], "containerStatuses": [well, waiting]},
    }
    leaving = {"kind": "Pod", "metadata": {"name": "api-1", "deletionTimestamp": "now"}, "status": {"phase": "Running"}}
    other = {"kind": "Event", "type": "Warning", "involvedObject": {"kind": "Pod", "name": "other-0"}, "message": "x"}
    seen = from_kubernetes.observe(
        "api", [pod, leaving, other, {"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": 2}}]
    )
    (replica,) = seen.replicas
    assert (replica.state, replica.exit_status, replica.out_of_memory, replica.restarts) == ("CrashLoopBackOff", 137, True, 5)
    assert seen.wanted == 2
    assert not [one for one in seen.conditions if one.type == "Event"]
    init["state"] = {"waiting": {"reason": "ImagePullBackOff"}}
    assert from_kubernetes.observe("api", [pod]).replicas[0].reason == "Init:ImagePullBackOff"


def deployment(name: str = "api", replicas: int = 1) -> dict[str, t.Any]:
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": replicas}}


@pytest.mark.parametrize(
    ("about", "ours"),
    [
        ("api", True),
        ("api-5c7b8d9f6b-xk2lp", True),
        ("api-xk2lp", True),
        ("api-0", True),
        ("api-gateway-5c7b8d9f6b-xk2lp", False),
        ("api-gateway", False),
        ("apix-0", False),
    ],
)
def test_events_of_a_neighbour_whose_name_begins_alike_are_not_ours(about: str, ours: bool) -> None:
    event = {"kind": "Event", "type": "Warning", "involvedObject": {"kind": "Pod", "name": about}, "message": "x"}
    seen = from_kubernetes.observe("api", [deployment(), event])
    assert bool(seen.conditions) is ours


def test_a_pod_that_was_evicted_and_replaced_is_no_replica_that_is_missing() -> None:
    well = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"state": {"running": {}}}]}
    pods = [{"kind": "Pod", "metadata": {"name": f"api-{number}"}, "status": well} for number in range(3)]
    evicted = {"kind": "Pod", "metadata": {"name": "api-9"}, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}}
    seen = from_kubernetes.observe("api", [deployment(replicas=3), *pods, evicted])
    assert seen.is_well
    assert (seen.well, seen.of) == (3, 3)
    assert "Evicted" in {one.reason for one in seen.conditions}


BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("first", "main", "wanted", "container", "previous"),
    [
        (
            {"state": BACK_OFF, "lastState": {"terminated": {"exitCode": 1}}},
            {"state": {"waiting": {"reason": "PodInitializing"}}},
            "api",
            "migrate",
            True,
        ),
        ({"ready": False, "state": {"running": {}}}, {"state": {"waiting": {"reason": "PodInitializing"}}}, "", "migrate", False),
        ({"state": {"terminated": {"exitCode": 0}}}, {"state": BACK_OFF, "lastState": {"terminated": {"exitCode": 1}}}, "", "api", True),
        ({"state": {"terminated": {"exitCode": 0}}}, {"state": {"running": {}}}, "api", "api", False),
        ({"state": {"terminated": {"exitCode": 0}}}, {"state": {"waiting": {"reason": "ImagePullBackOff"}}}, "", "", False),
    ],
)
def test_the_log_that_is_read_is_of_the_container_that_explains_most(
    first: dict[str, t.Any], main: dict[str, t.Any], wanted: str, container: str, previous: bool
) -> None:
    status = {"initContainerStatuses": [{"name": "migrate", **first}], "containerStatuses": [{"name": "api", **main}]}
    query = dict(gather_kubernetes.log_wanted({"kind": "Pod", "status": status}, wanted, 9))
    assert query.get("container", "") == container
    assert ("previous" in query) is previous
