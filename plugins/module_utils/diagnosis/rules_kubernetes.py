# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Workloads of Kubernetes: what its objects and events say."""

from __future__ import annotations

import re
import typing as t

from .model import CAUSE, KUBERNETES, LIKELY, NOTE, SYMPTOM, Clue, Condition, Observation, Rule, some
from .phrases import excerpt, said

_PRESSURE = {"MemoryPressure": "memory", "DiskPressure": "disk", "PIDPressure": "process ids"}
_MISSING = (
    (r"couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) (?:[^/\s]+/)?(?P<name>[\w.-]+)", "the {kind} {name} has no key {key}"),
    (r"references non-existent (?P<kind>config|secret) key: (?P<name>\S+)", "the {kind} that is mounted has no key {name}"),
    (r'(?P<kind>configmap|secret)s? "(?P<name>[^"]+)" not found', "the {kind} {name} does not exist"),
)
_EVENT = ("event", "failure")


def _conditions(seen: Observation, kind: str, type_: str) -> t.List[Condition]:
    return [one for one in seen.conditions if (one.kind, one.type) == (kind, type_)]


def workload_missing(seen: Observation) -> t.Iterator[Clue]:
    for one in _conditions(seen, "Workload", "Exists"):
        yield Clue(f"there is no workload {one.name}", "check service_kube_workload, the namespace and the context")


def config_missing(seen: Observation) -> t.Iterator[Clue]:
    if seen.is_well:
        return
    texts = [one.error for one in seen.replicas if one.reason.endswith("CreateContainerConfigError")]
    texts += [one.message for one in seen.conditions if one.type == "Event" and one.reason in ("Failed", "FailedMount")]
    for text in texts:
        for pattern, what in _MISSING:
            match = re.search(pattern, text, re.IGNORECASE)
            if match:
                words = match.groupdict("")
                kind = {"configmap": "ConfigMap", "config": "ConfigMap", "secret": "Secret"}.get(words["kind"].lower(), words["kind"])
                found = what.replace("{kind}", kind).replace("{name}", words["name"]).replace("{key}", words.get("key", ""))
                yield Clue(found, "create it, or correct its name in the workload; then: kubectl rollout restart", (excerpt(text, match),))
                return


def config_error(seen: Observation) -> t.Iterator[Clue]:
    found = [one for one in seen.unwell if one.reason.endswith(("CreateContainerConfigError", "CreateContainerError", "RunContainerError"))]
    if found and not list(config_missing(seen)):
        yield Clue(
            f"{some(one.name for one in found)} cannot be created ({found[0].reason}): {found[0].error[-200:] or 'no reason is given'}",
            "correct what it names in the workload",
        )


def unschedulable(seen: Observation) -> t.Iterator[Clue]:
    for one in _conditions(seen, "Pod", "PodScheduled"):
        if one.status != "False":
            continue
        lacks = sorted(set(re.findall(r"insufficient ([\w./-]+)", one.message, re.IGNORECASE)))
        if lacks:
            what = f"no node has enough {some(lacks)} for {one.name}"
            step = "ask for less (procedure service_limits), scale other workloads down, or add nodes"
        elif "persistentvolumeclaim" in one.message.lower():
            what, step = f"{one.name} waits for its volume claims", "see the claims: kubectl describe pvc"
        else:
            what = f"no node takes {one.name} (taints, affinity, selector)"
            step = "compare nodeSelector, affinity and tolerations with the nodes"
        yield Clue(what, step, (one.message,) if one.message else ())
        return


def crash_loop(seen: Observation) -> t.Iterator[Clue]:
    found = [one for one in seen.unwell if one.reason.endswith("CrashLoopBackOff")]
    if found:
        status = f", last with exit status {found[0].exit_status}" if found[0].exit_status is not None else ""
        init = "an init container of " if found[0].reason.startswith("Init:") else ""
        yield Clue(
            f"{init}{some(one.name for one in found)} ends again and again ({found[0].restarts} restarts{status})",
            "read the lines before its end: kubectl logs --previous",
            (f"its last line: {found[0].log[-1]}",) if found[0].log else (),
        )


def image_pull(seen: Observation) -> t.Iterator[Clue]:
    found = [one for one in seen.unwell if one.reason.endswith(("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull"))]
    if found:
        never = found[0].reason.endswith("NeverPull")
        yield Clue(
            f"the image of {some(one.name for one in found)} "
            + ("is not on the node and must not be pulled" if never else "cannot be pulled"),
            "check the name and the tag of the image, and imagePullSecrets",
            (found[0].error,) if found[0].error else (),
        )


def not_ready(seen: Observation) -> t.Iterator[Clue]:
    said_by = [one for one in seen.conditions if one.reason == "Unhealthy" and "readiness" in one.message.lower()]
    found = [one for one in seen.unwell if one.health == "unhealthy"]
    if found and seen.runtime == KUBERNETES:
        yield Clue(
            f"{some(one.name for one in found)} runs and is not ready" + (f": {said_by[-1].message[:200]}" if said_by else ""),
            "ask its readiness probe by hand in the pod (procedure service_exec), and read its log",
        )


def liveness(seen: Observation) -> t.Iterator[Clue]:
    said_by = [one for one in seen.conditions if one.reason == "Unhealthy" and "liveness" in one.message.lower()]
    if said_by and not seen.is_well:
        yield Clue(
            f"Kubernetes ends {said_by[-1].name}, because its liveness probe fails: {said_by[-1].message[:200]}",
            "give it time to start (startupProbe), and see what it waits for",
        )


def claim_pending(seen: Observation) -> t.Iterator[Clue]:
    names = [one.name for one in _conditions(seen, "PersistentVolumeClaim", "Phase") if one.status in ("Pending", "Lost")]
    if names:
        yield Clue(f"the volume claim {some(names)} has no volume", f"see why: kubectl describe pvc {names[0]} (storage class, size, zone)")


def progress_deadline(seen: Observation) -> t.Iterator[Clue]:
    for one in _conditions(seen, "Deployment", "Progressing"):
        if one.status == "False":
            yield Clue(
                f"the rollout of {one.name} is stuck: its new pods did not become ready within its deadline",
                "mend the cause, or go back: kubectl rollout undo",
                (one.message,) if one.message else (),
            )


def evicted(seen: Observation) -> t.Iterator[Clue]:
    found = [one for one in seen.conditions if one.reason == "Evicted"]
    if found:
        yield Clue(
            f"{some(dict.fromkeys(one.name for one in found))} was evicted: {found[-1].message[:200] or 'its node ran out of something'}",
            "free the node, and set requests that are what the pod needs",
            severity=NOTE if seen.is_well else "",
        )


def node_pressure(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.conditions:
        if one.kind == "Node" and one.type in _PRESSURE and one.status == "True":
            yield Clue(
                f"the node {one.name} is short of {_PRESSURE[one.type]}",
                f"see kubectl describe node {one.name}",
                severity=NOTE if seen.is_well else "",
            )


def node_not_ready(seen: Observation) -> t.Iterator[Clue]:
    for one in _conditions(seen, "Node", "Ready"):
        if one.status != "True":
            yield Clue(
                f"the node {one.name} is not ready ({one.reason or one.status})",
                f"see kubectl describe node {one.name}",
                (one.message,) if one.message else (),
                NOTE if seen.is_well else "",
            )


def rollout_paused(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.conditions:
        if one.type == "Paused":
            yield Clue(f"the rollout of {one.name} is paused", f"let it go on: kubectl rollout resume {one.kind.lower()}/{one.name}")


RULES = (
    said(
        "cluster_refuses",
        CAUSE,
        "The API server refuses the credentials, or does not allow to look",
        r"\(401\)|\(403\)|Unauthorized|is forbidden: User|expired",
        "the API server of Kubernetes refuses these credentials, so nobody knows what runs: {said}",
        "log in to the cluster again, and check the rights of the account: kubectl auth can-i get pods",
        sources=(KUBERNETES,),
    ),
    said(
        "cluster_unreachable",
        CAUSE,
        "The API server does not answer, or its address is not known",
        r"does not answer|no answer in time|is missing where|kubeconfig|timed out|refused",
        "the API server of Kubernetes cannot be asked, so nobody knows what runs: {said}",
        "check that the cluster runs, the kubeconfig, and the context",
        sources=(KUBERNETES,),
        unless=lambda seen: any("(401)" in one.text or "(403)" in one.text for one in seen.messages),
    ),
    Rule("workload_missing", CAUSE, "There is no such workload", workload_missing),
    said(
        "quota_exceeded",
        CAUSE,
        "A quota of the namespace is used up",
        r"exceeded quota: ([\w.-]+)(?:, requested: ([^;]{1,120}?), used)?",
        "the quota {0} of the namespace is used up",
        "ask for less (procedure service_limits, service_scale), or have the quota raised",
        sources=_EVENT,
    ),
    said(
        "limit_range",
        CAUSE,
        "A limit range of the namespace refuses what the pod asks for",
        r"(?:maximum|minimum) (cpu|memory|ephemeral-storage) usage per (?:Container|Pod) is",
        "a limit range of the namespace refuses the {0} that the pod asks for",
        "ask for what it allows: kubectl describe limitrange",
        sources=_EVENT,
    ),
    said(
        "webhook_refused",
        CAUSE,
        "An admission webhook refuses the change, or cannot be asked",
        r'(?:admission webhook "([^"]+)" denied the request|failed calling webhook "([^"]+)")',
        "the admission webhook {0}{1} refuses the change, or cannot be asked",
        "read what it says, and ask those who run it",
        sources=_EVENT,
    ),
    said(
        "service_account_missing",
        CAUSE,
        "The pod's service account does not exist",
        r'serviceaccount "([^"]+)" not found|error looking up service account \S+?/([\w.-]+)',
        "the service account {0}{1} does not exist",
        "create it, or correct serviceAccountName",
        sources=_EVENT,
    ),
    Rule("config_missing", CAUSE, "A ConfigMap or Secret, or a key of it, does not exist", config_missing),
    Rule("config_error", CAUSE, "A container cannot be created, for a reason that no other rule knows", config_error),
    Rule("image_pull", CAUSE, "The image of a pod cannot be pulled (ImagePullBackOff)", image_pull),
    Rule("unschedulable", CAUSE, "No node takes the pod (insufficient cpu or memory, taints, affinity, claims)", unschedulable),
    Rule("claim_pending", CAUSE, "A volume claim has no volume", claim_pending),
    said(
        "volume_not_mounted",
        LIKELY,
        "A volume could not be mounted",
        r"(?:MountVolume\.\w+ failed for volume|Unable to attach or mount volumes: unmounted volumes=)\s*\"?\[?([\w.-]+)",
        "the volume {0} could not be mounted",
        "see kubectl describe pod, and the node and the storage behind it",
        sources=_EVENT,
    ),
    Rule("node_not_ready", CAUSE, "A node is not ready", node_not_ready),
    Rule("node_pressure", LIKELY, "A node is short of memory, disk or process ids", node_pressure),
    Rule("evicted", LIKELY, "A pod was evicted from its node", evicted),
    Rule("rollout_paused", CAUSE, "The rollout is paused", rollout_paused),
    Rule("liveness", LIKELY, "The liveness probe fails, and Kubernetes ends the pod", liveness),
    Rule("not_ready", LIKELY, "A pod runs and is not ready, with what its readiness probe says", not_ready),
    Rule("crash_loop", SYMPTOM, "A pod ends again and again (CrashLoopBackOff)", crash_loop),
    Rule("progress_deadline", SYMPTOM, "The rollout did not get on within its deadline", progress_deadline),
)
