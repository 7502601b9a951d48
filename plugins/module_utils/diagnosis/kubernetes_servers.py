# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The servers that a workload of Kubernetes names in its variables and that are Services of its cluster: has each a ready endpoint?"""

from __future__ import annotations

import re
import typing as t
from functools import partial

from ..service.kubernetes.api import Api, NotAllowed, NotThere
from . import addresses
from .compose_project import items, part
from .model import Address
from .questions import Questions

_Object = t.Mapping[str, t.Any]
_MOST_MAPS = 5
_LABEL = re.compile(r"(?![0-9]+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


class Name(t.NamedTuple):
    """A Service that a host may be; `is_sure` where it can be nothing else of the cluster, as with `db` and `db.prod.svc`."""

    namespace: str
    name: str
    is_sure: bool


def service_of(host: str, namespace: str) -> t.Optional[Name]:
    """The Service that a host is, seen from a namespace; None for one that is outside of the cluster.

    `db.prod` may be a Service or a host of the internet, which only the cluster can tell.
    """
    labels = host.lower().split(".")
    if (len(labels) > 2 and labels[2] != "svc") or not all(map(_LABEL.fullmatch, labels)) or host in addresses.LOOPBACK:
        return None
    return Name(labels[1] if len(labels) > 1 else namespace, labels[0], len(labels) != 2)


def environments_of(workload: _Object, maps: t.Mapping[str, t.Mapping[str, str]]) -> t.List[t.Dict[str, str]]:
    """The variables of each container, as far as its template and these ConfigMaps tell them; those of Secrets are not read."""
    found = []
    for container in items(_pod(workload), "containers"):
        known: t.Dict[str, str] = {}
        for one in items(container, "envFrom"):
            prefix = str(one.get("prefix") or "")
            known.update({prefix + key: value for key, value in maps.get(_map_of(one, "configMapRef"), {}).items()})
        for one in items(container, "env"):
            key = part(part(one, "valueFrom"), "configMapKeyRef").get("key")
            value = maps.get(_map_of(part(one, "valueFrom"), "configMapKeyRef"), {}).get(str(key), "") if key else one.get("value")
            known.pop(str(one.get("name")), None)
            if value:
                known[str(one.get("name"))] = _expanded(str(value), known)
        found.append(known)
    return found


def _expanded(value: str, known: t.Mapping[str, str]) -> str:
    """A value with the variables before it in the places of their names, `$(NAME)`, as the kubelet replaces them."""
    return _VARIABLE.sub(lambda match: known.get(match.group(1), match.group(0)), value)


def maps_of(workload: _Object) -> t.List[str]:
    """Names of the ConfigMaps whose values become variables."""
    named = []
    for container in items(_pod(workload), "containers"):
        named += [_map_of(one, "configMapRef") for one in items(container, "envFrom")]
        named += [_map_of(part(one, "valueFrom"), "configMapKeyRef") for one in items(container, "env")]
    return list(dict.fromkeys(filter(None, named)))[:_MOST_MAPS]


def gather(workload: _Object, namespace: str, api: Api, questions: Questions) -> t.Tuple[t.List[Address], t.Set[str]]:
    """What becomes of the servers that the workload's variables name, and the secrets among the variables."""
    folder = f"/api/v1/namespaces/{namespace}/configmaps"
    asked: t.Dict[str, t.Callable[[], t.Any]] = {
        f"the ConfigMap {name}": partial(_map, api, f"{folder}/{name}") for name in maps_of(workload)
    }
    maps = {name[len("the ConfigMap ") :]: values for name, values in questions.ask(asked).items()}
    aliases = {name for one in items(_pod(workload), "hostAliases") for name in items(one, "hostnames")}
    servers: t.Dict[str, t.Callable[[], t.Any]] = {}
    secrets: t.Set[str] = set()
    for environment in environments_of(workload, maps):
        secrets |= addresses.secrets_in(environment)
        for variable, host, port in addresses.named_in(environment):
            name = service_of(host, namespace)
            if name is not None and host not in aliases:
                servers.setdefault(f"the server {host}:{port}", partial(_ask, api, workload, name, Address(variable, host, port)))
    answers = questions.ask(servers)
    outside = {name for name, answer in answers.items() if answer is None}
    questions.looked_at[:] = [one for one in questions.looked_at if one not in outside]
    return [answers[name] for name in servers if answers.get(name)], secrets


def _map(api: Api, path: str) -> t.Dict[str, str]:
    """The values of a ConfigMap. That one is missing is told by the kubelet."""
    try:
        return {str(key): str(value) for key, value in part(api.get(path), "data").items()}
    except NotThere:
        return {}


def _ask(api: Api, workload: _Object, name: Name, address: Address) -> t.Optional[Address]:
    """What becomes of a server; None where it is no other Service of the cluster."""
    folder = f"namespaces/{name.namespace}"
    try:
        service = api.get(f"/api/v1/{folder}/services/{name.name}")
    except NotThere:
        return address._replace(problem="service", asked_from=f"the namespace {name.namespace}") if name.is_sure else None
    except NotAllowed:
        if name.is_sure:
            raise
        return None
    spec = part(service, "spec")
    if spec.get("type") == "ExternalName" or _is_own(workload, spec, part(service, "metadata").get("namespace")):
        return None
    slices = api.items(f"/apis/discovery.k8s.io/v1/{folder}/endpointslices", f"kubernetes.io/service-name={name.name}")[0]
    ports = {one.get("port") for one in items(spec, "ports")}
    if spec.get("clusterIP") != "None" and address.port not in ports:
        has = ", ".join(map(str, sorted(filter(None, ports)))) or "none"
        return address._replace(problem="service_port", asked_from=f"the Service, whose ports are {has}")
    endpoints = [one for found in slices for one in items(found, "endpoints")]
    # A readiness that nobody knows counts as ready (EndpointConditions of discovery.k8s.io/v1).
    if any(part(one, "conditions").get("ready") is not False for one in endpoints):
        return address._replace(asked_from="its EndpointSlices")
    return address._replace(problem="endpoints", asked_from=f"its EndpointSlices, which have {len(endpoints)} addresses")


def _is_own(workload: _Object, spec: _Object, namespace: t.Any) -> bool:
    """Whether a Service is that of the workload itself: of its own pods' state this says nothing new."""
    labels = part(part(part(part(workload, "spec"), "template"), "metadata"), "labels")
    selector = part(spec, "selector")
    return bool(selector) and namespace == part(workload, "metadata").get("namespace") and selector.items() <= labels.items()


def _pod(workload: _Object) -> _Object:
    return part(part(part(workload, "spec"), "template"), "spec")


def _map_of(source: _Object, kind: str) -> str:
    return str(part(source, kind).get("name") or "")


__all__ = ["environments_of", "gather", "maps_of", "service_of"]
