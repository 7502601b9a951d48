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
from ..service.kubernetes.state import KINDS, is_present, is_ready, selector_of
from ..service.kubernetes.wait import Paths
from . import from_kubernetes
from .compose_project import items, part
from .model import KUBERNETES, Message, Observation
from .questions import Questions

_Object = t.Dict[str, t.Any]
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
        if kind not in KINDS:
            raise BadInput(f"{self.kind!r} is no kind of workload", next_step=f"name one of {', '.join(KINDS)} (service_kube_workload)")
        for name in (self.name, self.namespace):
            if not _NAME.fullmatch(name):
                raise BadInput(f"{name!r} is no name of Kubernetes", next_step="correct service_kube_workload or service_kube_namespace")
        return KINDS[kind]


def gather(request: Request, questions: Questions) -> Observation:
    """Ask for the workload and all that belongs to it; what may not be read is noted and passed over."""
    kind = request.check()
    paths = Paths(request.namespace, kind.lower(), request.name)
    api = Api(connect(request.kube_config, request.kube_context), json.loads, request_s=max(1.0, questions.left_s / 2))
    selector: t.List[str] = []

    def workload() -> t.List[_Object]:
        found = api.get(paths.workload)
        selector.append(selector_of(found))
        return [{**found, "kind": kind}]

    logs: t.Dict[str, str] = {}
    objects: t.List[t.Any] = questions.ask({"the workload": workload}).get("the workload", [])
    unanswered = questions.why_not("the workload")
    if objects:
        listed = {
            "its pods": (paths.pods, "Pod", selector[0]),
            "its replica sets": (paths.replica_sets, "ReplicaSet", selector[0]),
            "the events": (paths.events, "Event", ""),
            "the volume claims": (f"/api/v1/namespaces/{request.namespace}/persistentvolumeclaims", "PersistentVolumeClaim", ""),
        }
        answers = questions.ask({name: partial(_listed, api, *where) for name, where in listed.items()})
        pods = answers.get("its pods", [])
        unanswered = questions.why_not("its pods")
        claims = _claims(pods)
        for name, found in answers.items():
            objects += [one for one in found if name != "the volume claims" or from_kubernetes.name_of(one) in claims]
        logs = _logs_and_nodes(request, questions, api, paths, pods, objects)
    seen = from_kubernetes.observe(request.name, objects, logs, wanted=request.wanted, log_lines=request.log_lines)
    if unanswered and "(404)" not in unanswered and "not found" not in unanswered.lower():
        # What could not be asked for may well be there.
        seen.unanswered = unanswered
        seen.conditions = [one for one in seen.conditions if one.type != "Exists"]
        seen.messages.append(Message(KUBERNETES, unanswered))
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
    request: Request, questions: Questions, api: Api, paths: Paths, pods: t.Sequence[_Object], objects: t.List[t.Any]
) -> t.Dict[str, str]:
    unwell = [pod for pod in pods if not is_ready(pod)]
    asked: t.Dict[str, t.Callable[[], t.Any]] = {}
    wanted = ((pod, log_wanted(pod, request.container, request.log_lines)) for pod in unwell if is_present(pod))
    for pod, query in [one for one in wanted if one[1]][:_MOST_LOGS]:
        name = from_kubernetes.name_of(pod)
        asked[f"the log of {name}"] = partial(api.text, f"{paths.pods}/{name}/log", query)
    nodes = {str(part(pod, "spec").get("nodeName") or "") for pod in unwell} - {""}
    for node in sorted(nodes)[:_MOST_NODES]:
        asked[f"the node {node}"] = partial(api.get, f"/api/v1/nodes/{node}")
    answers = questions.ask(asked)
    objects += [{**found, "kind": "Node"} for name, found in answers.items() if name.startswith("the node ")]
    return {name[len("the log of ") :]: text for name, text in answers.items() if name.startswith("the log of ")}


def log_wanted(pod: _Object, container: str, lines: int) -> t.List[t.Tuple[str, str]]:
    """The query for the log of a pod that explains most; empty where there is none.

    Args:
        pod: The pod.
        container: Whose log is wanted once its init containers have done their work; by default that of the one that is worst.
        lines: How many of its last lines.
    """
    worst = from_kubernetes.worst_of(pod)
    if container and not worst.is_first:
        named = [one for one in items(part(pod, "status"), "containerStatuses") if part({"one": one}, "one").get("name") == container]
        worst = worst._replace(status=named[0] if named else {})
    query = [("container", str(worst.status.get("name") or "")), ("tailLines", str(lines))]
    if "waiting" not in part(worst.status, "state"):
        return query if worst.status else []
    # Of one that waits for its next start the last end is what matters, as far as there was one.
    return [*query, ("previous", "true")] if worst.last_end else []


__all__ = ["Request", "gather", "log_wanted"]
