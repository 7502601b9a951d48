# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of the Kubernetes API as the API server keeps them: versions, generations, events, patches and selectors."""

from __future__ import annotations

import asyncio
import copy
import datetime
import typing as t
import uuid

Body = dict[str, t.Any]
Key = tuple[str, str, str]
KINDS = {
    "deployments": "Deployment",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "replicasets": "ReplicaSet",
    "pods": "Pod",
    "jobs": "Job",
    "events": "Event",
    "configmaps": "ConfigMap",
    "secrets": "Secret",
    "services": "Service",
    "endpointslices": "EndpointSlice",
    "horizontalpodautoscalers": "HorizontalPodAutoscaler",
}
_APIS = {
    "jobs": "batch/v1",
    "pods": "v1",
    "events": "v1",
    "configmaps": "v1",
    "secrets": "v1",
    "services": "v1",
    "endpointslices": "discovery.k8s.io/v1",
    "horizontalpodautoscalers": "autoscaling/v1",
}

ENDING_S = 0.1
"""Seconds that a deleted pod takes, unless a test says otherwise."""


def now(earlier_s: float = 0) -> str:
    """The moment as Kubernetes writes it."""
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=earlier_s)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Objects(dict[Key, Body]):
    """All objects by (plural, namespace, name).

    Attributes:
        version: The newest resource version.
        events: What happened: version, type, key, object.
        changed: Set when something happens; a new one takes its place then.
        logs: Lines by pod.
        ending_s: Seconds that a deleted pod takes.
        unfit_cpus: Limits of processors with which a pod crashes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.version = 1
        self.events: list[tuple[int, str, Key, Body]] = []
        self.changed = asyncio.Event()
        self.logs: dict[str, list[str]] = {}
        self.ending_s = ENDING_S
        self.unfit_cpus: set[str] = set()

    def reset(self) -> None:
        """No objects, and pods as at the beginning; versions go on."""
        self.clear()
        self.ending_s = ENDING_S
        self.unfit_cpus.clear()
        vars(self).pop("create", None)  # what a test has put in its place

    def create(self, key: Key, document: Body) -> Body:
        """Add an object."""
        plural, namespace, name = key
        metadata = document.setdefault("metadata", {})
        metadata.update(name=name, namespace=namespace, uid=str(uuid.uuid4()), generation=1)
        metadata.setdefault("creationTimestamp", now())
        self._managed(metadata)
        return self._keep("ADDED", key, {"apiVersion": _APIS.get(plural, "apps/v1"), "kind": KINDS[plural], **document})

    def put(self, key: Key, document: Body) -> None:
        """Change an object; nothing happens where it is the same."""
        before = self[key]
        if document == before:
            return
        for name in ("uid", "creationTimestamp", "name", "namespace"):
            document["metadata"][name] = before["metadata"][name]
        document["metadata"]["generation"] = before["metadata"]["generation"] + (document.get("spec") != before.get("spec"))
        # As the API server does it: a field that is only taken away has no manager whose time could be noted.
        if any((before.get("data") or {}).get(name) != value for name, value in (document.get("data") or {}).items()):
            self._managed(document["metadata"])
        self._keep("MODIFIED", key, document)

    def delete(self, key: Key) -> Body:
        """Take an object away; a pod ends first."""
        one = copy.deepcopy(self[key])
        if key[0] == "pods" and not one["metadata"].get("deletionTimestamp"):
            one["metadata"]["deletionTimestamp"] = now()
            self._keep("MODIFIED", key, one)
            asyncio.get_running_loop().call_later(self.ending_s, self._gone, key, one["metadata"]["uid"])
        elif key[0] != "pods":
            self._gone(key, one["metadata"]["uid"])
        return one

    def _gone(self, key: Key, uid: str) -> None:
        if key in self and self[key]["metadata"]["uid"] == uid:
            one = self.pop(key)
            self.version += 1
            self._tell("DELETED", key, one)

    def _keep(self, kind: str, key: Key, document: Body) -> Body:
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        self[key] = document
        self._tell(kind, key, document)
        return document

    def _tell(self, kind: str, key: Key, document: Body) -> None:
        self.events.append((self.version, kind, key, copy.deepcopy(document)))
        self.changed.set()
        self.changed = asyncio.Event()

    @staticmethod
    def _managed(metadata: Body) -> None:
        metadata["managedFields"] = [{"manager": "tests", "operation": "Update", "time": metadata.pop("changed_at", None) or now()}]


class TestFailedError(Exception):
    """A `test` of a JSON patch has failed, so nothing of it is applied."""

    __test__ = False


class UnknownFieldError(Exception):
    """The API server does not select by this field."""


def fits_labels(document: Body, selector: str) -> bool:
    """Whether an object's labels fit a selector of equalities."""
    labels = document["metadata"].get("labels") or {}
    return all(labels.get(term.split("=", 1)[0]) == term.split("=", 1)[1] for term in filter(None, selector.split(",")))


def fits_fields(document: Body, selector: str) -> bool:
    """Whether an object has what a field selector asks for.

    Raises:
        UnknownFieldError: Its kind has no such field to select by.
    """
    known = {"metadata.name": document["metadata"]["name"], "metadata.namespace": document["metadata"]["namespace"]}
    if document["kind"] == "Pod":
        known |= {"status.phase": document.get("status", {}).get("phase"), "spec.nodeName": document["spec"].get("nodeName", "")}
    terms = [term.replace("==", "=").split("=", 1) for term in selector.split(",") if term]
    for name, _value in terms:
        if name not in known:
            raise UnknownFieldError(f"field label not supported: {name}")
    return all(known[name] == value for name, value in terms)


def patched(document: Body, patch: t.Any, kind: str) -> Body:
    """`document` with a patch: `merge` (RFC 7386), `json` (RFC 6902, in part) or `strategic` (lists of named items are merged)."""
    changed = copy.deepcopy(document)
    if kind == "json":
        for operation in patch:
            *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].lstrip("/").split("/")]
            place = changed
            for step in path:
                place = place[int(step)] if isinstance(place, list) else place[step]
            if operation["op"] == "test":
                if (place[int(last)] if isinstance(place, list) else place.get(last)) != operation["value"]:
                    raise TestFailedError
            elif operation["op"] == "remove":
                del place[last]
            else:
                place[last] = copy.deepcopy(operation["value"])
        return changed
    return t.cast("Body", _merged(changed, patch, strategic=kind == "strategic"))


def _merged(here: t.Any, patch: t.Any, strategic: bool) -> t.Any:
    if isinstance(patch, dict):
        result = dict(here) if isinstance(here, dict) else {}
        for name, value in patch.items():
            if value is None:
                result.pop(name, None)
            elif not name.startswith("$"):
                result[name] = _merged(result.get(name), value, strategic)
        return result
    if strategic and isinstance(patch, list) and isinstance(here, list) and all(isinstance(one, dict) and "name" in one for one in patch):
        result_list = [copy.deepcopy(one) for one in here]
        for one in patch:
            place = next((number for number, old in enumerate(result_list) if old.get("name") == one["name"]), None)
            if place is None:
                result_list.append(one)
            else:
                result_list[place] = _merged(result_list[place], one, strategic)
        return result_list
    return copy.deepcopy(patch)
