# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""All rules, in the order in which findings of the same severity are told."""

from __future__ import annotations

import typing as t

from . import rules_dependency, rules_end, rules_engine, rules_host, rules_image, rules_kubernetes, rules_log, rules_systemd
from .model import CAUSE, Clue, Finding, Observation, Rule

_OF_RUNTIMES: t.Tuple[Rule, ...] = (*rules_engine.RULES, *rules_systemd.RULES, *rules_kubernetes.RULES)


def replicas_unknown(seen: Observation) -> t.Iterator[Clue]:
    """What runs is not known, and no rule says why the runtime does not tell."""
    if seen.unanswered and not any(list(rule.look(seen)) for rule in _OF_RUNTIMES if rule.severity == CAUSE):
        yield Clue(
            f"no answer to the question for {seen.unanswered}",
            "ask again, with more time (service_diagnose_timeout_s) or with the rights that it takes (become)",
        )


RULES: t.Tuple[Rule, ...] = (
    *_OF_RUNTIMES,
    Rule("replicas_unknown", CAUSE, "The question what runs had no answer, for a reason that no other rule knows", replicas_unknown),
    *rules_image.RULES,
    *rules_host.RULES,
    *rules_end.RULES,
    *rules_dependency.RULES,
    *rules_log.RULES,
    *rules_dependency.WEAK_RULES,
)
_MOST_OF_ONE = 5
_EVIDENCE = 400


def find(seen: Observation, rules: t.Iterable[Rule] = RULES) -> t.List[Finding]:
    """What the rules find. One that fails is noted in `seen.not_looked_at` and takes nothing from the others."""
    found = []
    for rule in rules:
        try:
            clues = list(rule.look(seen))[:_MOST_OF_ONE]
        except Exception as error:  # whatever a hostile answer does to one rule, the others are to be heard
            seen.not_looked_at.append(f"rule {rule.name}: {type(error).__name__}")
            continue
        for clue in clues:
            evidence = [one[:_EVIDENCE] for one in clue.evidence if one]
            found.append(Finding(rule.name, clue.severity or rule.severity, clue.what.strip(" :."), evidence, clue.next_step))
    return found
