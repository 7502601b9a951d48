# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pods of a workload of Kubernetes restart for its ConfigMap and Secret, and which stay on the way back."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.api import JSON_PATCH, Api
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.changes import Changes
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.configuration import (
    applied,
    has_come_since,
    mark_of,
    taken_back,
)
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.transport import NoConnection, Refused
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.wait import Paths, Waiter

Object = dict[str, t.Any]


def workload(kind: str = "Deployment") -> Object:
    metadata = {"name": "app", "namespace": "prod"}
    return {"kind": kind, "metadata": metadata, "spec": {"replicas": 3, "template": {"metadata": {}, "spec": {"containers": []}}}}


def pod(name: str = "app-1", ready: bool = True, started_at: str = "2026-11-22T05:00:00Z") -> Object:
    container = {"name": "main", "state": {"running": {"startedAt": started_at}}, "restartCount": 0}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}], "containerStatuses": [container]}
    metadata = {"name": name, "uid": name, "creationTimestamp": "2026-11-22T05:00:00Z"}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "main"}]}, "status": status}


def test_the_mark_of_a_configuration_tells_nothing_of_a_secret() -> None:
    config_map = {"metadata": {"name": "c"}, "data": {"A": "1"}}
    secret = {"metadata": {"uid": "u", "resourceVersion": "7"}, "data": {"PASSWORD": "aHVudGVyMg=="}}
    mark = mark_of(config_map, secret)
    other = copy.deepcopy(secret)
    other["data"]["PASSWORD"] = "b3RoZXI="
    assert mark == mark_of(config_map, other)
    assert mark.endswith("/u:7")
    assert mark != mark_of({**config_map, "data": {"A": "2"}}, secret)


def test_pods_without_a_mark_are_restarted_where_the_configuration_is_younger() -> None:
    def configured(moment: str) -> Object:
        return {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"time": moment}]}, "data": {}}

    assert applied(workload(), [pod()], configured("2026-11-22T04:59:59Z"), None, "now").steps == ()
    assert applied(workload(), [pod()], configured("2026-11-22T05:00:00Z"), None, "now").steps
    assert applied(workload(), [pod()], {"metadata": {}, "data": {}}, None, "now").steps


def marked(one: Object, restarted_at: str | None, mark: str | None) -> Object:
    """A pod or a workload with what `apply` writes into the pods' template."""
    noted = {"kubectl.kubernetes.io/restartedAt": restarted_at, "sre.runbooks/configuration": mark}
    document = one if one["kind"] == "Pod" else one["spec"]["template"]
    document["metadata"]["annotations"] = {name: value for name, value in {"other": "stays", **noted}.items() if value is not None}
    return one


def test_what_was_changed_just_now_restarts_the_pods_whatever_their_marks_and_the_times_say() -> None:
    settings: Object = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "data": {"A": "1"}}
    known = marked(workload(), "then", mark_of(settings, None))
    assert not applied(known, [pod()], settings, None, "now").steps
    assert not applied(workload(), [pod()], settings, None, "now").steps
    for one in (known, workload()):
        (step,) = applied(one, [pod()], settings, None, "now", is_new=True).steps
        assert step.calls[0].body["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] == "now"


@pytest.mark.parametrize("former", [("then", "good"), (None, None), ("then", None)])
def test_on_the_way_back_pods_with_the_former_marks_stay_and_only_what_has_come_since_is_restarted(
    former: tuple[str | None, str | None],
) -> None:
    noted = marked(workload(), *former)["spec"]["template"]["metadata"]["annotations"]
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        assert not taken_back(marked(workload(kind), *former), [marked(pod(), *former)], noted).steps
        (step,) = taken_back(marked(workload(kind), "now", "broken"), [marked(pod(), *former)], noted).steps
        names = ("kubectl.kubernetes.io/restartedAt", "sre.runbooks/configuration")
        assert [call.body for call in step.calls] == [
            {"spec": {"template": {"metadata": {"annotations": dict(zip(names, former, strict=True))}}}}
        ]


def test_a_pod_that_was_started_while_something_else_was_configured_is_known_by_its_start_whatever_its_marks() -> None:
    noted = {"kubectl.kubernetes.io/restartedAt": "then", "sre.runbooks/configuration": "good"}
    known = [{"name": "app-1", "started_at": "2026-11-22T05:00:00Z"}]
    of_the_change = marked(pod("app-2"), "now", "broken")
    started_anew = marked(pod(started_at="2026-11-22T06:00:00Z"), "then", "good")
    assert not has_come_since([marked(pod(), "then", "good"), of_the_change], noted, known, "")
    assert has_come_since([marked(pod("app-3"), "then", "good")], noted, known, "")
    assert has_come_since([started_anew], noted, known, "")


def test_a_pod_that_a_stateful_set_would_wait_for_in_vain_is_deleted_and_no_other() -> None:
    pods = [
        marked(pod("app-0"), "then", "good"),
        marked(pod("app-1", ready=False), "then", "good"),
        marked(pod("app-2", ready=False), "now", "broken"),
        marked(pod("app-3"), "now", "broken"),
    ]
    # A run that was killed behind the template's way back finds that done, and its pod waiting.
    noted = {"kubectl.kubernetes.io/restartedAt": "then", "sre.runbooks/configuration": "good"}
    for marks, patched in ((("now", "broken"), 1), (("then", "good"), 0)):
        (step,) = taken_back(marked(workload("StatefulSet"), *marks), pods, noted).steps
        assert [(call.target, call.name) for call in step.calls] == [("workload", "")] * patched + [("pod", "app-2")]
    assert not taken_back(marked(workload(), "then", "good"), pods, noted).steps


class Cluster:
    """What answers for a Deployment whose first new pod cannot be started.

    Args:
        there: Names of the pods from before that are left then.
        lost: Whether the answer to the first change, which is made, gets lost each time.
    """

    server, account = "cluster", "operator"

    def __init__(self, there: t.Sequence[str], lost: bool) -> None:
        self.there, self.lost, self.kinds = there, lost, list[str]()

    def call(self, method: str, path: str, query: object, body: object, content_type: str, accept: str, timeout_s: float) -> bytes:
        if method == "PATCH":
            self.kinds.append(content_type)
            if self.lost:
                raise NoConnection("it is gone")
        if path.endswith("/pods"):
            image = {"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
            broken = {**pod("app-new", ready=False), "status": {"phase": "Pending", "containerStatuses": [image]}}
            items = [pod(name) for name in self.there] + [broken] * (self.kinds[-1:] not in ([], [JSON_PATCH]))
            return json.dumps({"items": items, "metadata": {}}).encode()
        done = 1 if self.kinds[-1:] != [JSON_PATCH] and self.kinds else 3
        status = {"replicas": 3, "updatedReplicas": done, "availableReplicas": 3, "observedGeneration": 1}
        found = {**workload(), "status": status}
        found["metadata"]["generation"] = 1
        if self.kinds and done == 1:
            marked(found, "now", "other")
        return json.dumps(found).encode()

    def lines(self, path: str, query: object, timeout_s: float) -> t.Iterator[bytes]:
        raise Refused(403, "no watches")

    def command(self, namespace: str, name: str, container: str, argv: object) -> t.Iterator[tuple[int, bytes]]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("there", "lost", "goes_back"),
    [(["app-1", "app-2"], False, True), (["app-1"], False, False), (["app-1", "app-2"], True, False)],
)
def test_the_pods_template_goes_back_on_its_own_only_where_that_makes_no_pod_with_the_changed_configuration(
    there: list[str], lost: bool, goes_back: bool
) -> None:
    cluster, moment = Cluster(there, lost), iter(range(10_000))
    api = Api(t.cast(t.Any, cluster), json.loads, 5.0, clock=lambda: float(next(moment)), pause=lambda _seconds: None)
    paths, before = Paths("prod", "deployment", "app"), workload()
    changes = Changes(api, paths, Waiter(api, paths, 60.0, Progress("Applying")), before, [pod("app-1"), pod("app-2")], "")
    with pytest.raises(RunbookError) as failed:
        changes.carry_out(applied(before, [], {"metadata": {}, "data": {}}, None, "now", is_new=True).steps)
    assert (JSON_PATCH in cluster.kinds, failed.value.changed) == (goes_back, not goes_back)
    assert ("its pods were left as they are" in failed.value.message) is not goes_back
