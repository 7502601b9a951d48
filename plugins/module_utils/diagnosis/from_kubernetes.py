# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What there is to see of a workload of Kubernetes, from the objects that others asked its API for. No calls are made here."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime

from ..service.kubernetes.state import is_present, is_ready
from .compose_project import items, part
from .model import KUBERNETES, MOST_OF_TEXT, RESTARTING, RUNNING, Condition, Observation, Replica, crashed_lately

_Object = t.Mapping[str, t.Any]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
_MOST_EVENTS = 100
_QUIET = ("ContainerCreating", "PodInitializing")
_LETTER = "[bcdfghjklmnpqrstvwxz2456789]"
"""Of which Kubernetes makes names: without vowels, so that no words come of it (SafeEncodeString of apimachinery)."""
_OF_WORKLOAD = re.compile(rf"(?:-{_LETTER}{{7,10}})?-{_LETTER}{{5}}|-\d+")
"""What a pod's name has behind that of its workload: the hash of its template, if any, and five letters; or its number in a StatefulSet."""


def observe(
    service: str,
    objects: t.Iterable[t.Any],
    logs: t.Optional[t.Mapping[str, str]] = None,
    *,
    wanted: t.Optional[int] = None,
    log_lines: int = 40,
    now: t.Optional[datetime] = None,
) -> Observation:
    """The observation that objects make.

    Args:
        service: Name of the workload, for sentences.
        objects: The workload, its pods, ReplicaSets, claims, the events of the namespace, the nodes; more is passed over.
        logs: The last lines by name of the pod.
        wanted: Replicas that shall run; by default as the workload says.
        log_lines: How many of the last lines count.
        now: The time (UTC); by default that of this host.
    """
    known = [one for one in objects if isinstance(one, t.Mapping)]
    seen = Observation(KUBERNETES, service, wanted)
    lines = {pod: [line[:MOST_OF_TEXT] for line in text.splitlines()[-log_lines:]] for pod, text in (logs or {}).items()}
    kinds = {kind: [one for one in known if one.get("kind") == kind] for kind in {str(one.get("kind")) for one in known}}
    workloads = [one for kind in WORKLOADS for one in kinds.get(kind, [])]
    for workload in workloads:
        if seen.wanted is None:
            seen.wanted = _wanted(workload)
        _conditions(seen, workload)
        if part(workload, "spec").get("paused") is True:
            seen.conditions.append(Condition(str(workload.get("kind")), name_of(workload), "Paused", "True", "", ""))
    if not workloads:
        seen.conditions.append(Condition("Workload", service, "Exists", "False", "NotFound", ""))
    for kind in ("ReplicaSet", "Pod"):
        for one in kinds.get(kind, []):
            _conditions(seen, one)
    for pod in kinds.get("Pod", []):
        if is_present(pod):
            seen.replicas.append(_replica(pod, lines.get(name_of(pod), ()), now))
    seen.replicas.sort(key=lambda one: one.name)
    for claim in kinds.get("PersistentVolumeClaim", []):
        phase = str(part(claim, "status").get("phase") or "")
        seen.conditions.append(Condition("PersistentVolumeClaim", name_of(claim), "Phase", phase, "", ""))
    for node in kinds.get("Node", []):
        _conditions(seen, node)
    names = {name_of(one) for one in known if one.get("kind") != "Event"}
    _events(seen, kinds.get("Event", []), names, [name_of(one) for one in workloads])
    seen.looked_at += [f"{len(found)} {kind}" for kind, found in sorted(kinds.items())] + (["the last lines of the logs"] if lines else [])
    return seen


def name_of(document: _Object) -> str:
    """Its name."""
    return str(part(document, "metadata").get("name") or "")


def _wanted(workload: _Object) -> t.Optional[int]:
    spec, status = part(workload, "spec"), part(workload, "status")
    number = status.get("desiredNumberScheduled") if workload.get("kind") == "DaemonSet" else spec.get("replicas", 1)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _conditions(seen: Observation, document: _Object) -> None:
    kind, name = str(document.get("kind")), name_of(document)
    status = part(document, "status")
    for one in items(status, "conditions"):
        if isinstance(one, t.Mapping):
            words = [str(one.get(key) or "")[:MOST_OF_TEXT] for key in ("type", "status", "reason", "message")]
            seen.conditions.append(Condition(kind, name, *words))
    if kind == "Pod" and status.get("reason"):  # Evicted, NodeLost
        words = [str(status.get(key) or "")[:MOST_OF_TEXT] for key in ("phase", "reason", "message")]
        seen.conditions.append(Condition(kind, name, "Phase", *words))


def _events(seen: Observation, events: t.Sequence[_Object], names: t.Set[str], workloads: t.Sequence[str]) -> None:
    newest = sorted(events, key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))[-_MOST_EVENTS:]
    for event in newest:
        about = part(event, "involvedObject") or part(event, "regarding")
        name = str(about.get("name") or "")
        ours = not names or name in names or any(name.startswith(one) and _OF_WORKLOAD.fullmatch(name[len(one) :]) for one in workloads)
        if event.get("type") == "Warning" and ours:
            said = str(event.get("message") or event.get("note") or "")[:MOST_OF_TEXT]
            seen.conditions.append(Condition(str(about.get("kind") or ""), name, "Event", "Warning", str(event.get("reason") or ""), said))


class Container(t.NamedTuple):
    """A container of a pod as its status has it; `is_first` for one that must end well before the others start."""

    status: _Object
    is_first: bool

    @property
    def last_end(self) -> _Object:
        """How it ended last; empty where it never did."""
        return _last_end(self.status)


def worst_of(pod: _Object) -> Container:
    """The container that explains most why a pod is not well: an init container that has not ended well before all others."""
    status = part(pod, "status")
    first = [one for one in items(status, "initContainerStatuses") if isinstance(one, t.Mapping) and not _ended_well(one)]
    main = [one for one in items(status, "containerStatuses") if isinstance(one, t.Mapping)]
    worst = max([*first, *main], key=_badness, default={})
    return Container(worst, any(one is worst for one in first))


def _replica(pod: _Object, log: t.Sequence[str], now: t.Optional[datetime]) -> Replica:
    status, worst = part(pod, "status"), worst_of(pod)
    main = [one for one in items(status, "containerStatuses") if isinstance(one, t.Mapping)]
    state, last = part(worst.status, "state"), worst.last_end
    waiting = part(state, "waiting")
    phase, reason = str(status.get("phase") or "Unknown"), str(waiting.get("reason") or part(state, "terminated").get("reason") or "")
    runs = phase == "Running" and bool(main) and all("running" in part(one, "state") for one in main)
    crashed = any(crashed_lately(str(part(part(one, "lastState"), "terminated").get("finishedAt") or ""), now) for one in main)
    exit_status, restarts = last.get("exitCode"), worst.status.get("restartCount")
    return Replica(
        name=name_of(pod),
        state=(RESTARTING if crashed else RUNNING) if runs else reason or phase,
        health="" if not runs else "healthy" if is_ready(pod) else "unhealthy",
        exit_status=exit_status if isinstance(exit_status, int) and not isinstance(exit_status, bool) else None,
        out_of_memory=last.get("reason") == "OOMKilled",
        restarts=restarts if isinstance(restarts, int) and not isinstance(restarts, bool) else 0,
        started=bool(last) or runs,
        reason=f"Init:{reason}" if worst.is_first and reason else reason,
        error=str(waiting.get("message") or last.get("message") or status.get("message") or "")[:MOST_OF_TEXT],
        log=tuple(log),
    )


def _ended_well(container: _Object) -> bool:
    return part(part(container, "state"), "terminated").get("exitCode") == 0


def _badness(container: _Object) -> int:
    state = part(container, "state")
    reason = str(part(state, "waiting").get("reason") or "")
    if reason and reason not in _QUIET:
        return 4
    if "terminated" in state:
        return 3
    if _last_end(container):
        return 2
    return 1 if reason or container.get("ready") is False else 0


def _last_end(container: _Object) -> _Object:
    return part(part(container, "state"), "terminated") or part(part(container, "lastState"), "terminated")


__all__ = ["WORKLOADS", "observe", "worst_of"]
