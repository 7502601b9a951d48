# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controllers and kubelets of Kubernetes do to workloads and pods, so that rollouts go on, or get stuck.

How a pod fares is said by the tag of its image: `missing` cannot be pulled, `crashing` ends at once, `unready` is never ready; all others
are ready after 0.15 s. A pod whose ConfigMap (by envFrom) had the key `broken` when it was made crashes too, and one whose limit of
processors is among `unfit_cpus`. With which data a pod was started is in its annotation STARTED_WITH.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import time
import typing as t

from integration.kubernetes_objects import Body, Key, Objects, now

TICK_S = 0.05
READY_S = 0.15
REVISION = "deployment.kubernetes.io/revision"
STARTED_WITH = "tests/started-with"
_NODES = 2


class Controllers:
    """All of them, in one loop."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._count = 0
        self._progress: dict[str, tuple[int, float]] = {}
        self._made: dict[str, float] = {}

    async def run(self) -> None:
        """Look at everything, again and again."""
        while True:
            for key in list(self._objects):
                if key in self._objects and key[0] in ("deployments", "statefulsets", "daemonsets"):
                    {"deployments": self._deployment, "statefulsets": self._stateful_set, "daemonsets": self._daemon_set}[key[0]](key)
            for key in [key for key in self._objects if key[0] == "pods"]:
                self._kubelet(key)
            await asyncio.sleep(TICK_S)

    def _deployment(self, key: Key) -> None:
        deployment = copy.deepcopy(self._objects[key])
        sets = [one for place, one in self._objects.items() if place[0] == "replicasets" and _owner(one) == deployment["metadata"]["uid"]]
        template, wanted = deployment["spec"]["template"], deployment["spec"].get("replicas", 1)
        digest = _digest(template)
        newest = next((one for one in sets if one["metadata"]["labels"]["pod-template-hash"] == digest), None)
        highest = max((int(one["metadata"]["annotations"][REVISION]) for one in sets), default=0)
        if newest is None:
            newest = self._replica_set(deployment, digest, highest + 1)
        elif int(newest["metadata"]["annotations"][REVISION]) < highest:
            newest["metadata"]["annotations"][REVISION] = str(highest + 1)
        deployment["metadata"].setdefault("annotations", {})[REVISION] = newest["metadata"]["annotations"][REVISION]
        pods = {one["metadata"]["name"]: self._pods_of(one) for one in [*(one for one in sets if one is not newest), newest]}
        new = pods.pop(newest["metadata"]["name"])
        old = [pod for some in pods.values() for pod in some]
        self._steer(newest, wanted, new, old)
        self._status(deployment, wanted, new, old)
        self._objects.put(key, deployment)

    def _steer(self, newest: Body, wanted: int, new: list[Body], old: list[Body]) -> None:
        """One step of a rolling update with one replica more than wanted and none less."""
        ready_old = [pod for pod in old if _ready(pod)]
        if len(new) < wanted and len(new) + len(old) < wanted + 1:
            self._pod(newest, f"{newest['metadata']['name']}-{self._number()}", newest["metadata"]["labels"])
        elif len(new) > wanted:
            self._objects.delete(_key("pods", new[-1]))
        elif old and sum(map(_ready, new)) + len(ready_old) > wanted:
            self._objects.delete(_key("pods", old[0]))
        elif [pod for pod in old if not _ready(pod)]:
            self._objects.delete(_key("pods", next(pod for pod in old if not _ready(pod))))
        count = len(self._pods_of(newest))
        if newest["spec"]["replicas"] != count:
            self._objects.put(_key("replicasets", newest), {**newest, "spec": {**newest["spec"], "replicas": count}})

    def _status(self, deployment: Body, wanted: int, new: list[Body], old: list[Body]) -> None:
        ready = [pod for pod in new + old if _ready(pod)]
        updated = len(new)
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(new) + len(old),
            "updatedReplicas": updated,
            "readyReplicas": len(ready),
            "availableReplicas": len(ready),
            "unavailableReplicas": max(0, wanted - len(ready)),
        }
        uid, measure = deployment["metadata"]["uid"], hash((deployment["metadata"]["generation"], updated, sum(map(_ready, new)), len(old)))
        if self._progress.get(uid, (None, 0.0))[0] != measure:
            self._progress[uid] = (measure, time.monotonic())
        complete = updated == wanted and not old and len(ready) == wanted
        late = not complete and time.monotonic() - self._progress[uid][1] > float(deployment["spec"].get("progressDeadlineSeconds", 600))
        reason = "NewReplicaSetAvailable" if complete else "ProgressDeadlineExceeded" if late else "ReplicaSetUpdated"
        name = f'ReplicaSet "{deployment["metadata"]["name"]}" ' + ("has timed out progressing." if late else "is progressing.")
        condition = {"type": "Progressing", "status": "False" if late else "True", "reason": reason, "message": name}
        deployment["status"] = {name: value for name, value in status.items() if value} | {"conditions": [condition]}

    def _replica_set(self, deployment: Body, digest: str, revision: int) -> Body:
        template = copy.deepcopy(deployment["spec"]["template"])
        labels = {**template["metadata"]["labels"], "pod-template-hash": digest}
        template["metadata"]["labels"] = labels
        name = f"{deployment['metadata']['name']}-{digest}"
        metadata = {"labels": labels, "annotations": {REVISION: str(revision)}, "ownerReferences": [_reference(deployment)]}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        return self._objects.create(("replicasets", deployment["metadata"]["namespace"], name), {"metadata": metadata, "spec": spec})

    def _stateful_set(self, key: Key) -> None:
        workload = copy.deepcopy(self._objects[key])
        name, revision, wanted = key[2], f"{key[2]}-{_digest(workload['spec']['template'])}", workload["spec"].get("replicas", 1)
        there = {pod["metadata"]["name"]: pod for pod in self._all_pods(workload)}
        pods = [there.get(f"{name}-{number}") for number in range(wanted)]
        first = next((number for number, pod in enumerate(pods) if pod is None or not _ready(pod)), None)
        extra = [pod for other, pod in there.items() if other not in {f"{name}-{number}" for number in range(wanted)}]
        old = [pod for pod in pods if pod and pod["metadata"]["labels"]["controller-revision-hash"] != revision]
        if extra and not _ending(extra[-1]):
            self._objects.delete(_key("pods", extra[-1]))
        elif first is not None and pods[first] is None:
            self._pod(
                workload, f"{name}-{first}", {**workload["spec"]["template"]["metadata"]["labels"], "controller-revision-hash": revision}
            )
        elif first is None and old:
            self._objects.delete(_key("pods", old[-1]))
        present = [pod for pod in there.values() if not _ending(pod)]
        status = workload.setdefault("status", {})
        updated = sum(pod["metadata"]["labels"]["controller-revision-hash"] == revision for pod in present)
        status.update(observedGeneration=workload["metadata"]["generation"], replicas=len(there), updateRevision=revision)
        status.update(readyReplicas=sum(map(_ready, present)), updatedReplicas=updated)
        if (updated == wanted and sum(map(_ready, present)) == wanted) or "currentRevision" not in status:
            status["currentRevision"] = revision
        self._objects.put(key, workload)

    def _daemon_set(self, key: Key) -> None:
        workload = copy.deepcopy(self._objects[key])
        revision = _digest(workload["spec"]["template"])
        pods = [pod for pod in self._all_pods(workload) if not _ending(pod)]
        old = [pod for pod in pods if pod["metadata"]["labels"]["controller-revision-hash"] != revision]
        if len(pods) < _NODES:
            labels = {**workload["spec"]["template"]["metadata"]["labels"], "controller-revision-hash": revision}
            self._pod(workload, f"{key[2]}-{self._number()}", labels)
        elif old and (all(map(_ready, pods)) or not _ready(old[0])):
            self._objects.delete(_key("pods", old[0]))
        ready = sum(map(_ready, pods))
        workload["status"] = {
            "observedGeneration": workload["metadata"]["generation"],
            "desiredNumberScheduled": _NODES,
            "numberReady": ready,
            "numberAvailable": ready,
            "updatedNumberScheduled": len(pods) - len(old),
        }
        self._objects.put(key, workload)

    def _pod(self, owner: Body, name: str, labels: Body) -> None:
        template = copy.deepcopy(owner["spec"]["template"])
        metadata = {**template["metadata"], "labels": dict(labels), "ownerReferences": [_reference(owner)]}
        data = self._settings_of(template["spec"], owner["metadata"]["namespace"])
        metadata["annotations"] = {**(metadata.get("annotations") or {}), STARTED_WITH: json.dumps(data, sort_keys=True)}
        status = {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}
        made = self._objects.create(
            ("pods", owner["metadata"]["namespace"], name), {"metadata": metadata, "spec": template["spec"], "status": status}
        )
        self._made[made["metadata"]["uid"]] = time.monotonic()

    def _kubelet(self, key: Key) -> None:
        pod = copy.deepcopy(self._objects[key])
        age_s = time.monotonic() - self._made.get(pod["metadata"]["uid"], 0.0)
        is_over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if is_over or _ready(pod) or _ending(pod) or age_s < READY_S:
            return
        container = pod["spec"]["containers"][0]
        tag = "crashing" if self._is_broken(pod) else container["image"].rsplit(":", 1)[-1]
        status: Body = {"name": container["name"], "image": container["image"], "imageID": "", "ready": False, "restartCount": 0}
        phase = "Running"
        if tag == "missing":
            waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{container["image"]}"'}
            status["state"], phase = {"waiting": waiting}, "Pending"
        elif tag == "crashing":
            waiting = {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container"}
            status.update(state={"waiting": waiting}, restartCount=3, lastState={"terminated": {"exitCode": 3, "reason": "Error"}})
            self._objects.logs[key[2]] = ["starting", "setting DATABASE_URL is missing: password=hunter2", "giving up"]
        else:
            started = {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}
            status.update(state=started, ready=tag != "unready", started=True)
        ready = {"type": "Ready", "status": "True" if status["ready"] else "False"}
        state = {"state": {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}, "ready": True, "restartCount": 0}
        others = [{"name": one["name"], "image": one["image"], **state} for one in pod["spec"]["containers"][1:]]
        pod["status"] = {"phase": phase, "podIP": "10.1.0.7", "conditions": [ready], "containerStatuses": [status, *others]}
        self._objects.put(key, pod)

    def _settings_of(self, spec: Body, namespace: str) -> Body:
        sources = [one["configMapRef"]["name"] for one in spec["containers"][0].get("envFrom", ()) if "configMapRef" in one]
        maps = [self._objects.get(("configmaps", namespace, name), {}) for name in sources]
        return {name: value for one in maps for name, value in one.get("data", {}).items()}

    def _is_broken(self, pod: Body) -> bool:
        limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("cpu")
        return limit in self._objects.unfit_cpus or "broken" in json.loads(pod["metadata"].get("annotations", {}).get(STARTED_WITH, "{}"))

    def _pods_of(self, owner: Body) -> list[Body]:
        return [pod for pod in self._all_pods(owner) if not _ending(pod)]

    def _all_pods(self, owner: Body) -> list[Body]:
        return [one for key, one in self._objects.items() if key[0] == "pods" and _owner(one) == owner["metadata"]["uid"]]

    def _number(self) -> str:
        self._count += 1
        return f"{self._count:05d}"


def workload(kind: str = "Deployment", name: str = "app", replicas: int = 3, tag: str = "1", **spec: t.Any) -> Body:
    """A workload for tests, with a readiness probe and limits."""
    resources = {"limits": {"memory": "256Mi", "cpu": "500m"}, "requests": {"memory": "64Mi"}}
    probe = {"httpGet": {"path": "/ready", "port": 8080}}
    sources = [{"configMapRef": {"name": "app-settings"}}]
    container = {"name": "main", "image": f"registry.local/app:{tag}", "resources": resources, "readinessProbe": probe, "envFrom": sources}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2},
    }
    whole: Body = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    if kind != "DaemonSet":
        whole["replicas"] = replicas
    if kind != "Deployment":
        whole.setdefault("updateStrategy", {"type": "RollingUpdate"})
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": {"app": name}, "annotations": {}}, "spec": whole}


def autoscaler(name: str = "app", least: int = 2, most: int = 5) -> Body:
    """A HorizontalPodAutoscaler of the Deployment `name`."""
    target = {"kind": "Deployment", "name": name, "apiVersion": "apps/v1"}
    return {"metadata": {"name": f"{name}-scaler"}, "spec": {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most}}


def settings(**data: str) -> Body:
    """The ConfigMap of the workload, made an hour before its pods."""
    return {"metadata": {"name": "app-settings", "creationTimestamp": now(3600), "changed_at": now(3600)}, "data": data}


def _key(plural: str, one: Body) -> Key:
    return (plural, one["metadata"]["namespace"], one["metadata"]["name"])


def _owner(one: Body) -> str:
    return str((one["metadata"].get("ownerReferences") or [{}])[0].get("uid", ""))


def _reference(owner: Body) -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }


def _digest(template: Body) -> str:
    plain = copy.deepcopy(template)
    plain["metadata"].get("labels", {}).pop("pod-template-hash", None)
    plain["metadata"] = {name: value for name, value in plain["metadata"].items() if value}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:10]


def _ready(pod: Body) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return not _ending(pod) and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _ending(pod: Body) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
