# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a verb will do to a workload of Kubernetes: decided from what there is and what is wanted, without asking anybody."""

from __future__ import annotations

import re
import typing as t

from ...errors import BadInput
from ..sizes import is_none
from .api import MERGE, STRATEGIC
from .state import Object, container_name, is_present, name_of, part, replicas_wanted
from .values import cpu_quantity, memory_quantity, number_of

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
REMEMBERED = "sre.runbooks/replicas"
"""Annotation of a stopped workload: how many replicas it had."""
CONFIGURATION = "sre.runbooks/configuration"
"""Annotation of the pods: with which ConfigMap and Secret they were started."""
_NOT_HERE = ("memory_swap", "memory_high")
"""Limits of other runtimes, which Kubernetes does not have."""
_NO_REPLICAS = "a DaemonSet has one pod on each node and no number of replicas"


class Call(t.NamedTuple):
    """A request that changes something.

    Attributes:
        target: `workload`, `scale`, `autoscaler` or `pod`; `new_autoscaler` for one that is made, `made_autoscaler` for the way back
            from that; `template` for the way back from a change of the pods' template, which is known only when that is made.
        name: Name of the pod or autoscaler.
        body: What is sent; nothing for a pod, which is deleted; of a made autoscaler the configuration by which it is known again.
        content_type: Kind of the patch.
        manager: Under which name the change is recorded, as kubectl does it.
    """

    target: str
    body: t.Any = None
    content_type: str = ""
    name: str = ""
    manager: str = ""


TEMPLATE_BACK = Call("template")


class Step(t.NamedTuple):
    """One step of a verb.

    Attributes:
        said: What is done, as a sentence without a full stop.
        calls: The requests.
        back: The requests that bring the state before it back; empty where there is no way back.
        until: What is waited for then: `rollout`, `gone` (no pod is left), `replaced` (the deleted pods have successors) or nothing.
        early: As `back`, of use only as long as all pods from before are there: others would start with what is wrong.
    """

    said: str
    calls: t.Tuple[Call, ...]
    back: t.Tuple[Call, ...] = ()
    until: str = ""
    early: t.Tuple[Call, ...] = ()


class Plan(t.NamedTuple):
    """The steps of a verb; none when all is as wanted.

    Attributes:
        steps: What is done, in order.
        notes: What the reader should know besides.
        wanted: How many replicas are wanted in the end; None where that does not change.
    """

    steps: t.Tuple[Step, ...] = ()
    notes: t.Tuple[str, ...] = ()
    wanted: t.Optional[int] = None


def restarted(workload: Object, way: str, pods: t.Sequence[Object], pod: str, now: str) -> Plan:
    """Restart the replicas in one of the ways of the option `restart_way`.

    Raises:
        BadInput: This workload cannot be restarted so.
    """
    if way in ("down_and_up", "to_zero_and_back"):
        return _to_zero_and_back(workload)
    if way == "one":
        there = [part(one, "metadata", "name") for one in pods if is_present(one)]
        if pod not in there:
            raise BadInput(
                f"There is no pod {pod!r} of {name_of(workload)}" if pod else "It is not said which pod is to be restarted",
                why=f"it has {', '.join(there) or 'none'}",
                next_step="name one of these: -e service_restart_replica=<pod>",
            )
        return Plan((Step(f"Delete the pod {pod}, so that another takes its place", (Call("pod", name=pod),), until="replaced"),))
    if way == "all":
        calls = tuple(Call("pod", name=str(part(one, "metadata", "name"))) for one in pods if is_present(one))
        notes = ("All pods are deleted at once: until the first of their successors is ready, nothing serves.",)
        return (
            Plan((Step(f"Delete all {len(calls)} pods at once, so that others take their places", calls, until="replaced"),), notes)
            if calls
            else Plan()
        )
    return Plan((_rollout_of_annotations(workload, "Restart the pods, as many at a time as its strategy allows", {RESTARTED_AT: now}),))


def _rollout_of_annotations(workload: Object, said: str, annotations: t.Mapping[str, str]) -> Step:
    require_rolls_out(workload)
    body = {"spec": {"template": {"metadata": {"annotations": dict(annotations)}}}}
    return Step(said, (Call("workload", body, STRATEGIC, manager="kubectl-rollout"),), (TEMPLATE_BACK,), "rollout")


def require_rolls_out(workload: Object) -> None:
    """Raise BadInput for a workload that would not replace its pods by others of a new template."""
    strategy = part(workload, "spec", "updateStrategy" if workload.get("kind") != "Deployment" else "strategy")
    if strategy.get("type") == "OnDelete":
        raise BadInput(
            f"{name_of(workload)} does not replace its pods by itself",
            why="its updateStrategy is OnDelete",
            next_step="to restart, delete one pod after the other: -e service_restart_way=one -e service_restart_replica=<pod>",
        )
    if part(workload, "spec").get("paused") is True:
        raise BadInput(
            f"{name_of(workload)} is paused", why="a paused Deployment rolls out nothing", next_step="kubectl rollout resume, then again"
        )


def remembered(workload: Object) -> t.Optional[int]:
    """How many replicas a stopped workload had, as its annotation says; None when it does not."""
    found = part(workload, "metadata", "annotations").get(REMEMBERED)
    return int(found) if isinstance(found, str) and re.fullmatch("[1-9][0-9]{0,8}", found) else None


def numbered(replicas: int, remember: t.Optional[int]) -> Call:
    """The request for a number of replicas, with the number that is remembered meanwhile; None for none."""
    annotations = {REMEMBERED: None if remember is None else str(remember)}
    return Call("workload", {"metadata": {"annotations": annotations}, "spec": {"replicas": replicas}}, MERGE)


def has_replicas(workload: Object) -> None:
    """Raise BadInput for a DaemonSet."""
    if workload.get("kind") == "DaemonSet":
        raise BadInput(f"{name_of(workload)} cannot be scaled", why=_NO_REPLICAS, next_step="restart it instead, or delete it")


def stopped(workload: Object) -> Plan:
    """To no replica, the number remembered first; raises BadInput for a DaemonSet."""
    has_replicas(workload)
    wanted = replicas_wanted(workload)
    if wanted == 0:
        return Plan()
    said = f"Remember that {wanted} replicas ran (annotation {REMEMBERED}), and let none run"
    back = (numbered(wanted, remembered(workload)),)
    return Plan((Step(said, (numbered(0, wanted),), back, "gone"),), wanted=0)


def started(workload: Object, normal: t.Optional[int]) -> Plan:
    """Back to the remembered number, or the normal one, where none runs; raises BadInput for a DaemonSet."""
    if workload.get("kind") == "DaemonSet" or replicas_wanted(workload) > 0:
        return Plan()
    number = remembered(workload) or normal or 1
    whose = "as many as ran before it was stopped" if remembered(workload) else "the normal number" if normal else "as nobody says how many"
    said = f"Let {number} {'replica' if number == 1 else 'replicas'} run, {whose}"
    back = (numbered(0, remembered(workload)),)
    return Plan((Step(said, (numbered(number, None),), back, "rollout"),), wanted=number)


def _to_zero_and_back(workload: Object) -> Plan:
    has_replicas(workload)
    wanted = replicas_wanted(workload)
    if wanted == 0:
        if remembered(workload) is None:
            return Plan(notes=("No replica is wanted, so none is restarted.",))
        return started(workload, None)
    down = stopped(workload).steps
    up = Step(f"Let {wanted} replicas run again", (numbered(wanted, None),), (), "rollout")
    return Plan((*down, up), ("Between the two nothing serves.",))


def limited(workload: Object, container: str, wanted: t.Mapping[str, t.Any]) -> Plan:
    """Other resources for a container; null in the patch takes one away.

    Raises:
        BadInput: They make no sense.
    """
    template = part(workload, "spec", "template")
    name = container_name(part(template, "spec"), part(template, "metadata", "annotations"), container)
    spec = next((one for one in part(template, "spec", "containers") or () if one.get("name") == name), None)
    if spec is None:
        names = ", ".join(str(one.get("name")) for one in part(template, "spec", "containers") or ())
        raise BadInput(f"{name_of(workload)} has no container {name!r}", why=f"it has {names}", next_step="correct service_kube_container")
    known = {
        "memory": ("limits", "memory"),
        "cpus": ("limits", "cpu"),
        "memory_request": ("requests", "memory"),
        "cpu_request": ("requests", "cpu"),
    }
    unknown = sorted(set(wanted) - {*known, *_NOT_HERE})
    if unknown:
        raise BadInput(f"There is no limit {unknown[0]!r}", next_step=f"use {', '.join(known)}")
    notes = tuple(f"{name} is left out: Kubernetes has no such limit." for name in _NOT_HERE if wanted.get(name))
    then: t.Dict[str, t.Dict[str, str]] = {
        "limits": dict(part(spec, "resources", "limits")),
        "requests": dict(part(spec, "resources", "requests")),
    }
    changes: t.Dict[str, t.Dict[str, t.Optional[str]]] = {}
    for key, (group, resource) in known.items():
        if wanted.get(key) in (None, ""):
            continue
        if is_none(wanted[key]):
            if then[group].pop(resource, None) is not None:
                changes.setdefault(group, {})[resource] = None
            continue
        quantity = memory_quantity(wanted[key]) if resource == "memory" else cpu_quantity(wanted[key])
        if number_of(then[group].get(resource)) != number_of(quantity):
            changes.setdefault(group, {})[resource] = then[group][resource] = quantity
    for resource, most in then["limits"].items():
        if (number_of(then["requests"].get(resource)) or 0) > (number_of(most) or 0):
            raise BadInput(
                f"The request for {resource} ({then['requests'][resource]}) would be more than its limit ({most})",
                where=f"container {name} of {name_of(workload)}",
                next_step=f"set both, the request with {'memory_request' if resource == 'memory' else 'cpu_request'}",
            )
    if not changes:
        return Plan(notes=notes)
    told = ", ".join(
        f"{resource} {group[:-1]} {value}" if value else f"no {resource} {group[:-1]}"
        for group, values in changes.items()
        for resource, value in values.items()
    )
    require_rolls_out(workload)
    body = {"spec": {"template": {"spec": {"containers": [{"name": name, "resources": changes}]}}}}
    step = Step(f"Give the container {name} {told}", (Call("workload", body, STRATEGIC),), (TEMPLATE_BACK,), "rollout")
    return Plan((step,), notes)
