# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause


"""To how many replicas a workload of Kubernetes is scaled, and between which limits its autoscaler may choose."""

from __future__ import annotations

import typing as t

from ...errors import BadInput
from .api import MERGE
from .plan import Call, Plan, Step, has_replicas, numbered, remembered, stopped
from .state import Object, name_of, part, replicas_wanted


class Limits(t.NamedTuple):
    """What an autoscaler may choose; 0 for what is not to change."""

    minimum: int = 0
    maximum: int = 0


def autoscaler_of(workload: Object, autoscalers: t.Iterable[Object]) -> t.Optional[Object]:
    """The HorizontalPodAutoscaler that scales a workload."""
    for one in autoscalers:
        target = part(one, "spec", "scaleTargetRef")
        if target.get("kind") == workload.get("kind") and target.get("name") == part(workload, "metadata", "name"):
            return one
    return None


def scaled(workload: Object, number: t.Optional[int], wanted: Limits, autoscaler: t.Optional[Object]) -> Plan:
    """To a number of replicas, and an autoscaler to other limits. Scaled to 0 it is stopped: the number that ran is remembered.

    Raises:
        BadInput: The autoscaler would undo it, there is none, or the workload has no number of replicas.
    """
    if number is None and wanted == Limits():
        return Plan()
    has_replicas(workload)
    steps: t.List[Step] = []
    notes: t.List[str] = []
    if autoscaler is not None:
        limits = _new_limits(autoscaler, wanted)
        steps += _limits_step(autoscaler, limits)
        if number is not None:
            notes += _within(autoscaler, limits, number)
    elif wanted != Limits():
        raise BadInput(
            f"{name_of(workload)} has no HorizontalPodAutoscaler, so there are no limits to set",
            next_step="leave service_scale_minimum and service_scale_maximum out, or create the autoscaler",
        )
    before = replicas_wanted(workload)
    if number == 0:
        steps += stopped(workload).steps
    elif number is not None and number != before:
        steps.append(Step(f"Let {number} instead of {before} replicas run", *_there_and_back(workload, before, number), "rollout"))
    return Plan(tuple(steps), tuple(notes), number)


def _there_and_back(workload: Object, before: int, number: int) -> t.Tuple[t.Tuple[Call, ...], t.Tuple[Call, ...]]:
    """The request for a number, and that for the one before; what is remembered of a stopped workload goes with the number."""
    was = remembered(workload)
    if was is not None:
        return (numbered(number, None),), (numbered(before, was),)
    there, back = (Call("scale", {"spec": {"replicas": some}}, MERGE) for some in (number, before))
    return (there,), (back,)


def limits_of(autoscaler: Object) -> Limits:
    """The limits of an autoscaler; Kubernetes takes 1 for a minimum that is left out."""
    spec = part(autoscaler, "spec")
    return Limits(int(spec.get("minReplicas") if spec.get("minReplicas") is not None else 1), int(spec.get("maxReplicas") or 0))


def _new_limits(autoscaler: Object, wanted: Limits) -> Limits:
    now = limits_of(autoscaler)
    then = Limits(wanted.minimum or now.minimum, wanted.maximum or now.maximum)
    if then.minimum > then.maximum:
        raise BadInput(
            f"The limits of {name_of(autoscaler)} would be from {then.minimum} to {then.maximum} replicas",
            why="the least is more than the most",
            next_step="set both: -e service_scale_minimum=<n> -e service_scale_maximum=<n>",
        )
    return then


def _limits_step(autoscaler: Object, then: Limits) -> t.List[Step]:
    now = limits_of(autoscaler)
    if then == now:
        return []
    name = str(part(autoscaler, "metadata", "name"))

    def call(limits: Limits) -> Call:
        return Call("autoscaler", {"spec": {"minReplicas": limits.minimum, "maxReplicas": limits.maximum}}, MERGE, name)

    said = f"Let {name_of(autoscaler)} choose between {then.minimum} and {then.maximum} replicas instead of {now.minimum} and {now.maximum}"
    return [Step(said, (call(then),), (call(now),))]


def _within(autoscaler: Object, limits: Limits, number: int) -> t.List[str]:
    name = name_of(autoscaler)
    if number == 0:
        return [f"{name} rests while no replica runs."]
    if limits.minimum <= number <= limits.maximum:
        return [f"{name} chooses between {limits.minimum} and {limits.maximum} replicas and may change the number again."]
    option = "service_scale_maximum" if number > limits.maximum else "service_scale_minimum"
    raise BadInput(
        f"{name} would undo it: it keeps between {limits.minimum} and {limits.maximum} replicas",
        why=f"{number} replicas are wanted",
        next_step=f"stay within its limits, or change them too: -e {option}={number}",
    )
