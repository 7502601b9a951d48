# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The words of an evaluation of alerts: how grave something is, on which terms it is evaluated, what there is to tell."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .profile import EscalationLevel

RAISED, CHANGED, ESCALATED, RESOLVED = "raised", "changed", "escalated", "resolved"
Alert = t.Dict[str, t.Any]
"""What is kept of an alert, JSON types only: see `evaluation._observe`."""


@dataclass(frozen=True)
class Grade:
    """How grave something is by the profile's rules.

    Attributes:
        priority: Name of the severity; empty for none.
        rank: Its place among the severities; 0 is the gravest.
        title: Its title.
        level: Level of notify_channels that is told; empty for none.
        because: Why.
        respond_within_s: Seconds within which somebody answers; None where no time is promised.
        escalates: Whether anybody else is told when it goes on.
        escalate_after_s: Seconds after which the second level is told; None for the levels' own times.
    """

    priority: str = ""
    rank: int = 1000
    title: str = ""
    level: str = ""
    because: str = ""
    respond_within_s: t.Optional[float] = None
    escalates: bool = True
    escalate_after_s: t.Optional[float] = None


@dataclass(frozen=True)
class Terms:
    """How alerts are evaluated.

    Attributes:
        service: What a reader calls the service.
        channels: notify_channels.
        escalation: Levels of escalation, the first one first.
        messages: Words by metric and verdict, `{"error_rate": {"fail": "Error rate critical: {value:.1%}"}}`.
        raise_after: Evaluations in a row that must be bad before an alert is raised.
        resolve_after: Evaluations in a row that must be good before it is resolved.
        unknown_after: Evaluations in a row without an answer after which that is an alert.
        next_steps: The profile's words for what to do, and the procedure, by metric (monitoring_alerts).
    """

    service: str
    channels: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    escalation: t.Sequence[EscalationLevel] = ()
    messages: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    raise_after: int = 1
    resolve_after: int = 1
    unknown_after: int = 3
    next_steps: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Something to tell.

    Attributes:
        kind: RAISED, CHANGED, ESCALATED or RESOLVED.
        key: Of the alert.
        message: One line.
        detail: What to know and to do, as lines.
        levels: Levels of notify_channels that are told.
        addresses: Further addresses that are told, those of a level of escalation.
        severity: `critical` or `warning`.
        priority: Name of the severity of incidents; empty for none.
    """

    kind: str
    key: str
    message: str
    detail: t.Tuple[str, ...]
    levels: t.Tuple[str, ...]
    addresses: t.Tuple[str, ...]
    severity: str
    priority: str

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For a module's result; addresses are left out."""
        return {
            "kind": self.kind,
            "key": self.key,
            "message": self.message,
            "levels": list(self.levels),
            "severity": self.severity,
            "priority": self.priority,
        }
