# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The rules of severity, one by one: what a rule looks at, when it is true, what is wrong with its form."""

from __future__ import annotations

import typing as t

from .checks.conditions import number
from .checks.model import FAIL, SEVERITY, UNKNOWN

CHECK, ANY_CHECK, METRIC, EVENT = "check", "any_check_of", "metric", "event"
SUBJECTS = (CHECK, ANY_CHECK, METRIC, EVENT)


def subject_of(rule: t.Mapping[str, t.Any]) -> t.Tuple[str, t.Tuple[str, ...]]:
    """What the rule looks at: one of SUBJECTS, and the names of it."""
    kind = next(key for key in SUBJECTS if rule.get(key) is not None)
    named = rule[kind]
    return kind, tuple(map(str, named)) if kind == ANY_CHECK else (str(named),)


def verdicts_of(rule: t.Mapping[str, t.Any]) -> t.FrozenSet[str]:
    """The verdicts that make the rule true; `fail` when it names none."""
    given = rule.get("verdict")
    if given is None:
        return frozenset((FAIL,))
    return frozenset((given,) if isinstance(given, str) else map(str, given))


def compares(rule: t.Mapping[str, t.Any]) -> bool:
    """Whether the rule holds a metric's number against bounds of its own, instead of looking at the verdict."""
    return rule.get("above") is not None or rule.get("below") is not None


def is_true_for(rule: t.Mapping[str, t.Any], verdict: t.Any, value: t.Optional[float]) -> bool:
    """Whether a check or metric with this verdict and value makes the rule true. Bounds are strict; with both it is between them.

    A number whose verdict is `unknown` (too few observations) is not held against bounds.
    """
    if not compares(rule):
        return verdict in verdicts_of(rule)
    if value is None or verdict == UNKNOWN:
        return False
    above, below = rule.get("above"), rule.get("below")
    return (above is None or value > float(above)) and (below is None or value < float(below))


def shape_mistakes(severities: t.Any, rules: t.Any) -> t.List[str]:
    """What keeps the severities and rules from being applied at all."""
    if not isinstance(severities, (list, tuple)) or not isinstance(rules, (list, tuple)):
        return ["the severities and their rules are lists"]
    found: t.List[str] = []
    names: t.Set[str] = set()
    for position, severity in enumerate(severities, 1):
        name = severity.get("name") if isinstance(severity, t.Mapping) else None
        if not isinstance(name, (str, int)) or isinstance(name, bool) or not str(name).strip():
            found.append(f"severity number {position} has no name")
        elif str(name) in names:
            found.append(f"severity {str(name)[:40]!r} is there twice")
        else:
            names.add(str(name))
            found += [
                f"severity {str(name)[:40]!r}: {key} is not a number of seconds, 0 or more"
                for key in ("respond_within_s", "escalate_after_s")
                if severity.get(key) is not None and not (number(severity[key]) is not None and severity[key] >= 0)
            ]
    for position, rule in enumerate(rules, 1):
        found += [f"{label(rule, position)}: {mistake}" for mistake in _rule_mistakes(rule, names)]
    return found


def label(rule: t.Any, position: int) -> str:
    """The words by which a sentence names a rule; the first has position 1."""
    when = rule.get("when") if isinstance(rule, t.Mapping) else None
    return f"rule number {position}" + (f" ({str(when)[:60]})" if when else "")


_KEYS = frozenset(("severity", "when", "verdict", "above", "below", *SUBJECTS))


def _rule_mistakes(rule: t.Any, severities: t.Set[str]) -> t.List[str]:
    if not isinstance(rule, t.Mapping):
        return ["it is not a dictionary"]
    found = [f"unknown key {str(key)[:40]!r}" for key in rule if key not in _KEYS]
    if str(rule.get("severity")) not in severities:
        found.append(f"there is no severity {str(rule.get('severity'))[:40]!r}")
    subjects = [key for key in SUBJECTS if rule.get(key) is not None]
    if len(subjects) != 1:
        return [*found, f"it names {' and '.join(subjects) or 'nothing'}; it takes one of {', '.join(SUBJECTS)}"]
    named = rule[subjects[0]]
    if subjects[0] == ANY_CHECK:
        if not isinstance(named, (list, tuple)) or not named or not all(isinstance(name, str) and name for name in named):
            found.append("any_check_of is not a list of names")
    elif not isinstance(named, (str, int, float)) or not str(named).strip():
        found.append(f"{subjects[0]} is not a name")
    return found + _term_mistakes(rule, subjects[0])


def _term_mistakes(rule: t.Mapping[str, t.Any], subject: str) -> t.List[str]:
    found = [f"{key} is not a number" for key in ("above", "below") if rule.get(key) is not None and number(rule[key]) is None]
    if compares(rule) and subject != METRIC:
        found.append("above and below are for metrics")
    elif compares(rule) and rule.get("verdict") is not None:
        found.append("it has bounds and verdicts; it takes one of them")
    elif not found and rule.get("above") is not None and rule.get("below") is not None and rule["above"] >= rule["below"]:
        found.append(f"no number is above {rule['above']:g} and below {rule['below']:g}")
    given = rule.get("verdict")
    if given is not None:
        several = (given,) if isinstance(given, str) else given
        if subject == EVENT:
            found.append("an event has no verdict")
        if not isinstance(several, (list, tuple)) or not several or not all(isinstance(one, str) and one in SEVERITY for one in several):
            found.append(f"verdict is not a list of {', '.join(SEVERITY)}")
        elif "pass" in several:
            found.append("what passes has no severity")
    return found
