# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pods that are over can be removed is decided from what the API server told."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.pods import PHASES, finished_pods

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def pod(name: str, phase: str = "Failed", owner: tuple[str, str] | None = None, **more: t.Any) -> dict[str, t.Any]:
    about: dict[str, t.Any] = {"name": name, "namespace": "rag7", "uid": f"uid-{name}", **more}
    if owner:
        about["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "uid": f"uid-{owner[1]}", "controller": True}]
    ended = [{"state": {"terminated": {"finishedAt": "2026-03-01T06:00:00Z"}}}]
    return {"metadata": about, "status": {"phase": phase, "containerStatuses": ended, "startTime": "2026-02-01T00:00:00Z"}}


def job(name: str, owner: str = "", ended: bool = True, **spec: t.Any) -> dict[str, t.Any]:
    references = [{"kind": "CronJob", "name": owner, "uid": "u", "controller": True}] if owner else []
    conditions = [{"type": "Complete", "status": "True"}] if ended else []
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "ownerReferences": references},
        "spec": spec,
        "status": {"conditions": conditions},
    }


def choose(*pods: dict[str, t.Any], jobs: t.Sequence[dict[str, t.Any]] = (), hours: float = 0) -> tuple[list[str], dict[str, str]]:
    found = finished_pods(pods, jobs, PHASES, hours, NOW)
    return [one["name"] for one in found["remove"]], {one["name"]: one["reason"] for one in found["kept"]}


def test_pods_that_are_over_go_and_others_are_not_even_told() -> None:
    pods = [pod(phase.lower(), phase) for phase in ("Succeeded", "Failed", "Running", "Pending", "Unknown")]
    assert choose(*pods) == (["failed", "succeeded"], {})
    assert finished_pods(pods, [], ["Failed"], 0, NOW)["remove"][0]["age_h"] == 6


def test_age_counts_from_the_end_and_a_pod_without_containers_has_one_too() -> None:
    evicted = {"metadata": {"name": "evicted"}, "status": {"phase": "Failed", "reason": "Evicted", "startTime": "2026-03-01T11:00:00Z"}}
    assert choose(pod("old"), evicted, hours=5) == (["old"], {"evicted": "it ended 1 h ago, and the limit is 5 h"})
    assert choose({"metadata": {"name": "odd"}, "status": {"phase": "Failed"}})[1] == {"odd": "when it ended cannot be told"}


@pytest.mark.parametrize(
    ("one", "jobs", "why"),
    [
        (pod("a", owner=("StatefulSet", "db")), [], "the StatefulSet db makes it again"),
        (pod("a", owner=("Job", "nightly-1")), [job("nightly-1", "nightly")], "the CronJob nightly removes it by its history limits"),
        (pod("a", owner=("Job", "once")), [job("once", ttlSecondsAfterFinished=60)], "its own time to live"),
        (pod("a", owner=("Job", "once")), [job("once", ended=False)], "has not ended and counts its pods"),
        (pod("a", owner=("Workflow", "train")), [], "the Workflow train may still need it"),
        (pod("a", owner=("TaskRun", "build")), [], "the TaskRun build may still need it"),
        (pod("a", deletionTimestamp="2026-03-01T11:00:00Z"), [], "it is being removed"),
        (pod("a", annotations={"kubernetes.io/config.mirror": "x"}), [], "the kubelet"),
    ],
)
def test_a_pod_stays_that_something_else_removes_counts_or_makes_again(
    one: dict[str, t.Any], jobs: list[dict[str, t.Any]], why: str
) -> None:
    removed, kept = choose(one, jobs=jobs)
    assert not removed
    assert why in kept["a"]


def test_pods_of_replica_sets_of_ended_jobs_and_of_jobs_that_are_gone_go() -> None:
    pods = [pod("a", owner=("ReplicaSet", "app")), pod("b", owner=("Job", "once")), pod("c", owner=("Job", "gone"))]
    pods.append(pod("d", owner=("DaemonSet", "agent")))
    assert choose(*pods, jobs=[job("once")])[0] == ["a", "b", "c", "d"]


def test_pods_that_run_cannot_be_asked_for() -> None:
    with pytest.raises(BadInput, match="over"):
        finished_pods([], [], ["Running"], 0, NOW)
