# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Rules of severity that contradict each other.

Every check and metric can be in a few states that the rules tell apart: its verdict, and a number below, at, between and above
the bounds that the rules and thresholds name. In each state it is seen which rules are true; so nothing has to be known of how
bounds can overlap.
"""

from __future__ import annotations

import typing as t

from .checks.conditions import number
from .checks.model import FAIL, PASS, SEVERITY, UNKNOWN, WARN
from .severity_rules import EVENT, METRIC, is_true_for, subject_of

Rule = t.Mapping[str, t.Any]
Labelled = t.Tuple[str, Rule]
State = t.Tuple[str, t.Optional[float]]
_THRESHOLDS = ("warn_above", "warn_below", "fail_above", "fail_below")
_OTHER_WAYS = ("baseline", "conditions", "warn_latency_ms", "fail_latency_ms", "warn_certificate_days", "fail_certificate_days")
"""Keys by which a metric can warn or fail whatever its number is."""


def conflicts(rules: t.Sequence[Labelled], ranks: t.Mapping[str, int], metrics: t.Optional[t.Sequence[Rule]]) -> t.List[str]:
    """What contradicts each other among rules of the right form.

    Args:
        rules: Each with the words by which a sentence names it.
        ranks: Place of each severity, 0 for the gravest.
        metrics: `health_metrics`; None when they are not known.
    """
    known = {str(metric.get("name")): metric for metric in metrics or () if isinstance(metric, t.Mapping)}
    by_subject: t.Dict[t.Tuple[str, str], t.List[Labelled]] = {}
    for label, rule in rules:
        kind, names = subject_of(rule)
        for name in names:
            by_subject.setdefault((kind if kind in (METRIC, EVENT) else "check", name), []).append((label, rule))
    wins: t.Set[str] = set()
    ever_true: t.Set[str] = set()
    upside_down: t.List[str] = []
    for (kind, name), own in by_subject.items():
        states = _states(kind, [rule for _label, rule in own], known.get(name))
        gravest: t.Dict[State, t.Optional[int]] = {}
        for state in states:
            true = [(ranks[str(rule["severity"])], label) for label, rule in own if kind == EVENT or is_true_for(rule, *state)]
            ever_true |= {label for _rank, label in true}
            gravest[state] = min((rank for rank, _label in true), default=None)
            wins |= {label for rank, label in true if rank == gravest[state]}
        upside_down += _upside_down(kind, name, gravest, ranks)
    labels = [label for label, _rule in rules]
    never = [f"{label}: it can never be true, as nothing makes the metric so" for label in labels if label not in ever_true]
    beaten = [f"{label}: it can never win, as a graver rule is true whenever it is" for label in labels if label in ever_true - wins]
    return never + beaten + upside_down


def _states(kind: str, rules: t.Sequence[Rule], metric: t.Optional[Rule]) -> t.List[State]:
    """The states that the rules and the metric's thresholds tell apart."""
    if kind == EVENT:
        return [(FAIL, None)]
    if kind != METRIC:
        return [(verdict, None) for verdict in SEVERITY]
    bounds = [number(rule.get(key)) for rule in rules for key in ("above", "below")]
    thresholds = {key: number((metric or {}).get(key)) for key in _THRESHOLDS}
    values = _representatives([bound for bound in (*bounds, *thresholds.values()) if bound is not None])
    unread: t.List[State] = [(UNKNOWN, None)]
    if metric is None or any(metric.get(key) is not None for key in _OTHER_WAYS):
        return unread + [(verdict, value) for verdict in SEVERITY for value in values]
    return unread + [(_verdict(value, thresholds), value) for value in values] + [(UNKNOWN, value) for value in values]


def _representatives(bounds: t.Sequence[float]) -> t.List[float]:
    """A number for each stretch that the bounds make, the bounds among them."""
    ordered = sorted(set(bounds))
    if not ordered:
        return [0.0]
    between = [low + (high - low) / 2 for low, high in zip(ordered, ordered[1:])]
    step = max(1.0, abs(ordered[0]), abs(ordered[-1]))
    return [ordered[0] - step, *ordered, *between, ordered[-1] + step]


def _verdict(value: float, thresholds: t.Mapping[str, t.Optional[float]]) -> str:
    for verdict in (FAIL, WARN):
        above, below = thresholds[f"{verdict}_above"], thresholds[f"{verdict}_below"]
        if (above is not None and value > above) or (below is not None and value < below):
            return verdict
    return PASS


def _upside_down(kind: str, name: str, gravest: t.Mapping[State, t.Optional[int]], ranks: t.Mapping[str, int]) -> t.Iterator[str]:
    """A warning that is graver than a failure of the same thing, or the only one of the two that has a severity."""
    names = {rank: severity for severity, rank in ranks.items()}
    best: t.Dict[str, t.List[t.Optional[int]]] = {WARN: [], FAIL: []}
    for (verdict, _value), rank in gravest.items():
        if verdict in best:
            best[verdict].append(rank)
    warned = [rank for rank in best[WARN] if rank is not None]
    if not warned or not best[FAIL]:
        return
    failed = [rank for rank in best[FAIL] if rank is not None]
    if not failed:
        yield f"{kind} {name[:60]!r}: a warning is {names[min(warned)]}, and a failure has no severity"
    elif min(warned) < min(failed):
        yield f"{kind} {name[:60]!r}: a warning is {names[min(warned)]}, and a failure only {names[min(failed)]}"
