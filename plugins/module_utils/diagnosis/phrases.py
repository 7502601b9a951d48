# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Rules that know a sentence: what engines, systemd, Kubernetes and programs say when something cannot be."""

from __future__ import annotations

import re
import typing as t

from .model import NOTE, Clue, Condition, Observation, Rule

_OF_NOW = ("failure", "compose", "verify")
ALL = ("failure", "compose", "engine", "registry", "systemd", "verify", "event")
_EVIDENCE = 300


def messages(seen: Observation, sources: t.Sequence[str]) -> t.Iterator[str]:
    """What these sources said, the runtime's word of each replica and Kubernetes' events and conditions among it."""
    yield from (message.text for message in seen.messages if message.source in sources)
    if "engine" in sources or "event" in sources:
        yield from (replica.error for replica in seen.replicas if replica.error)
    if "registry" in sources:
        yield from (image.registry for image in seen.images if image.registry)
    if "event" in sources:
        yield from (condition.message for condition in seen.conditions if condition.message and not _is_over(condition))
    if "log" in sources:
        yield from (line for _name, line in logged(seen))


def _is_over(condition: Condition) -> bool:
    """Whether a condition of Kubernetes says that all is well."""
    return condition.status == "True" and condition.type in ("Ready", "Available", "Progressing", "PodScheduled")


def logged(seen: Observation) -> t.Iterator[t.Tuple[str, str]]:
    """Name of the replica and line, of those that are not well, the newest line first."""
    for replica in seen.unwell:
        for line in reversed(replica.log):
            yield replica.name, line


def said(
    name: str,
    severity: str,
    title: str,
    pattern: str,
    what: str,
    next_step: str,
    *,
    sources: t.Sequence[str] = ALL,
    unless: t.Optional[t.Callable[[Observation], bool]] = None,
) -> Rule:
    """A rule for a sentence that somebody said.

    Args:
        name: The rule's name.
        severity: Its severity.
        title: What it is about, for the documentation.
        pattern: Regular expression, upper and lower case alike.
        what: What is found; `{0}`, `{1}` are the groups of the pattern, `{service}` the service, `{said}` the words around it.
        next_step: What to do, with the same.
        sources: Who may have said it.
        unless: When it is passed over, because another rule says it better.
    """
    compiled = re.compile(pattern, re.IGNORECASE)

    def look(seen: Observation) -> t.Iterator[Clue]:
        if unless is not None and unless(seen):
            return
        for severe in (True, False) if seen.is_well else (None,):
            # Of a service that is well, events and journals tell what is over; what the failed verb or Compose says is of now.
            meant = sources if severe is None else [one for one in sources if (one in _OF_NOW) is severe]
            for text in messages(seen, meant):
                match = compiled.search(text)
                if match:
                    clue = _clue(seen, match, what, next_step, (excerpt(text, match),))
                    yield clue._replace(severity=NOTE) if severe is False else clue
                    return

    return Rule(name, severity, title, look)


def in_log(name: str, severity: str, title: str, pattern: str, what: str, next_step: str) -> Rule:
    """A rule for a phrase in the last lines of a replica that is not well."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def look(seen: Observation) -> t.Iterator[Clue]:
        for replica, line in logged(seen):
            match = compiled.search(line)
            if match:
                yield _clue(seen, match, what, next_step, (f"log of {replica}: {excerpt(line, match)}",))
                return

    return Rule(name, severity, title, look)


def _clue(seen: Observation, match: "t.Match[str]", what: str, next_step: str, evidence: t.Tuple[str, ...]) -> Clue:
    # Not str.format: what was said may itself have braces.
    words = {
        "{service}": seen.service,
        "{said}": evidence[0],
        **{f"{{{at}}}": (group or "").strip() for at, group in enumerate(match.groups())},
    }

    def filled(text: str) -> str:
        return re.sub(r"\{(?:service|said|\d)\}", lambda found: words.get(found.group(), found.group()), text)

    return Clue(filled(what), filled(next_step), evidence)


def excerpt(text: str, match: "t.Match[str]") -> str:
    """What was said around a match, on one line."""
    begin = max(0, min(match.start(), len(text) - _EVIDENCE))
    return ("..." if begin else "") + " ".join(text[begin : begin + _EVIDENCE].split())
