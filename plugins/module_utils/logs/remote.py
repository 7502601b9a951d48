# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Logs that a program has to be asked for: of containers, Compose services, Kubernetes workloads, the systemd journal."""

from __future__ import annotations

import os
import typing as t

from ..errors import BadInput
from .model import Plan, Source
from .reading import Clock
from .segments import Segment
from .times import iso

_JOURNAL_FIELDS = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_PID"


def segments_of(source: Source, place: int, plan: Plan, stream: int, clock: Clock, note: t.Callable[[str], None]) -> t.List[Segment]:
    """The segments of a log that is no file of this host.

    Args:
        source: The log.
        place: Its place among the plan's.
        plan: The scan; its window is passed on to the program where it knows one.
        stream: Number of the first stream.
        clock: The time that there is.
        note: Takes what the reader must know.

    Raises:
        RunbookError: The log cannot be found.
    """
    if source.paths:
        program = ["tail", "-n", str(plan.last_lines)] if plan.last_lines else ["cat"]
        return [
            Segment(stream + number, place, source.format, path, argv=[*program, "--", path], place=_container(source), newest=plan.now)
            for number, path in enumerate(source.paths)
        ]
    if source.container:
        argv = [source.engine, "logs", "--timestamps", *_window(plan), "--", source.container]
        return [_of_engine(stream, place, source, f"container {source.container}", argv, plan, both=True)]
    if source.compose_service:
        return [_of_compose(stream, place, source, plan)]
    if source.kubernetes_workload:
        return _of_kubernetes(stream, place, source, plan, clock, note)
    return [_of_journal(stream, place, source, plan)]


def _container(source: Source) -> t.Dict[str, str]:
    return {"container": source.container, "engine": source.engine}


def _window(plan: Plan) -> t.List[str]:
    """The window in the words of docker; a little wider, as its own times are those of writing."""
    found: t.List[str] = []
    if plan.since is not None:
        found += ["--since", str(iso(int(plan.since) - 1.0))]
    if plan.until is not None:
        found += ["--until", str(iso(int(plan.until) + 2.0))]
    return found + (["--tail", str(plan.last_lines)] if plan.last_lines else [])


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
    argv += [*_window(plan), "--", source.compose_service]
    return _of_engine(stream, place, source, f"service {source.compose_service}", argv, plan, folder=source.project_folder)


def _of_kubernetes(stream: int, place: int, source: Source, plan: Plan, clock: Clock, note: t.Callable[[str], None]) -> t.List[Segment]:
    """A stream for each container of each pod."""
    from .pods import Clusters, request_for  # its package takes half a second to load

    since = str(iso(int(plan.since) - 1.0)) if plan.since is not None else None
    last = str(plan.last_lines) if plan.last_lines else None
    return [
        Segment(
            stream + number, place, source.format, f"container {log.container} of pod {log.pod}", stamped=True, newest=plan.now,
            pod=request_for(source, log, timestamps="true", sinceTime=since, tailLines=last),
        )
        for number, log in enumerate(Clusters(clock).logs_of(source, note))
    ]  # fmt: skip


def _of_journal(stream: int, place: int, source: Source, plan: Plan) -> Segment:
    argv = ["journalctl", "--output", "json", "--output-fields", _JOURNAL_FIELDS, "--no-pager", "--quiet", "--all"]
    argv += ["--directory", source.journal_folder] if source.journal_folder else []
    argv += ["--unit", source.systemd_unit]
    argv += ["--since", f"@{int(plan.since)}"] if plan.since is not None else []
    argv += ["--until", f"@{int(plan.until) + 1}"] if plan.until is not None else []
    argv += ["--lines", str(plan.last_lines)] if plan.last_lines else []
    return Segment(stream, place, "journal", f"journal of {source.systemd_unit}", argv=argv, newest=plan.now)
