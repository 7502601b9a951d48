# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What runs of a workload of Kubernetes, and how far its rollout is, judged from objects of its API alone."""

from __future__ import annotations

import datetime
import typing as t

from ...checks.kubernetes import counts_of
from ...checks.model import NoAnswer
from ...errors import BadInput
from ..state import RUNNING, Replica, State
from .values import number_of

Object = t.Mapping[str, t.Any]
KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
_HOPELESS = (
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)
"""Reasons for which a container waits that do not pass by themselves; a first failed pull (ErrImagePull) may."""
_CRASHES = 2
"""A container that has crashed so often, and is held back for it, is not taken for one that waits for a neighbour."""
_STEADY_S = 10
"""A pod that is not ready since so long after its container started was ready before: the kubelet notes the first state at once."""


class Rollout(t.NamedTuple):
    """How far a rollout is, as `kubectl rollout status` judges it.

    Attributes:
        finished: Whether the newest version runs in all replicas that are wanted, and no other.
        said: One sentence.
        stuck: Why the controller has given it up; empty when it has not.
    """

    finished: bool
    said: str
    stuck: str = ""


def part(document: t.Any, *path: str) -> t.Any:
    """The member at `path`; an empty mapping where there is none."""
    for name in path:
        document = document.get(name) if isinstance(document, t.Mapping) else None
    return {} if document is None else document


def name_of(document: Object) -> str:
    """Kind, namespace and name, for messages: `deployment prod/app`."""
    namespace = part(document, "metadata", "namespace") or "default"
    return f"{str(document.get('kind', 'workload')).lower()} {namespace}/{part(document, 'metadata', 'name') or '?'}"


def replicas_wanted(workload: Object) -> int:
    """How many replicas its specification asks for; of a DaemonSet, how many nodes there are for it.

    Raises:
        BadInput: It is no Deployment, StatefulSet or DaemonSet.
    """
    try:
        return counts_of(workload).wanted
    except NoAnswer as error:
        raise BadInput(
            f"This is no Deployment, StatefulSet or DaemonSet: {workload.get('kind') or 'an object without a kind'}",
            why=str(error),
            next_step="correct service_kube_workload",
        ) from None


def rollout_of(workload: Object) -> Rollout:
    """How far the rollout of a workload is.

    Raises:
        BadInput: It is no workload.
    """
    wanted = replicas_wanted(workload)
    counts = counts_of(workload)
    if not counts.observed:
        return Rollout(False, "its controller has not yet seen the change")
    status = part(workload, "status")
    if workload.get("kind") == "DaemonSet":
        return _of_daemon_set(workload, wanted, counts.updated)
    if workload.get("kind") == "StatefulSet":
        return _of_stateful_set(workload, wanted)
    updated, all_of_them, available = (int(status.get(name) or 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    if counts.stuck:
        return Rollout(False, f"{updated} of {wanted} replicas are of the new version", counts.stuck)
    if updated < wanted:
        return Rollout(False, f"{updated} of {wanted} replicas are of the new version")
    if all_of_them > updated:
        return Rollout(False, f"{all_of_them - updated} old replicas are still there")
    if available < updated:
        return Rollout(False, f"{available} of {updated} replicas are available")
    return Rollout(True, f"all {wanted} replicas are of the newest version and available")


def is_observed(workload: Object) -> bool:
    """Whether its controller has seen the newest change."""
    return counts_of(workload).observed


def _of_daemon_set(workload: Object, wanted: int, updated: int) -> Rollout:
    available = int(part(workload, "status", "numberAvailable") or 0)
    if updated < wanted:
        return Rollout(False, f"{updated} of {wanted} pods are of the new version")
    if available < wanted:
        return Rollout(False, f"{available} of {wanted} pods are available")
    return Rollout(True, f"all {wanted} pods are of the newest version and available")


def _of_stateful_set(workload: Object, wanted: int) -> Rollout:
    status = part(workload, "status")
    updated, ready, all_of_them = (int(status.get(name) or 0) for name in ("updatedReplicas", "readyReplicas", "replicas"))
    if ready < wanted:
        return Rollout(False, f"{ready} of {wanted} replicas are ready")
    if all_of_them > wanted:
        return Rollout(False, f"{all_of_them - wanted} replicas too many are still there")
    strategy = part(workload, "spec", "updateStrategy")
    if strategy.get("type") == "OnDelete":
        return Rollout(True, f"{ready} of {wanted} replicas are ready; old ones stay until they are deleted")
    kept = int(part(strategy, "rollingUpdate").get("partition") or 0)
    if updated < wanted - kept:
        return Rollout(False, f"{updated} of {wanted - kept} replicas are of the new version")
    if not kept and wanted and status.get("updateRevision") != status.get("currentRevision"):
        return Rollout(False, f"{updated} replicas are of the new version, which is not yet the current one")
    return Rollout(
        True, f"all {wanted} replicas are ready" + (f", {kept} of them kept at the old version" if kept else " and of the newest version")
    )


def state_of(workload: Object, pods: t.Iterable[Object], container: str = "") -> State:
    """What runs of a workload. Pods that are being deleted, or have ended for good (evicted), are not among its replicas.

    Args:
        workload: The Deployment, StatefulSet or DaemonSet.
        pods: The pods that its selector finds.
        container: The container that matters; by default the one that `kubectl logs` takes.

    Raises:
        BadInput: `workload` is none.
    """
    replicas = sorted((replica_of(pod, container) for pod in pods if is_present(pod)), key=lambda replica: replica.name)
    return State(wanted=replicas_wanted(workload), replicas=tuple(replicas))


def is_present(pod: Object) -> bool:
    """Whether a pod counts as a replica: it has not ended, and nobody deletes it."""
    return not is_ending(pod) and part(pod, "status", "phase") not in ("Succeeded", "Failed")


def is_ending(pod: Object) -> bool:
    """Whether a pod is being deleted."""
    return bool(part(pod, "metadata", "deletionTimestamp"))


def is_ready(pod: Object) -> bool:
    """Whether a pod says that it is ready."""
    return _readiness(pod).get("status") == "True"


def _readiness(pod: Object) -> Object:
    conditions = part(pod, "status", "conditions")
    known = conditions if isinstance(conditions, (list, tuple)) else ()
    return next((one for one in known if isinstance(one, t.Mapping) and one.get("type") == "Ready"), {})


def _unready_since(pod: Object, started_at: str) -> str:
    """The moment at which a pod that had been ready stopped being so; empty where it has not been ready since its container started."""
    since = str(_readiness(pod).get("lastTransitionTime") or "")
    try:
        after_s = (_moment(since) - _moment(started_at)).total_seconds()
    except ValueError:
        return ""
    return since if after_s >= _STEADY_S else ""


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


def container_name(pod_spec: Object, annotations: t.Any, wanted: str = "") -> str:
    """The container that is meant: `wanted`, the one that the annotation of kubectl names, or the first."""
    names = [str(one.get("name")) for one in pod_spec.get("containers") or ()]
    default = (annotations if isinstance(annotations, t.Mapping) else {}).get("kubectl.kubernetes.io/default-container")
    return wanted or (default if default in names else (names or [""])[0])


def replica_of(pod: Object, container: str = "") -> Replica:
    """A pod as a replica."""
    name = container_name(part(pod, "spec"), part(pod, "metadata", "annotations"), container)
    spec = _named(part(pod, "spec", "containers"), name)
    status = _named(part(pod, "status", "containerStatuses"), name)
    now, last = part(status, "state"), part(status, "lastState", "terminated")
    runs = "running" in now
    ended = part(now, "terminated") or ({} if runs else last)
    ready, started_at = is_ready(pod), str(part(now, "running", "startedAt") or "")
    unready_since = "" if ready else _unready_since(pod, started_at)
    lost = f"it has not been ready since {unready_since}: {_readiness(pod).get('message') or 'no reason is given'}" if unready_since else ""
    limits = part(spec, "resources", "limits")
    return Replica(
        name=str(part(pod, "metadata", "name") or "?"),
        state=RUNNING if runs else _state(pod, now),
        health=_health(part(pod, "spec"), status, runs, ready, bool(unready_since)),
        image=str(status.get("image") or spec.get("image") or ""),
        started_at=started_at,
        restarts=int(status.get("restartCount") or 0),
        exit_status=None if runs else ended.get("exitCode"),
        address=str(part(pod, "status", "podIP") or ""),
        limits={"memory_bytes": number_of(limits.get("memory")), "cpus": number_of(limits.get("cpu"))},
        reason="" if ready else trouble_of(pod).said or lost or _last_end(last),
    )


def _health(pod_spec: Object, status: Object, runs: bool, ready: bool, was_ready: bool) -> str:
    if not runs:
        return ""
    if ready:
        return "healthy" if any("readinessProbe" in one for one in pod_spec.get("containers") or ()) else ""
    return "unhealthy" if was_ready or (status.get("started") and int(status.get("restartCount") or 0)) else "starting"


def _state(pod: Object, now: Object) -> str:
    return str(part(now, "waiting", "reason") or part(now, "terminated", "reason") or part(pod, "status", "phase") or "Unknown")


def _last_end(last: Object) -> str:
    return f"it ended before with {last.get('reason', 'an error')} ({last.get('exitCode', '?')})" if last else ""


def _named(items: t.Any, name: str) -> Object:
    for one in items or ():
        if one.get("name") == name:
            return t.cast("Object", one)
    return {}


class Trouble(t.NamedTuple):
    """Why a pod is not well.

    Attributes:
        said: In the words of Kubernetes; empty when nothing is wrong.
        hopeless: Whether it does not pass by itself.
        container: The container in question; empty when it is the pod as a whole.
        crashed: Whether the container did run, so that its previous log tells more.
    """

    said: str = ""
    hopeless: bool = False
    container: str = ""
    crashed: bool = False


def trouble_of(pod: Object) -> Trouble:
    """Why a pod is not well, the worst that is found."""
    found: t.List[Trouble] = []
    for status in [*(part(pod, "status", "initContainerStatuses") or ()), *(part(pod, "status", "containerStatuses") or ())]:
        waiting, last = part(status, "state", "waiting"), part(status, "lastState", "terminated")
        reason = str(waiting.get("reason") or "")
        if not reason or reason in ("ContainerCreating", "PodInitializing"):
            continue
        ended = f"; it ended with {last.get('reason', 'an error')} ({last.get('exitCode', '?')})" if last else ""
        crashes = int(status.get("restartCount") or 0)
        hopeless = reason in _HOPELESS or (reason == "CrashLoopBackOff" and crashes >= _CRASHES)
        said = f"{reason}: {waiting['message']}" if waiting.get("message") else reason
        found.append(Trouble(said[:400] + ended, hopeless, str(status.get("name") or ""), bool(last)))
    for condition in part(pod, "status", "conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            found.append(Trouble(f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"[:400]))
    return max(found, key=lambda one: one.hopeless, default=Trouble())


def selector_of(workload: Object) -> str:
    """The label selector of a workload's pods, as requests write it."""
    selector = part(workload, "spec", "selector")
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        key, operator, values = one.get("key"), one.get("operator"), one.get("values") or ()
        if operator in ("Exists", "DoesNotExist"):
            terms.append(key if operator == "Exists" else f"!{key}")
        else:
            terms.append(f"{key} {str(operator).lower()} ({','.join(values)})")
    return ",".join(terms)
