# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The head of a report: how it is in one sentence, how grave that is, and what to do next."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..checks.model import FAIL, PASS, SEVERITY, UNKNOWN
from ..readable import span
from ..state import spoken
from .document import Section
from .gathered import Gathered

_ADDRESSES = ("phone", "email", "hours")


def headline(known: Gathered, sections: t.Sequence[Section]) -> str:
    """What the sections come to, the worst first, as sentences."""
    told = [one for one in sections if one["summary"]]
    ordered = sorted(told, key=lambda one: -SEVERITY.get(one["verdict"] or PASS, 0))
    return (
        " ".join(f"{one['summary'][:1].upper()}{one['summary'][1:]}." for one in ordered) or "Nothing is configured that could be reported."
    )


def next_steps(known: Gathered, verdict: str, sections: t.Sequence[Section]) -> t.List[str]:
    """What the reader should do now, in order: first who is to be called, then what is to be looked at, the worst first."""
    steps = _respond(known, known.severity) if known.severity else []
    for one in sorted(sections, key=lambda one: -SEVERITY.get(one["verdict"] or PASS, 0)):
        steps += one["steps"]
    if not steps and verdict == FAIL:
        steps.append("Look at the section that failed, below")
    if not steps and verdict == UNKNOWN:
        steps.append("Configure or repair what could not be measured; until then nobody knows whether it is well")
    return steps


def _respond(known: Gathered, severity: t.Mapping[str, t.Any]) -> t.List[str]:
    name, title = str(severity.get("name", "")), str(severity.get("title") or "")
    why = str(severity.get("reason") or severity.get("when") or "")
    within = severity.get("respond_within_s")
    begin = f"{name} {title}".strip() + (f", because {why}" if why else "")
    steps = [f"{begin}: respond within {span(float(within))}, that is by {_clock(known.at + float(within))}" if within else begin]
    called = _called(known, severity)
    if called:
        steps.append(f"Call {'; '.join(called)}")
    later = severity.get("escalate_after_s")
    if later is not None:
        steps.append(f"Still not solved by {_clock(known.at + float(later))} ({span(float(later))})? Escalate{_levels(known)}")
    elif severity.get("escalation"):
        steps.append(f"Escalate: {severity['escalation']}{_levels(known)}")
    elif known.escalation:
        steps.append(f"Escalation{_levels(known)}")
    return steps


def _called(known: Gathered, severity: t.Mapping[str, t.Any]) -> t.List[str]:
    """Contacts for this severity; where no contact names any, the first one that is not somebody else's support."""
    name = str(severity.get("name", ""))
    fitting = [one for one in known.contacts if name in (one.get("severities") or ()) or name in str(one.get("for") or "").split()]
    if not fitting:
        fitting = [one for one in known.contacts if not one.get("external") and not one.get("severities")][:1]
    return [contact(one) for one in fitting[:3]]


def contact(given: t.Mapping[str, t.Any]) -> str:
    """A contact on one line: `On-call engineer (phone ..., e-mail ...)`."""
    ways = [f"{'e-mail' if key == 'email' else key} {given[key]}" for key in _ADDRESSES if given.get(key)]
    return str(given.get("title") or given.get("name") or "?") + (f" ({', '.join(ways)})" if ways else "")


def _levels(known: Gathered) -> str:
    by_name = {str(one.get("name")): one for one in known.contacts}
    said = []
    for level in known.escalation:
        who = str(level.get("title") or level.get("name") or level.get("level") or "")
        person = by_name.get(str(level.get("contact") or ""))
        ways = contact(person)[len(str(person.get("title") or person.get("name") or "?")) :] if person else ""
        after = level.get("after_s")
        said.append(f"{who}{ways}" + (f" after {span(float(after))}" if after else ""))
    return f": {'; '.join(said)}" if said else ""


def _clock(at: float) -> str:
    return spoken(datetime.fromtimestamp(at, timezone.utc))[:16] + " UTC"
