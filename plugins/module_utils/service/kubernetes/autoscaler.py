# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The HorizontalPodAutoscaler of a workload of Kubernetes: between which numbers it chooses, what it does, and how it is found."""

from __future__ import annotations

import json
import typing as t

from ...errors import BadInput
from .api import MERGE, Api, Document, NotAllowed, NotThere
from .manifest import KIND, made_of
from .plan import Call, Step
from .state import Object, name_of, part
from .wait import Paths

_CORRECT = "service_kube_autoscaler"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
"""Annotation in which version v1 of the API has the conditions that later ones have in the status."""


class Limits(t.NamedTuple):
    """What an autoscaler may choose; 0 for what is not to change."""

    minimum: int = 0
    maximum: int = 0


class Found(t.NamedTuple):
    """The autoscaler of a workload.

    Attributes:
        autoscaler: As the cluster has it, or as its manifest describes it; None where there is none.
        file: The manifest, where the cluster has none and it is to be made.
        notes: What the reader should know besides.
    """

    autoscaler: t.Optional[Object] = None
    file: str = ""
    notes: t.Tuple[str, ...] = ()


def autoscaler_of(workload: Object, autoscalers: t.Iterable[Object]) -> t.Optional[Object]:
    """The HorizontalPodAutoscaler that scales a workload."""
    for one in autoscalers:
        target = part(one, "spec", "scaleTargetRef")
        if target.get("kind") == workload.get("kind") and target.get("name") == part(workload, "metadata", "name"):
            return one
    return None


def limits_of(autoscaler: Object) -> Limits:
    """The limits of an autoscaler; Kubernetes takes 1 for a minimum that is left out."""
    spec = part(autoscaler, "spec")
    return Limits(int(spec.get("minReplicas") if spec.get("minReplicas") is not None else 1), int(spec.get("maxReplicas") or 0))


def new_limits(autoscaler: Object, wanted: Limits) -> Limits:
    """Its limits with those that are wanted; raises BadInput where they cross."""
    now = limits_of(autoscaler)
    then = Limits(wanted.minimum or now.minimum, wanted.maximum or now.maximum)
    if then.minimum > then.maximum:
        raise BadInput(
            f"The limits of {name_of(autoscaler)} would be from {then.minimum} to {then.maximum} replicas",
            why="the least is more than the most",
            next_step="set both: -e service_scale_minimum=<n> -e service_scale_maximum=<n>",
        )
    return then


def limits_step(autoscaler: Object, then: Limits) -> t.List[Step]:
    """The step that gives it these limits; none where it has them."""
    now = limits_of(autoscaler)
    if then == now:
        return []
    name = str(part(autoscaler, "metadata", "name"))

    def call(limits: Limits) -> Call:
        return Call("autoscaler", {"spec": {"minReplicas": limits.minimum, "maxReplicas": limits.maximum}}, MERGE, name)

    said = f"Let {name_of(autoscaler)} choose between {then.minimum} and {then.maximum} replicas instead of {now.minimum} and {now.maximum}"
    return [Step(said, (call(then),), (call(now),))]


def within(autoscaler: Object, limits: Limits, number: int) -> t.List[str]:
    """A note on a number of replicas; raises BadInput where the autoscaler would undo it."""
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


def shown(autoscaler: Object) -> str:
    """What it may choose, what it wants, and how many replicas it sees, in one sentence."""
    limits, status = limits_of(autoscaler), part(autoscaler, "status")
    said = f"{name_of(autoscaler)} chooses between {limits.minimum} and {limits.maximum} replicas"
    if "desiredReplicas" not in status:
        return f"{said}; it has not yet said how many it wants."
    now = int(status.get("currentReplicas") or 0)
    trouble = _trouble(autoscaler)
    said += f"; it wants {int(status['desiredReplicas'] or 0)}, and sees {now} now"
    return f"{said}. It cannot do its work: {trouble}." if trouble else f"{said}."


def _trouble(autoscaler: Object) -> str:
    """Why it cannot scale, in its own words; empty where it can."""
    try:
        found = json.loads(part(autoscaler, "metadata", "annotations").get(_CONDITIONS) or "[]")
    except (TypeError, ValueError):
        found = []
    for one in [*(part(autoscaler, "status").get("conditions") or ()), *(found if isinstance(found, list) else ())]:
        if isinstance(one, t.Mapping) and one.get("type") in ("AbleToScale", "ScalingActive") and one.get("status") == "False":
            return str(one.get("message") or one.get("reason") or one["type"])[:300].rstrip(".")
    return ""


def look(api: Api, paths: Paths, workload: Object, name: str, file: str, wants: bool, wants_limits: bool) -> Found:
    """Find the autoscaler of a workload: the one of that name, else the one that names the workload as its target.

    Args:
        api, paths: Where to look.
        workload: The workload.
        name: Name of the autoscaler; empty where the profile names none.
        file: Its manifest; empty where there is none.
        wants: Whether a number or limits are asked; else it is only shown.
        wants_limits: Whether limits are asked, so that one that is not there is made of the manifest.

    Raises:
        BadInput: It is not there, another one is, it scales something else, or the manifest cannot be used.
        RunbookError: The API server cannot be asked.
    """
    missing: t.Optional[NotThere] = None
    if name:
        try:
            found = _whole(api.get(f"{paths.autoscalers}/{name}", correct=_CORRECT))
            if wants and autoscaler_of(workload, [found]) is None:
                raise BadInput(f"{name_of(found)} does not scale {name_of(workload)}", next_step=f"correct {_CORRECT}")
            return Found(found)
        except NotThere as error:
            missing = error
    notes: t.List[str] = []
    other: t.Optional[Object] = None
    try:
        other = autoscaler_of(workload, map(_whole, api.items(paths.autoscalers)[0]))
    except (NotAllowed, NotThere):
        notes.append("Whether a HorizontalPodAutoscaler scales it could not be seen" + ("; one would undo the change." if wants else "."))
    if other is not None and missing is None:
        return Found(other)
    if other is not None and wants:
        raise BadInput(f"{name_of(other)} scales {name_of(workload)}, and not {name}", next_step=f"correct {_CORRECT}")
    if wants_limits and file:
        return Found(made_of(file, workload, name), file, tuple(notes))
    if missing is not None and wants and not file:
        raise missing
    if missing is not None or (file and other is None):
        made = f"; -e service_scale_maximum=<n> makes it of {file}" if file else ""
        notes.append(f"The cluster has no {KIND} {name}".rstrip() + f"{made}.")
    return Found(other, "", tuple(notes))


def _whole(autoscaler: Document) -> Document:
    return {"kind": KIND, **autoscaler}
