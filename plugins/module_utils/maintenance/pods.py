# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which pods that are over can be removed. Decides from what the API server told, changes nothing."""

from __future__ import annotations

import typing as t
from datetime import datetime

from ..errors import BadInput
from ..monitoring.moments import moment_of
from ..readable import span

PHASES = ("Succeeded", "Failed")
_DONE_WITH = ("", "ReplicaSet", "DaemonSet", "Job")
"""Kinds of controllers that have no more use for a pod that is over; others, such as those of workflows, read from it what came of it."""
Object = t.Mapping[str, t.Any]


def finished_pods(
    pods: t.Sequence[Object], jobs: t.Sequence[Object], phases: t.Sequence[str], older_than_h: float, now: datetime
) -> t.Dict[str, t.List[t.Dict[str, t.Any]]]:
    """The pods to remove, and those that stay though they are over, with the reasons.

    A pod stays where something else removes it (a CronJob by its history limits, a Job by its time to live), where it is still counted
    (a Job that has not ended counts its failed pods), where its name may soon be another pod's (a StatefulSet's), and where it belongs to a
    controller of which nothing is known.

    Args:
        pods: Objects of the API server.
        jobs: The Jobs of the same namespace.
        phases: `Succeeded`, `Failed`.
        older_than_h: Pods that ended less than so many hours ago stay.
        now: The time.

    Raises:
        BadInput: Pods of another phase were asked for.
    """
    wrong = sorted(set(phases) - set(PHASES))
    if wrong:
        step = f"name only {' and '.join(PHASES)}"
        raise BadInput("Only pods that are over can be removed", why=f"phases are {', '.join(phases)}", next_step=step)
    by_uid = {str(job["metadata"].get("uid")): job for job in jobs}
    remove: t.List[t.Dict[str, t.Any]] = []
    kept: t.List[t.Dict[str, t.Any]] = []
    for pod in pods:
        status, about = pod.get("status") or {}, pod["metadata"]
        if status.get("phase") not in phases:
            continue
        ended = ended_at(pod)
        age_h = None if ended is None else (now - ended).total_seconds() / 3600
        why = _why_it_stays(pod, by_uid, age_h, older_than_h)
        told = {
            "namespace": str(about.get("namespace") or ""),
            "name": str(about["name"]),
            "uid": str(about.get("uid") or ""),
            "phase": str(status["phase"]),
            "age_h": None if age_h is None else round(age_h, 1),
            "reason": why or f"{status.get('reason') or status['phase']}, ended {span((age_h or 0) * 3600)} ago",
        }
        (kept if why else remove).append(told)
    return {"remove": sorted(remove, key=lambda one: one["name"]), "kept": sorted(kept, key=lambda one: one["name"])}


def owner_of(thing: Object) -> t.Optional[Object]:
    """The controller of an object; None for none."""
    references = thing["metadata"].get("ownerReferences") or ()
    return next((one for one in references if one.get("controller")), None)


def ended_at(pod: Object) -> t.Optional[datetime]:
    """When the last container of a pod ended, or the pod was refused or evicted."""
    status = pod.get("status") or {}
    containers = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    states = [((one.get("state") or {}).get("terminated") or {}).get("finishedAt") for one in containers]
    conditions = [one.get("lastTransitionTime") for one in status.get("conditions") or ()]
    for texts in (states, conditions, [status.get("startTime")], [pod["metadata"].get("creationTimestamp")]):
        moments = [found for found in map(moment_of, texts) if found is not None]
        if moments:
            return max(moments)
    return None


def _why_it_stays(pod: Object, jobs: t.Mapping[str, Object], age_h: t.Optional[float], older_than_h: float) -> str:
    about = pod["metadata"]
    if about.get("deletionTimestamp"):
        return "it is being removed"
    if "kubernetes.io/config.mirror" in (about.get("annotations") or {}):
        return "the kubelet of its node keeps it"
    owner = owner_of(pod)
    kind = str((owner or {}).get("kind") or "")
    if kind == "StatefulSet":
        return f"the StatefulSet {(owner or {}).get('name')} makes it again under the same name"
    if kind not in _DONE_WITH:
        return f"the {kind} {(owner or {}).get('name')} may still need it"
    if kind == "Job":
        why = _why_job_keeps_it(str((owner or {}).get("name")), jobs.get(str((owner or {}).get("uid"))))
        if why:
            return why
    if age_h is None:
        return "when it ended cannot be told"
    return "" if age_h >= older_than_h else f"it ended {span(age_h * 3600)} ago, and the limit is {older_than_h:g} h"


def _why_job_keeps_it(name: str, job: t.Optional[Object]) -> str:
    if job is None:
        return ""
    owner = owner_of(job)
    if owner is not None and owner.get("kind") == "CronJob":
        return f"the CronJob {owner.get('name')} removes it by its history limits"
    if (job.get("spec") or {}).get("ttlSecondsAfterFinished") is not None:
        return f"the Job {name} is removed by its own time to live"
    conditions = (job.get("status") or {}).get("conditions") or ()
    ended = any(one.get("type") in ("Complete", "Failed") and one.get("status") == "True" for one in conditions)
    return "" if ended else f"the Job {name} has not ended and counts its pods"
