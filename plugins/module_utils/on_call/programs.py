# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Programs on this machine, and contexts of the kubeconfig: are they there, and do they answer?"""

from __future__ import annotations

import typing as t

from ..command import Command, Place, run
from ..errors import RunbookError
from ..place import place_from
from ..profile.finding import clip, items, mapping, texts
from .item import GOOD, ROTTEN, Item

_VERSION = {"kubectl": ("version", "--client=true"), "rclone": ("version",), "git": ("--version",), "caddy": ("version",)}
_LOOK_S = 20.0


def tools(variables: t.Mapping[str, t.Any], timeout_s: float = _LOOK_S) -> t.List[Item]:
    """Every program that the profile's procedures call, started once to tell its version."""
    return [
        _tool(name, place, why, timeout_s) for (name, place), why in sorted(_wanted(variables).items(), key=lambda entry: str(entry[0]))
    ]


def _wanted(variables: t.Mapping[str, t.Any]) -> t.Dict[t.Tuple[str, Place], str]:
    """Program and place -> what it is for."""
    found: t.Dict[t.Tuple[str, Place], str] = {}
    here = Place()
    runtime = variables.get("service_runtime")
    if runtime == "kubernetes":
        found["kubectl", here] = "the service runs on Kubernetes"
    elif runtime == "compose":
        found["docker", here] = "the service runs on Docker Compose"
    elif runtime == "systemd":
        found["systemctl", here] = "the service is a unit of systemd"
    for _position, store in items(variables.get("backup_stores")):
        place = place_from({**store, "pod": ""} if store.get("container") else store)
        if not place.is_host:
            where = "a pod" if place.pod else "a container"
            found["kubectl" if place.pod else place.engine, here] = f"the store {clip(store.get('name'), 40)} is in {where}"
        if store.get("kind") == "postgresql":
            for program in ("psql", "pg_dump", "pg_restore"):
                found[program, place] = f"backup and restore of {clip(store.get('name'), 40)}"
    offsite = mapping(variables.get("backup_offsite"))
    if offsite:
        found["rclone", Place(tool_folder=str(offsite.get("tool_folder") or ""))] = "copies in the object store"
    for name in texts(variables.get("service_runtime_tools")):
        found[name, here] = "the profile names it (service_runtime_tools)"
    for _position, entry in items(variables.get("incident_on_call_checklist")):
        if isinstance(entry.get("tool"), str) and entry["tool"]:
            found[entry["tool"], here] = f"{clip(entry.get('title'), 80)}"
    return found


def _tool(name: str, place: Place, why: str, timeout_s: float) -> Item:
    shown = name if place.is_host else f"{name} in {place}"
    if not name or "/" in name or name.startswith("-"):
        return Item("tool", clip(name, 60), ROTTEN, "that is no name of a program", "correct the profile")
    try:
        done = run(Command([place.program(name), *_VERSION.get(name, ("--version",))], place=place, timeout_s=timeout_s))
    except RunbookError as error:
        return Item("tool", shown, ROTTEN, f"{error.what}: {clip(error.why or error.where, 200)} ({why})", error.next_step or "install it")
    said = (done.stdout or done.stderr).strip().splitlines()
    return Item("tool", shown, GOOD, clip(said[0], 100) if said else "answers")


def contexts(variables: t.Mapping[str, t.Any], timeout_s: float = _LOOK_S) -> t.List[Item]:
    """Every context of the kubeconfig that the profile names: is it there, does its cluster answer, may we look at pods?"""
    wanted: t.Dict[str, str] = {}
    if isinstance(variables.get("service_kube_context"), str) and variables.get("service_runtime") == "kubernetes":
        wanted[variables["service_kube_context"]] = str(variables.get("service_kube_namespace") or "")
    for name in ("health_checks", "backup_stores", "service_logs"):
        for _position, item in items(variables.get(name)):
            if isinstance(item.get("kube_context"), str):
                wanted.setdefault(item["kube_context"], str(item.get("namespace") or item.get("pod_namespace") or ""))
    for _position, entry in items(variables.get("incident_on_call_checklist")):
        if isinstance(entry.get("kube_context"), str) and variables.get("service_runtime") == "kubernetes":
            wanted.setdefault(entry["kube_context"], "")
    return [_context(name, namespace, timeout_s) for name, namespace in wanted.items() if name]


def _context(name: str, namespace: str, timeout_s: float) -> Item:
    limit = f"--request-timeout={timeout_s:g}s"
    try:
        known = run(Command([Place().program("kubectl"), "config", "get-contexts", "--output=name"], timeout_s=timeout_s)).stdout.split()
        if name not in known:
            there = f"it has {', '.join(known[:10])}" if known else "it has none"
            return Item("context", name, ROTTEN, f"the kubeconfig has no such context; {there}", "get the kubeconfig of that cluster")
        place = [f"--namespace={namespace}"] if namespace else []
        # `kubectl auth can-i` asks the API server itself (SelfSubjectAccessReview) and changes nothing.
        asked = Command(["kubectl", f"--context={name}", *place, limit, "auth", "can-i", "get", "pods"], timeout_s=timeout_s + 5)
        done = run(asked, check=False)
    except RunbookError as error:
        return Item("context", name, ROTTEN, f"{error.what}: {clip(error.why or error.where, 200)}", error.next_step)
    if done.stdout.strip().startswith("yes"):
        return Item("context", name, GOOD, "the cluster answers, and pods may be looked at")
    said = clip(done.stderr or done.stdout, 200) or "no answer"
    refused = done.stdout.strip().startswith("no")
    why = "the cluster answers, and this account may not look at pods" if refused else f"the cluster cannot be asked: {said}"
    return Item(
        "context", name, ROTTEN, why, "renew the credentials of the context" if refused else "see whether the cluster can be reached"
    )
