# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether the pods of a workload run with the ConfigMap and the Secret as they are now."""

from __future__ import annotations

import hashlib
import json
import typing as t

from .plan import CONFIGURATION, RESTARTED_AT, Plan, Step, restarted
from .state import Object, is_present, part


def applied(workload: Object, pods: t.Sequence[Object], config_map: t.Optional[Object], secret: t.Optional[Object], now: str) -> Plan:
    """A restart of the pods where they were started with another configuration; raises BadInput as `restarted` does.

    The pods bear a mark of what they were started with. Where they do not yet, the times decide: what was changed before the oldest of them
    was made is what they run with.
    """
    if config_map is None and secret is None:
        return Plan(notes=("The profile names neither service_kube_config_map nor service_kube_secret, so nothing is compared.",))
    mark = mark_of(config_map, secret)
    before = part(workload, "spec", "template", "metadata", "annotations").get(CONFIGURATION)
    if before == mark or (before is None and _older_than(pods, [one for one in (config_map, secret) if one is not None])):
        return Plan()
    step = restarted(workload, "rolling", pods, "", now).steps[0]
    call = step.calls[0]
    annotations = {RESTARTED_AT: now, CONFIGURATION: mark}
    body = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    return Plan((Step("Restart the pods with the changed configuration", (call._replace(body=body),), step.back, "rollout"),))


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
