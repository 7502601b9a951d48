# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From one evaluation to the next: an alert is raised once, told again when it gets worse, and resolved once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.evaluation import evaluate
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.evaluation_model import Event, Grade, Terms
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.profile import EscalationLevel
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.words import formatted, message

CHANNELS = {"critical": ["slack://team-alerts"], "warning": ["slack://monitoring"]}
LEVELS = [
    EscalationLevel(1, "On call", 0),
    EscalationLevel(2, "Lead", 900, addresses=["email://lead@x.y"]),
    EscalationLevel(3, "Boss", 3600),
]


def metric(verdict: str, value: float | None = None, name: str = "error_rate", **more: Any) -> dict[str, Any]:
    """A result of metrics_gate."""
    thresholds = {"warn_above": 0.05, "fail_above": 0.15}
    return {"name": name, "title": "Error rate", "unit": "ratio", "verdict": verdict, "value": value, "thresholds": thresholds, **more}


def by_verdict(_kind: str, result: Any) -> Grade:
    """P1 above a quarter, P2 for a failure, P3 for a warning."""
    if (result.get("value") or 0) > 0.25:
        return Grade("P1", 0, "Down", "critical", "more than a quarter", 300, True, 0)
    return Grade("P2", 1, "Impaired", "critical") if result["verdict"] == "fail" else Grade("P3", 2, "Minor", "warning", escalates=False)


class Service:
    """Evaluations one after the other."""

    def __init__(self, **terms: Any) -> None:
        self.terms = Terms(**{"service": "InsightHub", "channels": CHANNELS, **terms})
        self.kept: dict[str, Any] = {}
        self.now = 1_000_000.0

    def sees(self, *metrics: dict[str, Any], checks: tuple[dict[str, Any], ...] = (), after_s: float = 300) -> list[Event]:
        """One evaluation, so many seconds after the one before."""
        self.now += after_s
        self.kept, events = evaluate(self.kept, metrics, checks, by_verdict, self.terms, self.now)
        return events

    def told(self, *metrics: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
        """The same, as kind and message."""
        return [(event.kind, event.message) for event in self.sees(*metrics, **more)]


def test_what_goes_bad_is_raised_once_in_the_words_of_the_runbook_and_resolved_once() -> None:
    service = Service()
    assert service.told(metric("pass", 0.01)) == []
    assert service.told(metric("warn", 0.061)) == [("raised", "Error rate elevated: 6.1%")]
    assert service.told(metric("warn", 0.07)) == []
    assert service.told(metric("fail", 0.16)) == [("changed", "Error rate critical: 16.0%")]
    assert service.told(metric("fail", 0.17)) == []
    assert service.told(metric("pass", 0.01)) == [("resolved", "Error rate well again: 1.0% (after 20 min)")]
    assert service.told(metric("pass", 0.01)) == []


def test_whoever_was_told_of_the_alert_is_told_that_it_is_over() -> None:
    service = Service()
    assert service.sees(metric("warn", 0.06))[0].levels == ("warning",)
    assert service.sees(metric("fail", 0.16))[0].levels == ("warning", "critical")
    assert service.sees(metric("warn", 0.06))[0].levels == ("warning", "critical")
    assert service.sees(metric("pass", 0.0))[0].levels == ("warning", "critical")


def test_a_graver_priority_with_the_same_verdict_is_told_and_a_milder_one_is_not() -> None:
    service = Service()
    assert [event.priority for event in service.sees(metric("fail", 0.2))] == ["P2"]
    assert [event.priority for event in service.sees(metric("fail", 0.3))] == ["P1"]
    assert service.sees(metric("fail", 0.2)) == []


def test_what_cannot_be_measured_resolves_nothing_and_becomes_an_alert_of_its_own_when_it_goes_on() -> None:
    service = Service(unknown_after=3)
    service.sees(metric("fail", 0.2))
    assert [service.told(metric("unknown")) for _ in range(5)] == [[]] * 5
    assert service.told(metric("pass", 0.0)) == [("resolved", "Error rate well again: 0.0% (after 30 min)")]
    assert [service.told(metric("unknown")) for _ in range(4)] == [[], [], [("raised", "Error rate cannot be measured")], []]
    assert service.told(metric("pass", 0.0))[0][0] == "resolved"


def test_an_unknown_between_two_bad_values_neither_counts_nor_interrupts() -> None:
    service = Service(raise_after=2)
    assert service.told(metric("warn", 0.06)) == []
    assert service.told(metric("unknown")) == []
    assert service.told(metric("fail", 0.16)) == [("raised", "Error rate critical: 16.0%")]


def test_it_can_take_several_evaluations_to_raise_and_to_resolve() -> None:
    service = Service(raise_after=3, resolve_after=2)
    assert [bool(service.sees(metric("fail", 0.2))) for _ in range(4)] == [False, False, True, False]
    assert [bool(service.sees(metric("pass", 0.0))) for _ in range(3)] == [False, True, False]


def test_a_critical_alert_that_goes_on_is_escalated_once_to_each_level_in_time() -> None:
    service = Service(escalation=LEVELS)
    service.sees(metric("fail", 0.2))
    events = [event for _ in range(14) for event in service.sees(metric("fail", 0.2))]
    assert [(event.kind, event.message) for event in events] == [
        ("escalated", "Error rate critical: 20.0%, for 15 min: level 2 (Lead)"),
        ("escalated", "Error rate critical: 20.0%, for 1 h: level 3 (Boss)"),
    ]
    # Level 2 has an address of its own; level 3 has none, and is told where the alert was.
    assert [(event.addresses, event.levels) for event in events] == [(("email://lead@x.y",), ()), ((), ("critical",))]


def test_a_severity_that_escalates_at_once_moves_all_levels_and_a_warning_is_never_escalated() -> None:
    service = Service(escalation=LEVELS)
    service.sees(metric("fail", 0.3))
    assert "level 2" in service.sees(metric("fail", 0.3), after_s=1)[0].message
    assert service.sees(metric("fail", 0.3), after_s=2600) == []
    assert "level 3" in service.sees(metric("fail", 0.3), after_s=200)[0].message
    quiet = Service(escalation=LEVELS)
    quiet.sees(metric("warn", 0.06))
    assert [event for _ in range(20) for event in quiet.sees(metric("warn", 0.06))] == []


def test_an_alert_that_is_not_measured_any_more_is_told_to_be_over() -> None:
    service = Service()
    service.sees(metric("fail", 0.2))
    assert service.told() == [("resolved", "Error rate: the profile no longer measures it")]
    assert service.kept == {}


def test_checks_raise_alerts_too_with_the_reason_below() -> None:
    service = Service()
    down = {"name": "api", "verdict": "fail", "reason": "connection refused"}
    (event,) = service.sees(checks=(down,))
    assert (event.message, event.levels, event.detail[0]) == ("Api failed", ("critical",), "connection refused")
    assert service.told(checks=({**down, "verdict": "pass"},)) == [("resolved", "Api well again (after 5 min)")]


def test_a_metric_and_a_check_of_one_name_are_two_alerts() -> None:
    service = Service()
    both = service.sees(metric("fail", 0.2, "cache"), checks=({"name": "cache", "verdict": "fail"},))
    assert [event.key for event in both] == ["metric:cache", "check:cache"]


def test_a_level_without_channels_of_its_own_goes_to_whoever_is_told_of_anything() -> None:
    service = Service(channels={"team": ["slack://team"]})
    assert service.sees(metric("fail", 0.2))[0].levels == ("team",)
    assert Service(channels={}).sees(metric("fail", 0.2))[0].levels == ()


def test_the_profile_s_own_words_are_used_and_reach_into_nothing() -> None:
    words = {"error_rate": {"fail": "Fehler: {value:.1%}", "warn": "{value.__class__}"}}
    service = Service(messages=words)
    assert service.told(metric("fail", 0.2)) == [("raised", "Fehler: 20.0%")]
    assert service.told(metric("warn", 0.06)) == [("changed", "Error rate elevated: 6.0%")]
    for pattern in ("{other}", "{value!r}", "{value:>999999999}", "{value:{value}}", "{", "{0}"):
        assert formatted(pattern, 1.0) == ""


@pytest.mark.parametrize(
    ("title", "verdict", "direction", "value", "unit", "said"),
    [
        ("Error rate", "fail", "above", 0.153, "ratio", "Error rate critical: 15.3%"),
        ("Response time", "warn", "above", 31.52, "s", "Response time elevated: 31.5s"),
        ("Cache hits", "warn", "below", 0.6, "ratio", "Cache hits low: 60.0%"),
        ("Cost", "fail", "above", 26.0, "usd_per_hour", "Cost critical: 26 USD/h"),
    ],
)
def test_messages_have_the_words_of_the_runbook(title: str, verdict: str, direction: str, value: float, unit: str, said: str) -> None:
    assert message(title, verdict, direction, value, unit) == said


@given(st.lists(st.sampled_from(["pass", "warn", "fail", "unknown"]), max_size=30), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_whatever_comes_raising_and_resolving_alternate(verdicts: list[str], up: int, down: int, unknown: int) -> None:
    service = Service(raise_after=up, resolve_after=down, unknown_after=unknown, escalation=LEVELS)
    is_up = False
    for verdict in verdicts:
        for event in service.sees(metric(verdict, {"warn": 0.1, "fail": 0.2, "pass": 0.0}.get(verdict))):
            assert is_up == (event.kind != "raised")
            is_up = event.kind != "resolved"
    assert is_up == bool(service.kept.get("metric:error_rate", {}).get("state"))
