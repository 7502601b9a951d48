# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What there is to see of a workload of Kubernetes, asked of its API server: objects and logs, for `from_kubernetes`."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass
from functools import partial

from ..errors import BadInput
from ..service.kubernetes.api import Api
from ..service.kubernetes.client import connect
from . import from_kubernetes
from .compose_project import items, part
from .model import KUBERNETES, Message, Observation
from .questions import Questions

_Object = t.Dict[str, t.Any]
_KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_MOST_LOGS, _MOST_NODES = 3, 3
_MOST_EVENTS = 500


@dataclass(frozen=True)
class Request:
    """Which workload of which cluster; names are those of the module's options."""

    kind: str
    name: str
    namespace: str = "default"
    kube_config: str = ""
    kube_context: str = ""
    container: str = ""
    wanted: t.Optional[int] = None
    log_lines: int = 40

    def check(self) -> str:
        """The kind as the API names it.

        Raises:
            BadInput: The kind or a name is none.
        """
        kind = self.kind.lower()
        if kind not in _KINDS:
            raise BadInput(f"{self.kind!r} is no kind of workload", next_step=f"name one of {', '.join(_KINDS)} (service_kube_workload)")
        for name in (self.name, self.namespace):
            if not _NAME.fullmatch(name):
                raise BadInput(f"{name!r} is no name of Kubernetes", next_step="correct service_kube_workload or service_kube_namespace")
        return _KINDS[kind]


def gather(request: Request, questions: Questions) -> Observation:
    """Ask for the workload and all that belongs to it; what may not be read is noted and passed over."""
    kind = request.check()
    core, apps = f"/api/v1/namespaces/{request.namespace}", f"/apis/apps/v1/namespaces/{request.namespace}"
    api = Api(connect(request.kube_config, request.kube_context), json.loads, request_s=max(1.0, questions.left_s / 2))
    selector: t.List[str] = []

    def workload() -> t.List[_Object]:
        found = api.get(f"{apps}/{kind.lower()}s/{request.name}")
        labels = part(part(part(found, "spec"), "selector"), "matchLabels")
        selector.append(",".join(f"{name}={value}" for name, value in labels.items()))
        return [{**found, "kind": kind}]

    objects: t.List[t.Any] = questions.ask({"the workload": workload}).get("the workload", [])
    trouble = list(questions.not_looked_at)
    if objects:
        listed = {
            "its pods": (f"{core}/pods", "Pod", selector[0]),
            "its replica sets": (f"{apps}/replicasets", "ReplicaSet", selector[0]),
            "the events": (f"{core}/events", "Event", ""),
            "the volume claims": (f"{core}/persistentvolumeclaims", "PersistentVolumeClaim", ""),
        }
        answers = questions.ask({name: partial(_listed, api, *where) for name, where in listed.items()})
        pods = answers.get("its pods", [])
        claims = _claims(pods)
        for name, found in answers.items():
            objects += [one for one in found if name != "the volume claims" or from_kubernetes.name_of(one) in claims]
        logs = _logs_and_nodes(request, questions, api, core, pods, objects)
    else:
        logs = []
    seen = from_kubernetes.observe(request.name, objects, logs, wanted=request.wanted, log_lines=request.log_lines)
    if trouble and "(404)" not in trouble[0] and "not found" not in trouble[0].lower():
        # The workload could not be asked for: that is no sign that it does not exist.
        seen.conditions = [one for one in seen.conditions if one.type != "Exists"]
        seen.messages += [Message(KUBERNETES, text) for text in trouble]
    seen.looked_at = questions.looked_at
    seen.not_looked_at += questions.not_looked_at
    return seen


def _listed(api: Api, path: str, kind: str, selector: str) -> t.List[_Object]:
    query = {"limit": str(_MOST_EVENTS)} if kind == "Event" else {}
    return [{**one, "kind": kind} for one in api.items(path, selector, **query)[0]]


def _claims(pods: t.Sequence[_Object]) -> t.Set[str]:
    volumes = [volume for pod in pods for volume in items(part(pod, "spec"), "volumes")]
    return {str(part(volume, "persistentVolumeClaim").get("claimName")) for volume in volumes}


def _logs_and_nodes(
    request: Request, questions: Questions, api: Api, core: str, pods: t.Sequence[_Object], objects: t.List[t.Any]
) -> t.List[_Object]:
    unwell = [pod for pod in pods if not _is_ready(pod)]
    asked: t.Dict[str, t.Callable[[], t.Any]] = {}
    for pod in [one for one in unwell if items(part(one, "status"), "containerStatuses")][:_MOST_LOGS]:
        name = from_kubernetes.name_of(pod)
        asked[f"the log of {name}"] = partial(_log, request, api, f"{core}/pods/{name}/log", pod)
    nodes = {str(part(pod, "spec").get("nodeName") or "") for pod in unwell} - {""}
    for node in sorted(nodes)[:_MOST_NODES]:
        asked[f"the node {node}"] = partial(api.get, f"/api/v1/nodes/{node}")
    answers = questions.ask(asked)
    objects += [{**found, "kind": "Node"} for name, found in answers.items() if name.startswith("the node ")]
    return [{"pod": name[len("the log of ") :], "log": text} for name, text in answers.items() if name.startswith("the log of ")]


def _is_ready(pod: _Object) -> bool:
    conditions = [one for one in items(part(pod, "status"), "conditions") if isinstance(one, dict)]
    return any((one.get("type"), one.get("status")) == ("Ready", "True") for one in conditions)


def _log(request: Request, api: Api, path: str, pod: _Object) -> str:
    statuses = [one for one in items(part(pod, "status"), "containerStatuses") if isinstance(one, dict)]
    worst = next((one for one in statuses if one.get("ready") is False), statuses[0])
    query = [("container", request.container or str(worst.get("name") or "")), ("tailLines", str(request.log_lines))]
    if "waiting" not in part(worst, "state"):
        return api.text(path, query)
    # Of one that waits for its next start the last end is what matters, as far as there was one.
    return api.text(path, [*query, ("previous", "true")]) if worst.get("restartCount") else ""


__all__ = ["Request", "gather"]
