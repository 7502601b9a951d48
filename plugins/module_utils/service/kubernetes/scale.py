# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""To how many replicas a workload of Kubernetes is scaled, and between which limits its autoscaler may choose."""

from __future__ import annotations

import typing as t

from ...errors import BadInput
from . import autoscaler as autoscalers
from .api import MERGE
from .autoscaler import Limits
from .manifest import made
from .plan import Call, Plan, Step, has_replicas, numbered, remembered, stopped
from .state import Object, name_of, replicas_wanted


def scaled(workload: Object, number: t.Optional[int], wanted: Limits, autoscaler: t.Optional[Object], file: str = "") -> Plan:
    """To a number of replicas, and an autoscaler to other limits. Scaled to 0 it is stopped: the number that ran is remembered.

    Args:
        workload: The workload.
        number: How many replicas are wanted; None for as many as there are.
        wanted: The limits that are wanted.
        autoscaler: The autoscaler; None where there is none.
        file: The manifest that it is made of, where the cluster has none yet.

    Raises:
        BadInput: The autoscaler would undo it, there is none, or the workload has no number of replicas.
    """
    if number is None and wanted == Limits():
        return Plan()
    has_replicas(workload)
    steps: t.List[Step] = []
    notes: t.List[str] = []
    if autoscaler is not None:
        limits = autoscalers.new_limits(autoscaler, wanted)
        steps += [made(dict(autoscaler), *limits, file)] if file else autoscalers.limits_step(autoscaler, limits)
        if number is not None:
            notes += autoscalers.within(autoscaler, limits, number)
    elif wanted != Limits():
        raise BadInput(
            f"{name_of(workload)} has no HorizontalPodAutoscaler, so there are no limits to set",
            next_step="leave service_scale_minimum and _maximum out, or give its manifest: `file` of service_kube_autoscaler",
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
