# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How grave it is: the profile's rules applied to what checks and metrics said, and to events that a person or procedure gives.

Pure functions. `severity_mistakes` has what is wrong with the rules themselves.
"""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field

from .checks.conditions import number
from .errors import BadInput
from .severity_rules import ANY_CHECK, CHECK, EVENT, METRIC, is_true_for, label, shape_mistakes, subject_of

Results = t.Sequence[t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Severity:
    """A severity of the profile, and why it is this one.

    Attributes:
        name: Such as `P1`.
        title: In words.
        rank: Its place among the severities; 0 is the gravest.
        respond_within_s: Seconds within which somebody answers; None where no time is promised.
        escalate_after_s: Seconds after which it goes to the next level; None where no time is promised.
        notify: Level in `notify_channels`; empty for none.
        reasons: Why: the `when` of each rule of this severity that is true, with the numbers.
        more: The severity's other keys, such as `alias`, `response` and `escalation`.
    """

    name: str
    title: str
    rank: int
    respond_within_s: t.Optional[float]
    escalate_after_s: t.Optional[float]
    notify: str
    reasons: t.Tuple[str, ...]
    more: t.Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)

    def as_dict(self) -> t.Dict[str, t.Any]:
        """JSON types, for results and records."""
        return {
            **self.more,
            "name": self.name,
            "title": self.title,
            "rank": self.rank,
            "respond_within_s": self.respond_within_s,
            "escalate_after_s": self.escalate_after_s,
            "notify": self.notify,
            "reasons": list(self.reasons),
            "reason": self.reason,
        }


def severity_of(
    severities: Results, rules: Results, checks: Results = (), metrics: Results = (), events: t.Iterable[str] = ()
) -> t.Optional[Severity]:
    """The gravest severity of which a rule is true; None when no rule is.

    Args:
        severities: `incident_severities`, the gravest first.
        rules: `incident_severity_rules`, in any order.
        checks: Results of checks: `name`, `verdict`, `reason`. A check of which there is no result makes no rule true.
        metrics: Results of metrics: `name`, `verdict`, `value`, `reason`. A metric without a value is neither above nor below anything.
        events: Names of what has happened, such as `security_breach`.

    Raises:
        BadInput: The rules cannot be applied (`severity_mistakes` says more); nothing is guessed.
    """
    broken = shape_mistakes(severities, rules)
    if broken:
        raise refused(broken)
    said = _Said(_by_name(checks), _by_name(metrics), frozenset(map(str, events)))
    ranks = _ranks(severities)
    reasons: t.Dict[int, t.List[str]] = {}
    for rule in rules:
        why = _why(rule, said)
        if why:
            reasons.setdefault(ranks[str(rule["severity"])], []).append(why)
    if not reasons:
        return None
    gravest = min(reasons)
    return _severity(severities[gravest], gravest, reasons[gravest])


def refused(mistakes: t.Sequence[str]) -> BadInput:
    """The error for rules with these mistakes."""
    return BadInput(
        f"The rules of severity have {len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}",
        why="; ".join(mistakes[:30]) + (f"; and {len(mistakes) - 30} more" if len(mistakes) > 30 else ""),
        next_step="correct incident_severities and incident_severity_rules in the profile; nothing was asked",
        facts={"mistakes": list(mistakes[:30])},
    )


class _Said(t.NamedTuple):
    """What there is to judge."""

    checks: t.Mapping[str, t.Mapping[str, t.Any]]
    metrics: t.Mapping[str, t.Mapping[str, t.Any]]
    events: t.FrozenSet[str]


def _why(rule: t.Mapping[str, t.Any], said: _Said) -> str:
    """Why the rule is true; empty when it is not."""
    kind, names = subject_of(rule)
    if kind == EVENT:
        return f"{_when(rule)} (event {names[0]})" if names[0] in said.events else ""
    results = said.metrics if kind == METRIC else said.checks
    true = [
        results[name]
        for name in names
        if name in results and is_true_for(rule, results[name].get("verdict"), number(results[name].get("value")))
    ]
    if not true:
        return ""
    told = ", ".join(_told(result) for result in true[:5]) + (f" and {len(true) - 5} more" if len(true) > 5 else "")
    return f"{_when(rule)} ({told})"


def _told(result: t.Mapping[str, t.Any]) -> str:
    name, reason = str(result.get("name")), str(result.get("reason") or "")
    if reason:
        # A metric's reason begins with its title, that of a check does not say whose it is.
        return reason if reason.startswith((name, str(result.get("title") or name))) else f"{name}: {reason}"
    return f"{name} is {result.get('verdict')}"


def _when(rule: t.Mapping[str, t.Any]) -> str:
    kind, names = subject_of(rule)
    return str(rule.get("when") or f"{kind} {', '.join(names)}")


def _by_name(results: Results) -> t.Dict[str, t.Mapping[str, t.Any]]:
    return {str(result["name"]): result for result in results if isinstance(result, t.Mapping) and result.get("name")}


def _ranks(severities: Results) -> t.Dict[str, int]:
    return {str(severity["name"]): rank for rank, severity in enumerate(severities)}


def _severity(written: t.Mapping[str, t.Any], rank: int, reasons: t.Sequence[str]) -> Severity:
    own = ("name", "title", "respond_within_s", "escalate_after_s", "notify")
    return Severity(
        name=str(written["name"]),
        title=str(written.get("title") or written["name"]),
        rank=rank,
        respond_within_s=number(written.get("respond_within_s")),
        escalate_after_s=number(written.get("escalate_after_s")),
        notify=str(written.get("notify") or ""),
        reasons=tuple(reasons),
        more={str(key): value for key, value in written.items() if key not in own},
    )


def severity_mistakes(
    severities: t.Any,
    rules: t.Any,
    *,
    checks: t.Optional[t.Sequence[t.Mapping[str, t.Any]]] = None,
    metrics: t.Optional[t.Sequence[t.Mapping[str, t.Any]]] = None,
    channels: t.Optional[t.Iterable[str]] = None,
) -> t.List[str]:
    """Everything that is wrong with the severities and their rules, one sentence each; empty when they are sound.

    Besides wrong forms and names that do not exist, these are contradictions: a rule that can never be true or never win
    because a graver one is true whenever it is, and a worse verdict that has a lesser severity than a better one.

    Args:
        severities: `incident_severities`.
        rules: `incident_severity_rules`.
        checks: `health_checks`; None when they are not known.
        metrics: `health_metrics`; None when they are not known.
        channels: Levels of `notify_channels`; None when they are not known.
    """
    found = shape_mistakes(severities, rules)
    if found:
        return found
    from .severity_conflicts import conflicts

    labelled = [(label(rule, position), rule) for position, rule in enumerate(rules, 1)]
    for known, kinds, what in ((checks, (CHECK, ANY_CHECK), "check"), (metrics, (METRIC,), "metric")):
        if known is None:
            continue
        names = {str(item.get("name")) for item in known if isinstance(item, t.Mapping)}
        found += [
            f"{words}: there is no {what} {name[:60]!r}"
            for words, rule in labelled
            if subject_of(rule)[0] in kinds
            for name in subject_of(rule)[1]
            if name not in names
        ]
    if channels is not None:
        there = set(map(str, channels))
        found += [
            f"severity {severity['name']!r}: notify_channels has no level {str(severity['notify'])[:40]!r}"
            for severity in severities
            if severity.get("notify") and str(severity["notify"]) not in there
        ]
    found += _order_mistakes(severities)
    return found + conflicts(labelled, _ranks(severities), metrics)


def _order_mistakes(severities: Results) -> t.List[str]:
    """A graver severity that is answered later than a lesser one."""
    found = []
    for graver, lesser in zip(severities, severities[1:]):
        times = [number(severity.get("respond_within_s")) for severity in (graver, lesser)]
        if (math.inf if times[0] is None else times[0]) > (math.inf if times[1] is None else times[1]):
            found.append(f"severity {graver['name']!r} is graver than {lesser['name']!r}, and answered later")
    return found
