# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From findings to one or two plain sentences and a next step."""

from __future__ import annotations

import typing as t

from .model import CAUSE, LIKELY, NOTE, SEVERITIES, SYMPTOM, Diagnosis, Finding, Observation

_SHOWN_LINES = 3
_REPEATS = ("refused_to_start", "log_last_error")
"""Rules that only repeat in other words what one with a cause has found."""
_OF_RULES = {severity: at for at, severity in enumerate(SEVERITIES)}


def ranked(findings: t.Iterable[Finding]) -> t.List[Finding]:
    """Causes before what probably is one, symptoms after them, notes last; else as the rules come."""
    found = list(findings)
    if any(one.severity == CAUSE for one in found):
        found = [one._replace(severity=SYMPTOM) if one.rule in _REPEATS and one.severity == LIKELY else one for one in found]
    return sorted(found, key=lambda one: _OF_RULES[one.severity])


def state(seen: Observation) -> str:
    """How many replicas run."""
    if seen.unanswered:
        return "what runs is not known"
    judged = any(one.health for one in seen.replicas)
    verb = "runs" if seen.of == 1 else "run"
    healthy = (" and is healthy" if seen.of == 1 else " and are healthy") if judged else ""
    noun = "replica" if seen.of == 1 else "replicas"
    return f"{seen.well} of {seen.of} {noun} {verb}{healthy}"


def conclude(seen: Observation, findings: t.Sequence[Finding]) -> Diagnosis:
    """The diagnosis of what was seen, by what the rules found in it."""
    order = ranked(findings)
    causes = [one for one in order if one.severity in (CAUSE, LIKELY)]
    if seen.is_well and not causes:
        notes = [one for one in order if one.severity == NOTE]
        also = f"; worth a look: {notes[0].what}" if notes else "; nothing was found"
        return Diagnosis(True, _sentence(state(seen) + also), notes[0].next_step if notes else "", order)
    if seen.is_well:
        return Diagnosis(True, _sentence(f"{state(seen)}, but {causes[0].what}"), causes[0].next_step, order)
    begin = f"The service {seen.service} does not run as it should ({state(seen)})"
    if seen.unanswered:
        begin = f"Whether the service {seen.service} runs as it should is not known"
    if causes:
        maybe = "" if causes[0].severity == CAUSE else "probably because "
        text = _sentence(f"{begin}: {maybe}{causes[0].what}")
        further = _further(causes, order)
        return Diagnosis(False, text + (" " + _sentence(further) if further else ""), causes[0].next_step, order)
    symptoms = [one for one in order if one.severity == SYMPTOM]
    what = f"{begin}: {'; '.join(one.what for one in symptoms[:2])}" if symptoms else begin
    step = symptoms[0].next_step if symptoms else "read the logs (procedure service_logs), and ask those who know the service"
    return Diagnosis(False, f"{_sentence(what)} Why is unknown: {_unexplained(seen)}.", step, order)


def _further(causes: t.Sequence[Finding], order: t.Sequence[Finding]) -> str:
    """The next thing worth telling: another cause, else how it shows."""
    others = [one for one in causes[1:] if one.rule != causes[0].rule and one.severity == CAUSE]
    if others:
        return f"Also: {others[0].what}"
    likely = [one for one in causes[1:] if one.rule != causes[0].rule and causes[0].severity == CAUSE]
    if likely:
        return f"It may also matter that {likely[0].what}"
    return next((f"It shows: {one.what}" for one in order if one.severity == SYMPTOM and one.rule not in _REPEATS), "")


def _unexplained(seen: Observation) -> str:
    parts = []
    for replica in seen.unwell[:1]:
        if replica.log:
            parts.append(f"the last lines of {replica.name} are: {' | '.join(replica.log[-_SHOWN_LINES:])}")
        else:
            parts.append(f"{replica.name} left no lines in its log")
    looked = ", ".join(dict.fromkeys(seen.looked_at)) or "nothing"
    return "; ".join([*parts, f"looked at without finding more: {looked}"])


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].upper() + text[1:] + "." if text else ""


__all__ = ["conclude", "ranked", "state"]
