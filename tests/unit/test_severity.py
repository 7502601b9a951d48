# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gravest rule that is true gives the severity; rules that contradict each other are found."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.severity import severity_mistakes, severity_of

SEVERITIES: list[dict[str, t.Any]] = [
    {"name": "P1", "title": "Critical", "respond_within_s": 300, "escalate_after_s": None, "notify": "critical", "alias": "critical"},
    {"name": "P2", "title": "High", "respond_within_s": 1800, "escalate_after_s": None, "notify": "critical"},
    {"name": "P3", "title": "Medium", "respond_within_s": 7200, "escalate_after_s": None, "notify": "warning"},
    {"name": "P4", "title": "Low", "respond_within_s": None, "escalate_after_s": None, "notify": "warning"},
]
ERRORS = [
    {"severity": "P3", "when": "5 to 15 % fail", "metric": "error_rate", "above": 0.05},
    {"severity": "P1", "when": "more than a quarter fails", "metric": "error_rate", "above": 0.25},
    {"severity": "P2", "when": "15 to 25 % fail", "metric": "error_rate", "above": 0.15},
]


def of_metric(value: float | None, verdict: str = "fail") -> str | None:
    """The severity that the rules about errors give an error rate."""
    found = severity_of(SEVERITIES, ERRORS, metrics=[{"name": "error_rate", "verdict": verdict, "value": value}])
    return found.name if found else None


@pytest.mark.parametrize(
    ("value", "severity"),
    [(0.0, None), (0.05, None), (0.0501, "P3"), (0.15, "P3"), (0.1501, "P2"), (0.25, "P2"), (0.2501, "P1"), (1.0, "P1")],
)
def test_bounds_are_strict_and_the_gravest_true_rule_wins(value: float, severity: str | None) -> None:
    assert of_metric(value) == severity


def test_a_number_that_is_missing_or_stands_on_too_little_makes_no_rule_about_numbers_true() -> None:
    assert of_metric(None, "unknown") is None
    assert of_metric(0.9, "unknown") is None


def test_the_severity_comes_with_its_terms_its_own_keys_and_all_reasons() -> None:
    rules: list[dict[str, t.Any]] = [
        {"severity": "P1", "when": "the system is down", "check": "dashboard", "verdict": ["fail"]},
        {"severity": "P1", "when": "security breach", "event": "security_breach"},
        {"severity": "P2", "when": "too slow", "metric": "response_time", "verdict": ["fail"]},
    ]
    found = severity_of(
        SEVERITIES,
        rules,
        checks=[{"name": "dashboard", "verdict": "fail", "reason": "connection refused"}],
        metrics=[{"name": "response_time", "title": "Response time", "verdict": "fail", "value": 61, "reason": "Response time is 61 s"}],
        events=["security_breach"],
    )
    assert found is not None
    assert (found.name, found.rank, found.respond_within_s, found.notify) == ("P1", 0, 300, "critical")
    assert found.reasons == ("the system is down (dashboard: connection refused)", "security breach (event security_breach)")
    assert found.as_dict()["alias"] == "critical"
    json.dumps(found.as_dict())


def test_any_of_several_checks_is_enough_and_is_named() -> None:
    rules: list[dict[str, t.Any]] = [
        {"severity": "P2", "when": "a store is gone", "any_check_of": ["cache", "vector", "queue"], "verdict": ["fail", "unknown"]}
    ]
    found = severity_of(SEVERITIES, rules, checks=[{"name": "cache", "verdict": "pass"}, {"name": "vector", "verdict": "unknown"}])
    assert found is not None
    assert found.reason == "a store is gone (vector is unknown)"


def test_a_check_that_was_not_asked_gives_no_severity() -> None:
    assert severity_of(SEVERITIES, [{"severity": "P1", "check": "api"}], checks=[]) is None


def test_rules_without_a_verdict_mean_fail() -> None:
    rules = [{"severity": "P1", "check": "api"}]
    assert severity_of(SEVERITIES, rules, checks=[{"name": "api", "verdict": "warn"}]) is None
    assert severity_of(SEVERITIES, rules, checks=[{"name": "api", "verdict": "fail"}]) is not None


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"severity": "P9", "check": "api"}, "there is no severity 'P9'"),
        ({"severity": "P1"}, "it names nothing"),
        ({"severity": "P1", "check": "api", "event": "x"}, "it names check and event"),
        ({"severity": "P1", "check": "api", "above": 3}, "above and below are for metrics"),
        ({"severity": "P1", "metric": "m", "above": "many"}, "above is not a number"),
        ({"severity": "P1", "metric": "m", "above": 5, "below": 5}, "no number is above 5 and below 5"),
        ({"severity": "P1", "metric": "m", "above": 5, "verdict": ["fail"]}, "it has bounds and verdicts"),
        ({"severity": "P1", "check": "api", "verdict": ["bad"]}, "verdict is not a list of"),
        ({"severity": "P1", "check": "api", "verdict": ["pass"]}, "what passes has no severity"),
        ({"severity": "P1", "event": "x", "verdict": ["fail"]}, "an event has no verdict"),
        ({"severity": "P1", "any_check_of": []}, "any_check_of is not a list of names"),
        ({"severity": "P1", "chek": "api"}, "unknown key 'chek'"),
        ("P1", "it is not a dictionary"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_refused_and_never_guessed(rule: t.Any, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        severity_of(SEVERITIES, [rule])
    assert said in caught.value.message


def test_all_mistakes_are_told_at_once() -> None:
    found = severity_mistakes(
        SEVERITIES,
        [
            {"severity": "P1", "check": "apí", "when": "down"},
            {"severity": "P2", "metric": "latency", "verdict": ["fail"]},
            {"severity": "P2", "event": "breach"},
        ],
        checks=[{"name": "api"}],
        metrics=[{"name": "error_rate"}],
        channels=["critical"],
    )
    assert found == [
        "rule number 1 (down): there is no check 'apí'",
        "rule number 2: there is no metric 'latency'",
        "severity 'P3': notify_channels has no level 'warning'",
        "severity 'P4': notify_channels has no level 'warning'",
    ]


def test_a_rule_that_a_graver_one_always_beats_is_found() -> None:
    rules = [{"severity": "P1", "metric": "e", "above": 0.05}, {"severity": "P2", "metric": "e", "above": 0.15, "when": "many"}]
    assert severity_mistakes(SEVERITIES, rules) == ["rule number 2 (many): it can never win, as a graver rule is true whenever it is"]


def test_two_graver_rules_can_beat_one_together() -> None:
    rules = [
        {"severity": "P1", "metric": "e", "above": 0.5},
        {"severity": "P2", "metric": "e", "below": 0.6},
        {"severity": "P3", "metric": "e", "above": 0.4, "below": 0.7},
    ]
    assert "rule number 3: it can never win" in severity_mistakes(SEVERITIES, rules)[0]
    assert not severity_mistakes(SEVERITIES, ERRORS)


def test_a_verdict_that_the_metric_can_never_have_is_found() -> None:
    rules = [{"severity": "P2", "metric": "m", "verdict": ["warn"]}, {"severity": "P1", "metric": "m", "verdict": ["fail"]}]
    assert severity_mistakes(SEVERITIES, rules, metrics=[{"name": "m", "fail_above": 3}]) == [
        "rule number 1: it can never be true, as nothing makes the metric so"
    ]
    assert not severity_mistakes(SEVERITIES, rules, metrics=[{"name": "m", "fail_above": 3, "conditions": ["x"]}])


def test_bounds_of_rules_are_compared_with_the_thresholds_of_the_metric() -> None:
    """Whatever fails is above 15, so a lesser rule for what is above 20 never wins; one for what is above 10 does."""
    metric = [{"name": "m", "warn_above": 5, "fail_above": 15}]
    fails = {"severity": "P1", "metric": "m", "verdict": ["fail"]}
    assert severity_mistakes(SEVERITIES, [fails, {"severity": "P2", "metric": "m", "above": 20}], metrics=metric)
    assert not severity_mistakes(SEVERITIES, [fails, {"severity": "P2", "metric": "m", "above": 10}], metrics=metric)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([("P1", ["warn"]), ("P3", ["fail"])], "check 'api': a warning is P1, and a failure only P3"),
        ([("P2", ["warn"])], "check 'api': a warning is P2, and a failure has no severity"),
    ],
)
def test_a_warning_graver_than_a_failure_is_found(rules: list[tuple[str, list[str]]], said: str) -> None:
    written = [{"severity": severity, "check": "api", "verdict": verdict} for severity, verdict in rules]
    assert severity_mistakes(SEVERITIES, written) == [said]


def test_a_graver_severity_that_is_answered_later_is_found() -> None:
    crossed = [{"name": "P1", "respond_within_s": 3600}, {"name": "P2", "respond_within_s": 60}]
    assert severity_mistakes(crossed, []) == ["severity 'P1' is graver than 'P2', and answered later"]


NAMES = st.sampled_from(["a", "b", "c"])
BOUNDS = st.floats(-3, 3, allow_nan=False)
TO = {"severity": st.sampled_from(["P1", "P2", "P3", "P4"]), "metric": NAMES}
RULES: st.SearchStrategy[list[dict[str, t.Any]]] = st.lists(
    st.fixed_dictionaries({**TO, "above": BOUNDS})
    | st.fixed_dictionaries({**TO, "below": BOUNDS})
    | st.fixed_dictionaries({**TO, "verdict": st.lists(st.sampled_from(["warn", "fail", "unknown"]), min_size=1)}),
    max_size=6,
)
METRICS: st.SearchStrategy[list[dict[str, t.Any]]] = st.lists(
    st.fixed_dictionaries({"name": NAMES, "verdict": st.sampled_from(["pass", "warn", "fail", "unknown"]), "value": st.none() | BOUNDS}),
    max_size=3,
    unique_by=lambda metric: str(metric["name"]),
)


@given(RULES, METRICS, st.randoms())
def test_the_order_of_the_rules_does_not_matter(rules: list[dict[str, t.Any]], metrics: list[dict[str, t.Any]], random: t.Any) -> None:
    before = severity_of(SEVERITIES, rules, metrics=metrics)
    shuffled = list(rules)
    random.shuffle(shuffled)
    after = severity_of(SEVERITIES, shuffled, metrics=metrics)
    assert (before and before.name) == (after and after.name)


@given(RULES, RULES, METRICS)
def test_another_rule_never_makes_it_less_grave(
    rules: list[dict[str, t.Any]], more: list[dict[str, t.Any]], metrics: list[dict[str, t.Any]]
) -> None:
    def rank(written: list[dict[str, t.Any]]) -> int:
        found = severity_of(SEVERITIES, written, metrics=metrics)
        return len(SEVERITIES) if found is None else found.rank

    assert rank(rules + more) == min(rank(rules), rank(more))


@given(RULES, st.lists(METRICS, min_size=1, max_size=20))
def test_a_rule_that_is_said_never_to_win_never_does(rules: list[dict[str, t.Any]], seen: list[list[dict[str, t.Any]]]) -> None:
    said = " ".join(severity_mistakes(SEVERITIES, rules))
    useless = [rule for number, rule in enumerate(rules, 1) if f"rule number {number}: it can never" in said]
    rest = [rule for rule in rules if rule not in useless]
    for metrics in seen:
        whole, without = severity_of(SEVERITIES, rules, metrics=metrics), severity_of(SEVERITIES, rest, metrics=metrics)
        assert (whole and whole.name) == (without and without.name)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["P1", "fail", "api", "pass"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "severity", "check", "metric", "above", "below", "verdict", "event", "any_check_of"]), inner
        )
    ),
    max_leaves=15,
)


@given(ANY, ANY, st.lists(ANY, max_size=3), st.lists(ANY, max_size=3))
def test_any_rules_and_results_give_a_severity_or_one_clear_error(
    severities: t.Any, rules: t.Any, checks: list[t.Any], metrics: list[t.Any]
) -> None:
    assert all(isinstance(mistake, str) for mistake in severity_mistakes(severities, rules, checks=checks, metrics=metrics))
    try:
        severity_of(severities, rules, checks, metrics, ["x"])
    except BadInput:
        pass
