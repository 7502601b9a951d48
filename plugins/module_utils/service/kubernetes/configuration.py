# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether the pods of a workload run with the ConfigMap and the Secret as they are now."""

from __future__ import annotations

import hashlib
import json
import typing as t

from .api import STRATEGIC
from .plan import CONFIGURATION, RESTARTED_AT, TEMPLATE_BACK, Call, Plan, Step, require_rolls_out
from .state import Object, is_present, is_ready, part, replica_of

Marks = t.Dict[str, t.Optional[str]]


def applied(
    workload: Object,
    pods: t.Sequence[Object],
    config_map: t.Optional[Object],
    secret: t.Optional[Object],
    now: str,
    is_new: bool = False,
) -> Plan:
    """A restart of the pods where they were started with another configuration.

    The pods bear a mark of what they were started with. Where they do not yet, the times decide: what was changed before the oldest of them
    was made is what they run with. Neither tells everything: Kubernetes notes no time where a key is only taken away, and pods that come
    between a change by hand and the one that takes it back bear the mark of both. So who has changed it says so.

    Args:
        workload, pods: What runs.
        config_map, secret: The configuration as it is now; None for none.
        now: The moment, for the annotation of the restart.
        is_new: Whether it was changed since the pods were started, whatever their marks say.

    Raises:
        BadInput: This workload does not replace its pods by itself.
    """
    if config_map is None and secret is None:
        return Plan(notes=("The profile names neither service_kube_config_map nor service_kube_secret, so nothing is compared.",))
    mark = mark_of(config_map, secret)
    before = _marks(part(workload, "spec", "template"))[CONFIGURATION]
    if not is_new and (before == mark or (before is None and _older_than(pods, [one for one in (config_map, secret) if one is not None]))):
        return Plan()
    return _marked(workload, pods, {RESTARTED_AT: now, CONFIGURATION: mark}, (TEMPLATE_BACK,))


def taken_back(workload: Object, pods: t.Sequence[Object], former: t.Mapping[str, t.Any]) -> Plan:
    """The way back behind a ConfigMap and a Secret that are as before: to the pods' marks from before, so that pods that bear them stay.

    Args:
        workload, pods: What runs.
        former: The annotations of the pods' template from before the change.

    Raises:
        BadInput: This workload does not replace its pods by itself.
    """
    return _marked(workload, pods, _of_start(former))


def has_come_since(
    pods: t.Sequence[Object], former: t.Mapping[str, t.Any], replicas: t.Sequence[t.Mapping[str, t.Any]], container: str
) -> bool:
    """Whether a pod bears the former marks, and yet was started, or its container anew, while something else was configured.

    Args:
        pods: The pods as they are now.
        former: The annotations of the pods' template from before the change.
        replicas: `name` and `started_at` of the pods from before it.
        container: The container that matters.
    """
    known = {(one.get("name"), one.get("started_at")) for one in replicas}
    alike = (replica_of(pod, container) for pod in pods if is_present(pod) and _marks(pod) == _of_start(former))
    return any((one.name, one.started_at) not in known for one in alike)


def _marked(workload: Object, pods: t.Sequence[Object], marks: Marks, early: t.Tuple[Call, ...] = ()) -> Plan:
    """Let all pods bear these marks.

    The controller of a StatefulSet waits for a pod of another revision that is not ready, for ever where that never is, so such a pod is
    deleted.
    """
    calls: t.List[Call] = []
    if _marks(part(workload, "spec", "template")) != marks:
        require_rolls_out(workload)
        body = {"spec": {"template": {"metadata": {"annotations": marks}}}}
        calls.append(Call("workload", body, STRATEGIC, manager="kubectl-rollout"))
    if workload.get("kind") == "StatefulSet":
        stuck = [pod for pod in pods if is_present(pod) and not is_ready(pod) and _marks(pod) != marks]
        calls += [Call("pod", name=str(part(pod, "metadata", "name"))) for pod in stuck]
    said = "Restart the pods with the changed configuration" if early else "Restart the pods that do not run with the former configuration"
    return Plan((Step(said, tuple(calls), (), "rollout", early),)) if calls else Plan()


def _marks(document: Object) -> Marks:
    """What the annotations of a pod, or of the pods' template, say of its start."""
    return _of_start(part(document, "metadata", "annotations"))


def _of_start(annotations: t.Mapping[str, t.Any]) -> Marks:
    return {name: annotations.get(name) for name in (RESTARTED_AT, CONFIGURATION)}


def mark_of(config_map: t.Optional[Object], secret: t.Optional[Object]) -> str:
    """What tells one configuration from another: a digest of the ConfigMap's data, and the Secret's version, not its values."""
    marks = []
    if config_map is not None:
        data = [config_map.get("data") or {}, config_map.get("binaryData") or {}]
        marks.append(hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16])
    if secret is not None:
        marks.append(f"{part(secret, 'metadata', 'uid') or ''}:{part(secret, 'metadata', 'resourceVersion') or ''}")
    return "/".join(marks)


def _older_than(pods: t.Sequence[Object], configuration: t.Sequence[Object]) -> bool:
    """Whether all of the configuration was last changed before the oldest pod was made; false where the times are not known."""
    made = [str(part(pod, "metadata", "creationTimestamp") or "") for pod in pods if is_present(pod)]
    changed = [_changed_at(one) for one in configuration]
    return all(made) and all(changed) and (not made or max(changed) < min(made))


def _changed_at(document: Object) -> str:
    metadata = part(document, "metadata")
    times = [str(one.get("time") or "") for one in metadata.get("managedFields") or ()]
    return max([*times, str(metadata.get("creationTimestamp") or "")])
