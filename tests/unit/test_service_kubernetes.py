# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is made of objects of Kubernetes: state, rollout, troubles, quantities, plans."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.sre.runbooks.plugins.filter.service_kubernetes import service_kubernetes_state
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.service.asked import replicas_asked
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.autoscaler import Limits, shown
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.client import refusal
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.patience import progress_of
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.plan import limited, restarted
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.scale import scaled
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.state import (
    replica_of,
    rollout_of,
    selector_of,
    state_of,
    trouble_of,
)
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.values import cpu_quantity, memory_quantity, number_of

Object = dict[str, t.Any]
_ALL: Object = {"readyReplicas": 3, "updatedReplicas": 3, "updateRevision": "b"}


def _workload(kind: str = "Deployment", replicas: int = 3, spec: Object | None = None, **status: t.Any) -> Object:
    metadata = {"name": "app", "namespace": "prod", "generation": 2}
    template = {"metadata": {}, "spec": {"containers": [{"name": "main", "image": "app:1"}, {"name": "side", "image": "side:1"}]}}
    whole = {"replicas": replicas, "template": template, "selector": {"matchLabels": {"app": "app"}}, **(spec or {})}
    return {"kind": kind, "metadata": metadata, "spec": whole, "status": {"observedGeneration": 2, **status}}


def _pod(name: str = "app-1", state: Object | None = None, phase: str = "Running", ready: bool = True, **status: t.Any) -> Object:
    container = {
        "name": "main",
        "image": "app:1",
        "state": state or {"running": {"startedAt": "2026-11-22T05:00:00Z"}},
        "restartCount": 0,
        **status,
    }
    conditions = [{"type": "Ready", "status": str(ready)}]
    spec: Object = {"containers": [{"name": "main", "image": "app:1"}]}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-11-22T05:00:00Z"},
        "spec": spec,
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": [container]},
    }


@pytest.mark.parametrize(
    ("workload", "finished", "said"),
    [
        (_workload(updatedReplicas=3, availableReplicas=3), True, "all 3 replicas"),
        (_workload(updatedReplicas=1, availableReplicas=3), False, "1 of 3 replicas are of the new version"),
        (_workload(updatedReplicas=3, availableReplicas=2), False, "2 of 3 replicas are available"),
        (_workload(replicas=0), True, "all 0 replicas"),
        (_workload(observedGeneration=1, updatedReplicas=3, availableReplicas=3), False, "not yet seen the change"),
        (_workload("DaemonSet", desiredNumberScheduled=2, updatedNumberScheduled=1, numberAvailable=2), False, "1 of 2 pods"),
        (_workload("DaemonSet", desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=1), False, "1 of 2 pods are available"),
        (_workload("DaemonSet", desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=2), True, "all 2 pods"),
        (_workload("StatefulSet", readyReplicas=2, updatedReplicas=3), False, "2 of 3 replicas are ready"),
        (_workload("StatefulSet", readyReplicas=3, updatedReplicas=2), False, "2 of 3 replicas are of the new version"),
        (
            _workload("StatefulSet", readyReplicas=3, updatedReplicas=3, updateRevision="b", currentRevision="a"),
            False,
            "not yet the current one",
        ),
        (_workload("StatefulSet", readyReplicas=3, updatedReplicas=3, updateRevision="b", currentRevision="b"), True, "all 3 replicas"),
    ],
)
def test_a_rollout_is_judged_as_kubectl_does(workload: Object, finished: bool, said: str) -> None:
    judged = rollout_of(workload)
    assert (judged.finished, judged.stuck) == (finished, "")
    assert said in judged.said


def test_old_replicas_that_are_still_there_keep_a_rollout_unfinished() -> None:
    workload = _workload(updatedReplicas=3, availableReplicas=3)
    workload["status"]["replicas"] = 4
    assert "1 old replicas are still there" in rollout_of(workload).said


def test_a_partition_keeps_the_replicas_below_it_at_the_old_version() -> None:
    strategy = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}
    assert rollout_of(_workload("StatefulSet", spec=strategy, readyReplicas=3, updatedReplicas=1)).finished
    assert not rollout_of(_workload("StatefulSet", spec=strategy, readyReplicas=3)).finished


def test_pods_that_are_ending_or_were_evicted_are_no_replicas() -> None:
    ending, evicted = _pod("app-2"), _pod("app-3", phase="Failed")
    ending["metadata"]["deletionTimestamp"] = "2026-11-22T05:01:00Z"
    assert [one.name for one in state_of(_workload(), [_pod(), ending, evicted]).replicas] == ["app-1"]


def test_a_replica_has_the_limits_address_and_last_end_of_its_container() -> None:
    pod = _pod(
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        ready=False,
        restartCount=4,
        lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
    )
    pod["spec"]["containers"][0]["resources"] = {"limits": {"memory": "512Mi", "cpu": "1500m"}}
    pod["status"]["podIP"] = "10.1.2.3"
    replica = replica_of(pod)
    assert (replica.state, replica.exit_status, replica.restarts, replica.address) == ("CrashLoopBackOff", 137, 4, "10.1.2.3")
    assert replica.limits == {"memory_bytes": 512 << 20, "cpus": 1.5}
    assert "OOMKilled (137)" in replica.reason


@pytest.mark.parametrize(
    ("state", "more", "hopeless"),
    [
        ({"waiting": {"reason": "ErrImagePull"}}, {}, False),
        ({"waiting": {"reason": "ImagePullBackOff"}}, {}, True),
        ({"waiting": {"reason": "CreateContainerConfigError"}}, {}, True),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, {"restartCount": 1}, False),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, {"restartCount": 2}, True),
        ({"waiting": {"reason": "ContainerCreating"}}, {}, False),
        ({"running": {}}, {}, False),
    ],
)
def test_what_passes_by_itself_is_told_from_what_does_not(state: Object, more: Object, hopeless: bool) -> None:
    assert trouble_of(_pod(state=state, ready=False, **more)).hopeless is hopeless


def test_health_is_only_told_where_something_judges_it() -> None:
    judged = _pod()
    judged["spec"]["containers"][0]["readinessProbe"] = {}
    assert [replica_of(pod).health for pod in (_pod(), judged, _pod(ready=False))] == ["", "healthy", "starting"]
    assert replica_of(_pod(ready=False, started=True, restartCount=1)).health == "unhealthy"


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("128Mi", 128 << 20),
        ("1G", 1e9),
        ("500m", 0.5),
        ("2", 2),
        ("1e3", 1000),
        ("0.5Gi", 1 << 29),
        ("100n", 1e-7),
        ("5 apples", None),
        (None, None),
        (3, 3),
    ],
)
def test_quantities_of_kubernetes_are_numbers(quantity: t.Any, number: float | None) -> None:
    assert number_of(quantity) == number


def test_amounts_are_written_as_kubernetes_writes_them() -> None:
    written = {"2g": "2Gi", "512m": "512Mi", "1.5g": "1536Mi", "2Gi": "2Gi", "100k": "100Ki", "1000": "1000", "1GB": "1Gi", "2gib": "2Gi"}
    assert {given: memory_quantity(given) for given in written} == written
    assert [cpu_quantity(one) for one in (1.0, "0.5", "250m", 2)] == ["1", "500m", "250m", "2"]
    for wrong in ("", "much", "-1g", "0"):
        with pytest.raises(BadInput):
            memory_quantity(wrong)
        with pytest.raises(BadInput):
            cpu_quantity(wrong)


@pytest.mark.parametrize(
    "statuses",
    [
        [{"replicas": number, "updatedReplicas": number, "readyReplicas": number} for number in (6, 5, 4, 3)],
        [{"replicas": 3, "updatedReplicas": new, "readyReplicas": 3} for new in (0, 1, 2, 3)],
        [{"replicas": 6, "updatedReplicas": 3, "readyReplicas": ready} for ready in (3, 4, 5)],
        [{"replicas": 3 + old, "updatedReplicas": 3, "readyReplicas": 3} for old in (3, 2, 1, 0)],
    ],
    ids=["scaled down", "rolled", "new ones ready", "old ones gone"],
)
def test_a_workload_gets_on_when_it_comes_nearer_to_what_is_wanted(statuses: list[Object]) -> None:
    steps = [progress_of({**_workload(), "status": {"observedGeneration": 2, **status}}) for status in statuses]
    assert steps == sorted(set(steps))


def test_a_replica_that_has_lost_its_readiness_is_unhealthy_and_one_that_never_had_it_starts() -> None:
    lost, young = _pod(ready=False), _pod(ready=False)
    lost["status"]["conditions"][0].update(lastTransitionTime="2026-11-22T07:00:00Z", message="containers with unready status: [main]")
    young["status"]["conditions"][0].update(lastTransitionTime="2026-11-22T05:00:01Z", message="containers with unready status: [main]")
    assert [replica_of(pod).health for pod in (lost, young)] == ["unhealthy", "starting"]
    assert replica_of(lost).reason == "it has not been ready since 2026-11-22T07:00:00Z: containers with unready status: [main]"


@pytest.mark.parametrize("spec", [{"updateStrategy": {"type": "OnDelete"}}, {"paused": True}])
def test_limits_are_refused_where_no_pod_would_get_them(spec: Object) -> None:
    with pytest.raises(BadInput, match=r"OnDelete|paused"):
        limited(_workload("StatefulSet" if "updateStrategy" in spec else "Deployment", spec=spec), "", {"cpus": 1})


def test_other_digits_than_ours_are_no_numbers_of_replicas() -> None:
    for odd in ("²", "٣", True, "-1", "1e3"):
        with pytest.raises(BadInput, match="no number of replicas"):
            replicas_asked(odd, {})
    assert [replicas_asked(one, {"up": 5}) for one in ("", None, 0, "4", "up")] == [None, None, 0, 4, 5]


def test_selectors_are_written_as_requests_want_them() -> None:
    expressions = [{"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}]
    assert selector_of({"spec": {"selector": {"matchLabels": {"app": "x"}, "matchExpressions": expressions}}}) == "app=x,tier in (a,b),!old"


def test_limits_of_another_container_are_left_alone() -> None:
    plan = limited(_workload(), "side", {"cpus": 1})
    changed = plan.steps[0].calls[0].body["spec"]["template"]["spec"]["containers"]
    assert changed == [{"name": "side", "resources": {"limits": {"cpu": "1"}}}]
    with pytest.raises(BadInput, match="it has main, side"):
        limited(_workload(), "third", {"cpus": 1})


def test_limits_are_taken_away_where_there_are_some() -> None:
    workload, asked = _workload(), {"memory": "none", "cpus": "none", "memory_request": "none"}
    resources = {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi", "cpu": "1"}}
    workload["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    step = limited(workload, "", asked).steps[0]
    (changed,) = step.calls[0].body["spec"]["template"]["spec"]["containers"]
    assert changed["resources"] == {"limits": {"memory": None}, "requests": {"memory": None}}
    assert step.said == "Give the container main no memory limit, no memory request"
    resources.update(limits={}, requests={"cpu": "1"})
    assert limited(workload, "", asked).steps == ()


def test_equal_limits_written_otherwise_are_no_change() -> None:
    workload = _workload()
    workload["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1024Mi", "cpu": "0.5"}}
    assert limited(workload, "", {"memory": "1g", "cpus": "500m"}).steps == ()


def test_workloads_that_wait_for_deletion_are_not_restarted_in_turn() -> None:
    with pytest.raises(BadInput, match="OnDelete"):
        restarted(_workload("StatefulSet", spec={"updateStrategy": {"type": "OnDelete"}}), "rolling", [], "", "now")


def test_limits_of_an_autoscaler_must_not_cross() -> None:
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "s"}, "spec": {"minReplicas": 2, "maxReplicas": 4}}
    with pytest.raises(BadInput, match="from 5 to 4"):
        scaled(_workload(), None, Limits(minimum=5), scaler)
    assert scaled(_workload(), 0, Limits(), scaler).notes == ("horizontalpodautoscaler default/s rests while no replica runs.",)


def test_an_autoscaler_that_cannot_do_its_work_says_why() -> None:
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "s"}, "spec": {"maxReplicas": 4}}
    assert shown(scaler) == "horizontalpodautoscaler default/s chooses between 1 and 4 replicas; it has not yet said how many it wants."
    blind = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics."}
    status = {"currentReplicas": 3, "desiredReplicas": 0}
    said = "chooses between 1 and 4 replicas; it wants 0, and sees 3 now. It cannot do its work: no metrics."
    # Version v1 of the API has the conditions in an annotation, later ones in the status.
    of_v1 = {"name": "s", "annotations": {"autoscaling.alpha.kubernetes.io/conditions": json.dumps([blind])}}
    for told in ({"metadata": of_v1, "status": status}, {"status": {**status, "conditions": [blind]}}):
        assert shown({**scaler, **told}) == f"horizontalpodautoscaler default/s {said}"


def test_refusals_are_told_in_the_words_of_the_server() -> None:
    told = refusal(429, "Too Many", b'{"message": "slow down", "details": {"retryAfterSeconds": 3}}', {})
    assert (told.status, told.said, told.retry_after_s) == (429, "slow down", 3)
    plain = refusal(502, "Bad Gateway", b"<html>", {"Retry-After": "soon"})
    assert (plain.said, plain.retry_after_s) == ("<html>", None)
    for text in ("-1", "nan", "0", "inf", ""):
        assert refusal(503, "", b"", {"Retry-After": text}).retry_after_s is None


def test_the_filter_wants_one_workload_among_the_objects() -> None:
    state = service_kubernetes_state([_workload("Deployment", 1, updatedReplicas=1, availableReplicas=1), _pod()])
    assert (state["running"], state["rollout"]["finished"]) == (1, True)
    with pytest.raises(AnsibleFilterError, match="there are 0"):
        service_kubernetes_state([_pod()])
