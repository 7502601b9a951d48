# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module kubernetes_pods_cleanup: pods of a namespace that are over are removed."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timezone
from urllib.parse import quote

from ..errors import BadInput, RunbookError
from ..progress import Progress
from ..service.kubernetes.api import Api
from ..service.kubernetes.client import connect
from .pods import PHASES, finished_pods

OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "kube_config": {"type": "path", "default": ""},
    "kube_context": {"type": "str", "default": ""},
    "namespace": {"type": "str", "required": True},
    "phases": {"type": "list", "elements": "str", "choices": list(PHASES), "default": list(PHASES)},
    "older_than_h": {"type": "float", "default": 24},
}
"""Described in plugins/modules/kubernetes_pods_cleanup.py."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Remove the pods that the options in `parameters`, valid for OPTIONS, mean; in check mode only tell which.

    Raises:
        BadInput: No namespace is named.
        RunbookError: The API server cannot be reached or refuses; the facts say which pods were removed before.
    """
    namespace = parameters["namespace"]
    if not namespace:
        raise BadInput("No namespace is named", next_step="name the one whose pods are meant; pods of all namespaces are never removed")
    api = Api(connect(parameters["kube_config"] or "", parameters["kube_context"] or ""), json.loads)
    here = f"namespaces/{quote(namespace, safe='')}"
    pods, jobs = api.items(f"/api/v1/{here}/pods")[0], api.items(f"/apis/batch/v1/{here}/jobs")[0]
    decided = finished_pods(pods, jobs, parameters["phases"], parameters["older_than_h"], datetime.now(timezone.utc))
    removed, kept, progress = [], decided["kept"], Progress("Removing pods that are over")
    for number, pod in enumerate(decided["remove"]):
        progress.say(f"removing {pod['name']}", number, len(decided["remove"]), "pods")
        try:
            # Somebody may have made another pod of the same name since: only the one that was seen is removed.
            wanted = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod["uid"]}}
            if check_mode or api.delete(f"/api/v1/{here}/pods/{quote(pod['name'], safe='')}", wanted):
                removed.append(pod)
            else:
                kept.append({**pod, "reason": "it has gone, or another pod has its name now"})
        except RunbookError as error:
            error.changed = bool(removed)
            error.facts.update(removed=removed)
            raise
    notes = [] if pods else [f"There are no pods at all in the namespace {namespace}; see whether its name is right"]
    verb = "remove" if check_mode else "removed"
    lines = [f"{verb} the pod {namespace}/{pod['name']}: {pod['reason']}" for pod in removed]
    return {
        "changed": bool(removed),
        "plan": lines,
        "removed": removed,
        "kept": kept,
        "notes": notes,
        "diff": {"before": "".join(f"{line}\n" for line in lines), "after": ""},
    }
