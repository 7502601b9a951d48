# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Logs that a program has to be asked for: of containers, Compose services, Kubernetes workloads, the systemd journal."""

from __future__ import annotations

import json
import os
import typing as t

from ..command import Command, run
from ..errors import BadInput, Unreachable
from .model import Plan, Source
from .reading import Clock
from .segments import Segment
from .times import iso

_JOURNAL_FIELDS = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_PID"
_ASKING_S = 30.0
_MOST_PODS = 200


def segments_of(source: Source, place: int, plan: Plan, stream: int, clock: Clock) -> t.List[Segment]:
    """The segments of a log that is no file of this host.

    Args:
        source: The log.
        place: Its place among the plan's.
        plan: The scan; its window is passed on to the program where it knows one.
        stream: Number of the first stream.
        clock: The time that there is.

    Raises:
        RunbookError: The log cannot be found.
    """
    if source.paths:
        return [
            Segment(stream + number, place, source.format, path, argv=["cat", "--", path], place=_container(source), newest=plan.now)
            for number, path in enumerate(source.paths)
        ]
    if source.container:
        window = _window(plan, "--since", "--until")
        argv = [source.engine, "logs", "--timestamps", *window, "--", source.container]
        return [_of_engine(stream, place, source, f"container {source.container}", argv, plan, both=True)]
    if source.compose_service:
        return [_of_compose(stream, place, source, plan)]
    if source.kubernetes_workload:
        return _of_kubernetes(stream, place, source, plan, clock)
    return [_of_journal(stream, place, source, plan)]


def _container(source: Source) -> t.Dict[str, str]:
    return {"container": source.container, "engine": source.engine}


def _window(plan: Plan, since: str, until: str) -> t.List[str]:
    """The window in the words of docker; a little wider, as its own times are those of writing."""
    found: t.List[str] = []
    if plan.since is not None:
        found += [since, str(iso(int(plan.since) - 1.0))]
    if plan.until is not None:
        found += [until, str(iso(int(plan.until) + 2.0))]
    return found


def _of_engine(
    stream: int, place: int, source: Source, label: str, argv: t.List[str], plan: Plan, *, both: bool = False, folder: str = ""
) -> Segment:
    return Segment(
        stream, place, source.format, label, argv=argv, both=both, stamped=True, newest=plan.now, folder=folder
    )  # fmt: skip


def _of_compose(stream: int, place: int, source: Source, plan: Plan) -> Segment:
    if source.project_folder and not os.path.isdir(source.project_folder):
        raise BadInput("The folder of the Compose project is not there", where=source.project_folder, next_step="correct project_folder")
    files = [part for path in source.compose_files for part in ("--file", path)]
    argv = [source.engine, "compose", *files, "logs", "--no-color", "--no-log-prefix", "--timestamps"]
    argv += [*_window(plan, "--since", "--until"), "--", source.compose_service]
    return _of_engine(stream, place, source, f"service {source.compose_service}", argv, plan, folder=source.project_folder)


def kubectl_of(source: Source) -> t.List[str]:
    """The beginning of each call of kubectl."""
    return [
        "kubectl",
        *(["--context", source.kube_context] if source.kube_context else []),
        *(["--namespace", source.namespace] if source.namespace else []),
    ]


def _of_kubernetes(stream: int, place: int, source: Source, plan: Plan, clock: Clock) -> t.List[Segment]:
    """A stream for each container of each pod: kubectl itself would read one pod of a workload only, and ten lines of many."""
    found: t.List[Segment] = []
    for pod, containers in pods_of(source, clock):
        for container in [source.pod_container] if source.pod_container else containers:
            argv = [*kubectl_of(source), "logs", pod, "--container", container, "--timestamps"]
            argv += ["--previous"] if source.previous else []
            argv += ["--since-time", str(iso(int(plan.since) - 1.0))] if plan.since is not None else []
            label = f"container {container} of pod {pod}"
            found.append(_of_engine(stream + len(found), place, source, label, argv, plan))
    return found


def pods_of(source: Source, clock: Clock) -> t.List[t.Tuple[str, t.List[str]]]:
    """The pods of a workload, each with its containers."""
    kind, _slash, name = source.kubernetes_workload.rpartition("/")
    if not kind or kind.lower() in ("pod", "pods", "po"):
        items = [_asked([*kubectl_of(source), "get", "pod", name, "--output", "json"], source, clock)]
    else:
        workload = _asked([*kubectl_of(source), "get", kind, name, "--output", "json"], source, clock)
        labels = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        if not labels:
            raise BadInput("The workload does not say which pods are its own", where=source.kubernetes_workload, next_step="name a pod")
        selector = ",".join(f"{label}={value}" for label, value in sorted(labels.items()))
        listed = _asked([*kubectl_of(source), "get", "pods", "--selector", selector, "--output", "json"], source, clock)
        items = list(listed.get("items") or [])
    pods: t.List[t.Tuple[str, t.List[str]]] = []
    for item in items[:_MOST_PODS]:
        containers = [str(container.get("name")) for container in (item.get("spec") or {}).get("containers") or []]
        pods.append((str((item.get("metadata") or {}).get("name")), containers))
    if not pods:
        raise Unreachable("The workload has no pods", where=source.kubernetes_workload, next_step="see why none is running")
    return pods


def _asked(argv: t.List[str], source: Source, clock: Clock) -> t.Dict[str, t.Any]:
    done = run(Command(argv, timeout_s=max(0.1, min(_ASKING_S, clock.left_s))))
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Unreachable("kubectl answered with something that is no JSON object", where=source.kubernetes_workload)
    return document


def _of_journal(stream: int, place: int, source: Source, plan: Plan) -> Segment:
    argv = ["journalctl", "--output", "json", "--output-fields", _JOURNAL_FIELDS, "--no-pager", "--quiet", "--all"]
    argv += ["--directory", source.journal_folder] if source.journal_folder else []
    argv += ["--unit", source.systemd_unit]
    argv += ["--since", f"@{int(plan.since)}"] if plan.since is not None else []
    argv += ["--until", f"@{int(plan.until) + 1}"] if plan.until is not None else []
    return Segment(stream, place, "journal", f"journal of {source.systemd_unit}", argv=argv, newest=plan.now)
