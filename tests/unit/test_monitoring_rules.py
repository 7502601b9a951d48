# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alerting rules from a profile: which there are, from which number on, how grave, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.expression import NotInPrometheus, duration, expression_of
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.profile import Profile
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.rule_tests import rule_tests
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.rules import Rules, rule_file, rules_of
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.thresholds import thresholds_of

from .monitoring_profile import CACHE, ERROR_RATE, RULES, SEVERITIES, profile


def rules(**changes: Any) -> Rules:
    """The rules of the profile with changes."""
    return rules_of(Profile.of(profile(**changes)))


def test_each_threshold_is_an_alert_and_a_rule_of_severity_with_a_number_of_its_own_is_one_more() -> None:
    found = [(one.limit, one.severity, one.priority) for one in thresholds_of(ERROR_RATE, SEVERITIES, RULES)]
    assert found == [(0.05, "warning", "P3"), (0.15, "critical", "P2"), (0.25, "critical", "P1")]


def test_where_less_is_worse_the_limits_come_in_the_other_direction() -> None:
    found = [(one.direction, one.limit, one.severity, one.priority) for one in thresholds_of(CACHE, SEVERITIES, RULES)]
    assert found == [("below", 0.85, "warning", ""), ("below", 0.7, "critical", "P2")]


def test_a_rule_on_the_good_side_of_a_metric_alerts_nobody() -> None:
    assert all(alert.priority != "P4" for alert in rules().alerts)


def test_what_only_a_severity_rule_calls_bad_is_for_information() -> None:
    rule = {"severity": "P4", "when": "any fails", "metric": "error_rate", "above": 0}
    found = [(one.limit, one.severity, one.priority) for one in thresholds_of(ERROR_RATE, SEVERITIES, [rule])]
    assert found[0] == (0.0, "info", "P4")
    # Above 5 % it is a warning, and the same rule is still true.
    assert found[1:] == [(0.05, "warning", "P4"), (0.15, "critical", "P4")]


def test_a_rule_between_two_numbers_grades_only_what_lies_between_them() -> None:
    between = [
        {"severity": "P2", "metric": "error_rate", "above": 0.15, "below": 0.25},
        {"severity": "P1", "metric": "error_rate", "above": 0.25},
    ]
    found = [(one.limit, one.priority) for one in thresholds_of(ERROR_RATE, SEVERITIES, between)]
    assert found == [(0.05, ""), (0.15, "P2"), (0.25, "P1")]


def test_alerts_bear_the_name_of_their_metric_and_the_side_that_is_bad() -> None:
    assert {alert.name for alert in rules().alerts} == {"HighErrorRate", "LowCacheHitRate"}
    renamed = rules(monitoring_alerts={"error_rate": {"alert": "TooManyErrors"}})
    assert {alert.name for alert in renamed.alerts} == {"TooManyErrors", "LowCacheHitRate"}


def test_two_metrics_whose_names_come_to_the_same_word_do_not_share_an_alert_or_a_series() -> None:
    found = rules(health_metrics=[ERROR_RATE, {**ERROR_RATE, "name": "error-rate"}], incident_severity_rules=[])
    assert {alert.name for alert in found.alerts} == {"HighErrorRate", "HighErrorRate_2"}
    assert [value.series for value in found.values] == ["service:error_rate:value", "service:error_rate:value_2"]


def test_a_metric_that_prometheus_cannot_evaluate_is_left_out_with_the_reason() -> None:
    assert rules().left_out == {"quota": "it is read by a check of type json and has no promql"}


def test_a_critical_alert_comes_again_for_each_level_at_the_time_that_its_severity_gives() -> None:
    later = [(one.priority, one.escalation, one.for_s) for one in rules().alerts if one.metric == "error_rate" and one.escalation > 1]
    # P2 escalates after two hours, P1 at once; the levels keep their distance of 45 minutes. Critical alerts hold for a minute first.
    assert later == [("P2", 2, 7260), ("P2", 3, 7260 + 2700), ("P1", 2, 60), ("P1", 3, 2760)]


def test_a_severity_that_waits_for_the_next_working_day_is_not_escalated() -> None:
    waiting = [{**one, "escalate_after_s": None} for one in SEVERITIES]
    assert all(alert.escalation == 1 or not alert.priority for alert in rules(incident_severities=waiting).alerts)


def test_an_alert_says_what_why_what_next_and_by_which_procedure() -> None:
    told = {"error_rate": {"procedure": "respond_high_errors", "next_step": "Look at the newest deployment", "why": "Users see it"}}
    found = next(one for one in rules(monitoring_alerts=told).alerts if one.priority == "P2")
    assert found.annotations["summary"] == "Error rate critical: {{ $value | humanizePercentage }}"
    assert found.annotations["what"] == "Error rate of Calendar: {{ $value | humanizePercentage }}, more than 15 %."
    assert found.annotations["why"] == "Users see it"
    assert found.annotations["next_step"] == "Look at the newest deployment. Respond within 30 min."
    assert found.annotations["procedure"] == "sre.runbooks.respond_high_errors"
    plain = next(one for one in rules().alerts if one.priority == "P2")
    assert plain.annotations["why"] == "P2 (Impaired): many fail."


def test_text_of_the_profile_is_no_template() -> None:
    odd = rules(service_title="{{ $labels.x }}", health_metrics=[{**ERROR_RATE, "title": "a {{ b"}])
    assert all('{{ "{{" }}' in one.annotations["what"] and "{{ b" not in one.annotations["what"] for one in odd.alerts)


def test_a_baseline_becomes_alerts_of_its_own() -> None:
    fixed = rules(health_metrics=[{**ERROR_RATE, "baseline": {"value": 0.02, "fail_ratio_above": 3}}], incident_severity_rules=[])
    assert [(one.name, one.expression) for one in fixed.alerts if one.escalation == 1][2:] == [
        ("HighErrorRateAgainstBaseline", 'service:error_rate:value{service="calendar-api"} / 0.02 > 3')
    ]
    past = rules(health_metrics=[{**ERROR_RATE, "baseline": {"from_history_days": 7, "warn_ratio_above": 2}}], incident_severity_rules=[])
    assert past.alerts[2].expression.endswith('/ quantile_over_time(0.5, service:error_rate:value{service="calendar-api"}[7d]) > 2')


def test_two_thresholds_that_say_the_same_and_are_both_crossed_are_expected_once() -> None:
    both = {"name": "NO", "title": "0", "component": "0", "type": "promql", "query": "up", "warn_above": -1.0, "warn_below": 0.0}
    made = rule_tests(rules(health_metrics=[both], incident_severity_rules=[]), "rules.yml")
    expected = [[one["labels"] for one in asked["exp_samples"]] for test in made["tests"] for asked in test["promql_expr_test"]]
    assert max(map(len, expected)) == 1
    assert all(len(labels) == len(set(labels)) for labels in expected)


def test_further_alerts_of_the_profile_are_taken_over() -> None:
    given = {
        "alert": "ServiceDown",
        "promql": "up == 0",
        "severity": "critical",
        "priority": "P1",
        "for_s": 30,
        "what": "Down",
        "labels": {"a": "b"},
    }
    rule = rule_file(rules(monitoring_rules=[given]))["groups"][1]["rules"][-1]
    assert (rule["alert"], rule["expr"], rule["for"]) == ("ServiceDown", "up == 0", "30s")
    assert rule["labels"] == {"a": "b", "service": "calendar-api", "severity": "critical", "priority": "P1"}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ({"promql": " a / b ", "type": "json", "complement": True}, "a / b"),
        ({"type": "promql", "query": "avg(up)", "complement": True, "scale": 100}, "(1 - (avg(up))) * 100"),
        ({"type": "prometheus", "metric": "up", "labels": {"job": 'a"b'}}, 'sum(up{job="a\\"b"})'),
        (
            {"type": "prometheus", "metric": 'x_total{a="b"}', "aggregate": "rate", "window_s": 300, "sum": "max"},
            'max(rate(x_total{a="b"}[5m]))',
        ),
        ({"type": "prometheus", "metric": "x", "sum": "mean", "aggregate": "mean", "window_s": 90}, "avg(avg_over_time(x[90s]))"),
        ({"type": "prometheus", "metric": "lat", "quantile": 0.95}, "histogram_quantile(0.95, sum by (le) (rate(lat_bucket[5m])))"),
    ],
)
def test_the_expression_follows_from_the_metric(metric: dict[str, Any], expected: str) -> None:
    assert expression_of(metric) == expected


@pytest.mark.parametrize(
    "metric",
    [
        {},
        {"type": "json", "value": "a"},
        {"type": "promql", "query": " "},
        {"type": "promql", "query": "a", "divided_by": "b"},
        {"type": "prometheus", "metric": "a b"},
        {"type": "prometheus", "metric": "a", "labels": {"b c": "d"}},
        {"type": "prometheus", "metric": "a", "aggregate": "rate"},
        {"type": "promql", "query": "a", "scale": "much"},
    ],
)
def test_what_gives_no_expression_says_why(metric: dict[str, Any]) -> None:
    with pytest.raises(NotInPrometheus):
        expression_of(metric)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.6, "1m"), (90, "90s"), (3600, "1h"), (86400, "1d"), (7260, "121m")])
def test_durations_are_written_in_whole_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_all_mistakes_of_a_profile_are_told_together() -> None:
    with pytest.raises(BadInput) as caught:
        Profile.of(
            profile(
                service_name=" ",
                health_metrics=[ERROR_RATE, ERROR_RATE],
                notify_channels={"critical": [1]},
                monitoring_alerts={"typo": {"nxt_step": "x"}},
                monitoring_rules=[{"alert": "X"}],
                incident_escalation_levels=[{"level": "one", "contact": "nobody"}, {"level": 2, "notify": "nowhere"}],
                monitoring_warning_for_s=-1,
            )
        )
    told = str(caught.value)
    words = ["service_name", "is there twice", "critical is no list", "'typo'", "nxt_step", "no promql", "'nowhere'", "level and after_s"]
    for word in [*words, "warning_for_s"]:
        assert word in told
