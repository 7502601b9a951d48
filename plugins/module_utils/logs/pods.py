# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Logs of pods, asked of the API server of Kubernetes: read to their end, or followed.

Credentials are found as for the verbs of a service: a kubeconfig and a context, `K8S_AUTH_*`, or the pod's own account.
"""

from __future__ import annotations

import json
import os
import threading
import typing as t
from contextlib import suppress

from ..errors import BadInput, RunbookError, Unreachable
from ..service.kubernetes.api import REQUEST_S, Api
from ..service.kubernetes.client import Client, connect, namespace_of
from ..service.kubernetes.state import is_ready, part, selector_of
from ..service.kubernetes.transport import NoConnection, Pieces
from .model import Source
from .reading import Clock

_APPS, _BATCH = "/apis/apps/v1", "/apis/batch/v1"
_KINDS = {
    "deployment": (_APPS, "deployments", "deploy"),
    "statefulset": (_APPS, "statefulsets", "sts"),
    "daemonset": (_APPS, "daemonsets", "ds"),
    "replicaset": (_APPS, "replicasets", "rs"),
    "job": (_BATCH, "jobs", "jobs"),
}
_PODS = ("", "pod", "pods", "po")
_MOST_PODS = 200


class PodLog(t.NamedTuple):
    """The log of a container of a pod: its names, and where the API has it."""

    pod: str
    container: str
    path: str


class Clusters:
    """Connections to API servers, one for each kubeconfig and context.

    Args:
        clock: The time that there is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._clients: t.Dict[t.Tuple[str, str], Client] = {}

    def api(self, kube_config: str, kube_context: str) -> Api:
        """The API server that a kubeconfig and a context mean.

        Raises:
            RunbookError: They mean none, or the Python package `kubernetes` is missing.
        """
        way = (kube_config, kube_context)
        if way not in self._clients:
            self._clients[way] = connect(*way)
        return Api(self._clients[way], json.loads, max(0.1, min(REQUEST_S, self._clock.left_s)))

    def logs_of(self, source: Source, note: t.Callable[[str], None]) -> t.List[PodLog]:
        """The logs of all containers of all pods of a workload, those of pods that are ready first; `note` is told of pods left out.

        Raises:
            RunbookError: The workload is not there, or has no pods.
        """
        api = self.api(source.kube_config, source.kube_context)
        namespace = source.namespace or namespace_of(source.kube_config, source.kube_context)
        path = f"/api/v1/namespaces/{namespace}/pods"
        kind, _slash, name = source.kubernetes_workload.rpartition("/")
        if kind.lower() in _PODS:
            pods = [api.get(f"{path}/{name}")]
        else:
            selector = selector_of(api.get(f"{_folder_of(api, kind, namespace)}/{name}"))
            if not selector:
                raise BadInput("The workload does not say which pods are its own", where=source.kubernetes_workload, next_step="name a pod")
            pods = sorted(api.items(path, selector)[0], key=lambda pod: not is_ready(pod))
        if not pods:
            raise Unreachable("The workload has no pods", where=source.kubernetes_workload, next_step="see why none is running")
        found = []
        if len(pods) > _MOST_PODS:
            note(f"{len(pods) - _MOST_PODS} more pods of {source.kubernetes_workload} were not read")
        for pod in pods[:_MOST_PODS]:
            pod_name = str(part(pod, "metadata", "name"))
            containers = [str(one.get("name")) for one in part(pod, "spec", "containers") or ()]
            for container in [source.pod_container] if source.pod_container else containers:
                found.append(PodLog(pod_name, container, f"{path}/{pod_name}/log"))
        return found

    def portions(self, wanted: t.Mapping[str, t.Any]) -> t.Iterator[bytes]:
        """A log from its beginning to its end, as `request_for` describes it.

        Raises:
            Late: The time is up.
            RunbookError: It cannot be read, or not to its end.
        """
        try:
            api = self.api(wanted["kube_config"], wanted["kube_context"])
            yield from api.body(wanted["path"], [tuple(one) for one in wanted["query"]], max(0.1, self._clock.left_s))
        except NoConnection as broken:
            self._clock.check()
            raise _broken_off(wanted["path"], broken) from None
        except RunbookError:
            self._clock.check()
            raise


class Follower:
    """Follows a log in a thread, and gives on through a pipe what comes, no faster than that is read.

    Args:
        clusters: The connections.
        wanted: The log, as `request_for` describes it.
        seconds: How long nothing may come before it counts as broken off.

    Attributes:
        stdout: Where it can be read.
        problem: Why it was not followed to its end; empty when it was, or goes on.
    """

    def __init__(self, clusters: Clusters, wanted: t.Mapping[str, t.Any], seconds: float) -> None:
        self._api, self._wanted, self._seconds = clusters.api(wanted["kube_config"], wanted["kube_context"]), wanted, seconds
        self._body: t.Optional[Pieces] = None
        reads, self._writes = os.pipe()
        self.stdout = os.fdopen(reads, "rb", buffering=0)
        self.problem = ""
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        # Who has read enough closes the pipe.
        with suppress(BrokenPipeError), os.fdopen(self._writes, "wb") as pipe:
            try:
                self._body = self._api.body(self._wanted["path"], self._wanted["query"], self._seconds)
                for piece in self._body:
                    pipe.write(piece)
                    pipe.flush()
            except NoConnection as broken:
                self.problem = _broken_off(self._wanted["path"], broken).message
            except RunbookError as error:
                self.problem = error.message

    def end(self) -> None:
        """No more is wanted."""
        self.stdout.close()
        if self._body is not None:
            with suppress(OSError):
                self._body.end()


def request_for(source: Source, log: PodLog, **query: t.Optional[str]) -> t.Dict[str, t.Any]:
    """What is asked for, as JSON values for another process, too; names of `query` are the API's own, None for what is left out."""
    asked = {"container": log.container, "previous": "true" if source.previous else None, **query}
    return {
        "kube_config": source.kube_config,
        "kube_context": source.kube_context,
        "path": log.path,
        "query": [(name, value) for name, value in asked.items() if value is not None],
    }


def _folder_of(api: Api, kind: str, namespace: str) -> str:
    """Where the API has the workloads of a kind: of its name, its plural or short name, or with the group as `rollout.argoproj.io`."""
    name, _dot, rest = kind.lower().partition(".")
    for one, (base, *others) in _KINDS.items():
        if name in (one, *others) and rest in ("", base.split("/")[2], ".".join(reversed(base.split("/")[2:]))):
            return f"{base}/namespaces/{namespace}/{others[0]}"
    for resource, base in _resources_of(api, rest) if rest else ():
        if name in (resource.get("name"), resource.get("singularName"), *(resource.get("shortNames") or ())):
            return f"{base}/namespaces/{namespace}/{resource['name']}"
    known = ", ".join(("pod", *_KINDS))
    raise BadInput(
        f"There is no kind of workload {kind!r}", next_step=f"name one of {known}, or another with its group (rollout.argoproj.io)"
    )


def _resources_of(api: Api, group: str) -> t.Iterator[t.Tuple[t.Mapping[str, t.Any], str]]:
    base = f"/apis/{part(api.get(f'/apis/{group}'), 'preferredVersion', 'groupVersion')}"
    for resource in part(api.get(base), "resources") or ():
        yield resource, base


def _broken_off(path: str, broken: NoConnection) -> Unreachable:
    return Unreachable("The log broke off", where=path, why=str(broken), next_step="check that the pod and its node run, then read again")
