# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where alerts begin: the thresholds of a metric, and the points at which the severity rules name another priority."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass

from ..severity_rules import METRIC, is_true_for
from .expression import NotInPrometheus, number

ABOVE, BELOW = "above", "below"
WARNING, CRITICAL, INFO = "warning", "critical", "info"
OF_VERDICT: t.Mapping[str, str] = {"warn": WARNING, "fail": CRITICAL, "pass": INFO}
"""The severity label of an alert by the verdict of the metric. What no threshold calls bad, but a severity rule names, is `info`."""


@dataclass(frozen=True)
class Threshold:
    """A point beyond which there is something to say.

    Attributes:
        direction: `above` or `below`: which side of the limit is bad; the limit itself is not (strict comparison).
        limit: The number, in the unit of the metric.
        verdict: What the metric's own thresholds say just beyond it: `warn`, `fail` or `pass`.
        priority: Name of the gravest severity whose rule is true there; empty for none.
        because: The words of that rule.
    """

    direction: str
    limit: float
    verdict: str
    priority: str = ""
    because: str = ""

    @property
    def severity(self) -> str:
        """Value of the label `severity`."""
        return OF_VERDICT[self.verdict]


def thresholds_of(
    metric: t.Mapping[str, t.Any], severities: t.Sequence[t.Mapping[str, t.Any]], rules: t.Sequence[t.Mapping[str, t.Any]]
) -> t.List[Threshold]:
    """All points of a metric, the mildest first in each direction.

    Args:
        metric: An entry of health_metrics.
        severities: incident_severities, the gravest first.
        rules: incident_severity_rules.

    Raises:
        NotInPrometheus: A threshold is no finite number.
    """
    own_rules = [rule for rule in rules if rule.get(METRIC) == metric.get("name")]
    own = {direction: _own(metric, direction) for direction in (ABOVE, BELOW)}
    found = []
    for direction in (ABOVE, BELOW):
        # A rule such as "below 5 %: cosmetic" belongs to a metric whose bad side is above; it is no reason to alert on good values.
        if not own[direction] and any(own.values()):
            continue
        limits = {limit for limit, _verdict in own[direction]}
        limits |= {float(number(rule[direction])) for rule in own_rules if rule.get(direction) is not None}
        for limit in sorted(limits, reverse=direction == BELOW):
            beyond = math.nextafter(limit, math.inf if direction == ABOVE else -math.inf)
            verdict = _verdict(own[direction], direction, beyond)
            priority, because = _priority(severities, own_rules, beyond, verdict)
            found.append(Threshold(direction, limit, verdict, priority, because))
    return _without_repetition(found)


def _own(metric: t.Mapping[str, t.Any], direction: str) -> t.List[t.Tuple[float, str]]:
    given = ((metric.get(f"{verdict}_{direction}"), verdict) for verdict in ("warn", "fail"))
    return [(float(number(limit)), verdict) for limit, verdict in given if limit is not None]


def _verdict(own: t.Sequence[t.Tuple[float, str]], direction: str, value: float) -> str:
    verdicts = {verdict for limit, verdict in own if (value > limit if direction == ABOVE else value < limit)}
    return "fail" if "fail" in verdicts else "warn" if "warn" in verdicts else "pass"


def _priority(
    severities: t.Sequence[t.Mapping[str, t.Any]], rules: t.Sequence[t.Mapping[str, t.Any]], value: float, verdict: str
) -> t.Tuple[str, str]:
    order = [str(severity.get("name")) for severity in severities if isinstance(severity, t.Mapping)]
    true = [rule for rule in rules if is_true_for(rule, verdict, value)]
    known = [rule for rule in true if str(rule.get("severity")) in order]
    if not known:
        return "", ""
    gravest = min(known, key=lambda rule: order.index(str(rule["severity"])))
    return str(gravest["severity"]), str(gravest.get("when") or "")


def _without_repetition(found: t.Sequence[Threshold]) -> t.List[Threshold]:
    """A point is of use where its severity or priority is another than at the milder point before it."""
    kept: t.List[Threshold] = []
    for one in found:
        before = next((other for other in reversed(kept) if other.direction == one.direction), None)
        if before is not None and (before.verdict, before.priority) == (one.verdict, one.priority):
            continue
        if one.verdict == "pass" and not one.priority:
            continue
        kept.append(one)
    return kept


__all__ = ["ABOVE", "BELOW", "CRITICAL", "INFO", "OF_VERDICT", "WARNING", "NotInPrometheus", "Threshold", "thresholds_of"]
