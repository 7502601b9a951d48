# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The kinds of reports, and what each is made of."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..checks.model import PASS
from ..readable import span
from ..state import spoken, utc_text
from . import around, present
from .action import headline, next_steps
from .capacity import capacity
from .document import Section, whole
from .gathered import Gathered
from .logs import logs, rotation, security
from .objectives import objectives
from .performance import performance
from .recovery import recovery

FORMAT = "sre.runbooks/report/1"
_HOUR_S, _DAY_S = 3600.0, 86_400.0


class Kind(t.NamedTuple):
    """A kind of report.

    Attributes:
        title: Its name for readers.
        window_s: How far back it looks, in seconds, when nothing else is said.
        parts: What makes its sections.
    """

    title: str
    window_s: float
    parts: t.Callable[[Gathered], t.List[Section]]


def _morning(known: Gathered) -> t.List[Section]:
    return [
        present.questions(known),
        around.alerts(known),
        present.checks(known),
        present.metrics(known),
        logs(known),
        present.over_time(known, f"The last {span(known.window_s)}"),
        around.runs(known),
        *around.tasks(known),
    ]


def _evening(known: Gathered) -> t.List[Section]:
    return [
        present.questions(known),
        around.backups(known),
        around.alerts(known),
        present.checks(known),
        present.metrics(known),
        security(known),
        rotation(known),
        logs(known),
        present.over_time(known, "The day"),
        around.runs(known),
        *around.tasks(known),
    ]


def _weekly(known: Gathered) -> t.List[Section]:
    return [
        *_first(objectives(known, known.window_s)),
        present.checks(known),
        present.metrics(known),
        around.alerts(known),
        around.backups(known),
        *_first(capacity(known)),
        security(known),
        rotation(known),
        logs(known),
        present.over_time(known, "The week"),
        around.runs(known),
        *around.tasks(known),
    ]


def _objectives(known: Gathered) -> t.List[Section]:
    return [*objectives(known), around.alerts(known)]


def _capacity(known: Gathered) -> t.List[Section]:
    return capacity(known)


def _performance(known: Gathered) -> t.List[Section]:
    found = performance(known)
    kept = _first(objectives(known, known.window_s))
    return [*kept, *found[:1], logs(known), *found[1:]]


def _recovery(known: Gathered) -> t.List[Section]:
    return recovery(known)


def _first(sections: t.List[Section]) -> t.List[Section]:
    """The overview of several sections; the charts belong to a report of their own."""
    return sections[:1]


KINDS: t.Mapping[str, Kind] = {
    "morning_check": Kind("Morning check", 15 * _HOUR_S, _morning),
    "evening_summary": Kind("Evening summary", _DAY_S, _evening),
    "weekly_report": Kind("Weekly report", 7 * _DAY_S, _weekly),
    "slo_report": Kind("Service level report", 30 * _DAY_S, _objectives),
    "capacity_report": Kind("Capacity report", 30 * _DAY_S, _capacity),
    "performance_report": Kind("Performance report", 7 * _DAY_S, _performance),
    "recovery_report": Kind("Recovery report", 90 * _DAY_S, _recovery),
}
"""By name. The morning looks back to 18:00 of the evening before, when the last summary was made."""


def document(known: Gathered) -> t.Dict[str, t.Any]:
    """The report: format, kind, title, service, moment, window, verdict, severity, headline, next steps, facts, sections."""
    kind = KINDS[known.kind]
    sections = kind.parts(known)
    verdict = whole(sections)
    since, until = (datetime.fromtimestamp(at, timezone.utc) for at in known.window)
    environment = str(known.service.get("environment") or "")
    severity = {"name": "", "title": "", **known.severity} if known.severity else None
    facts = [("Made at", spoken(until)), ("Looks back to", f"{spoken(since)} ({span(known.window_s)})"), ("Environment", environment)]
    steps = next_steps(known, verdict, sections)
    return {
        "format": FORMAT,
        "kind": known.kind,
        "title": kind.title,
        "service": {key: known.service.get(key) or "" for key in ("name", "title", "environment")},
        "at": utc_text(until),
        "since": utc_text(since),
        "verdict": verdict,
        "severity": severity,
        "headline": headline(known, sections),
        "next_steps": steps or ["Nothing: all is well" if verdict == PASS else "Read the sections that are marked, below"],
        "facts": [{"name": name, "text": text} for name, text in facts if text],
        "sections": sections,
        "footer": "Times are UTC. What is unknown was not measured and never counts as good.",
    }
