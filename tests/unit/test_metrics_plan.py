# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written in an inventory becomes metrics, or all that is wrong with it is told at once."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.catalogue import TYPES
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.model import SPEC, THRESHOLDS
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.plan import plan
from ansible_collections.sre.runbooks.tests.unit.metrics_support import metric

URL = "http://127.0.0.1:1/"


def mistakes(*raw: t.Any, service: str = "") -> list[str]:
    """What is wrong with these metrics."""
    with pytest.raises(BadInput) as caught:
        plan(list(raw), service=service)
    return list(caught.value.facts["mistakes"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"warn_above": 3, "fail_above": 2}, "warn_above is greater than fail_above, so it would never warn"),
        ({"warn_below": 2, "fail_below": 3}, "warn_below is less than fail_below, so it would never warn"),
        ({"fail_above": float("nan")}, "fail_above is not a finite number"),
        ({"fail_above": "much"}, "fail_above"),
        ({"window_s": -1}, "window_s is not between 0 and 3600"),
        ({"window_s": 10, "every_s": 20}, "every_s is not between 0.05 and window_s"),
        ({"window_s": 3600, "every_s": 0.05}, "the window would be read more than 5000 times"),
        ({"aggregate": "rate"}, "aggregate rate needs a window, window_s"),
        ({"aggregate": "median"}, "value of aggregate must be one of"),
        ({"minimum_samples": 3}, "minimum_samples needs samples"),
        ({"scale": 0}, "scale is 0"),
        ({"complement": True, "aggregate": "increase", "window_s": 5}, "complement is for shares"),
        ({"divided_by": "a["}, "is no JMESPath expression"),
        ({"samples": "a["}, "is no JMESPath expression"),
        ({"value": None}, "a check of type json that is written so yields no number"),
        ({"treshold": 3}, "unknown key 'treshold'"),
        ({"baseline": {"value": 5}}, "baseline: it takes at least one of warn_ratio_above"),
        ({"baseline": {"fail_ratio_above": 5}}, "baseline: it takes one of value and from_history_days"),
        ({"baseline": {"value": 0, "fail_ratio_above": 5}}, "baseline: value is no number of which there are multiples"),
        ({"baseline": {"from_history_days": 7, "fail_ratio_above": 5}}, "baseline: from_history_days needs the name of the service"),
        ({"baseline": {"value": 1, "warn_ratio_above": 5, "fail_ratio_above": 2}}, "warn_ratio_above is greater than fail_ratio_above"),
        ({"baseline": {"value": 1, "fail_ratio_above": 5, "x": 1}}, "baseline: "),
        ({"type": "tcp", "url": None, "value": None, "host": "h", "port": 1, "samples": "x"}, "hold one"),
        ({"depends_on": "nobody"}, "depends on 'nobody', which is not in the list"),
    ],
)
def test_a_mistake_is_told_in_words_that_name_the_key(options: dict[str, t.Any], said: str) -> None:
    found = mistakes({"name": "m", "type": "json", "url": URL, "value": "v", **options})
    assert any(said in mistake and "metric 'm" in mistake for mistake in found), found


def test_all_mistakes_of_all_metrics_are_told_together() -> None:
    found = mistakes(
        {"name": "a", "type": "json", "url": URL, "value": "v", "window_s": -1},
        {"name": "a", "type": "nonsense"},
        {"type": "disk"},
        "not a metric",
        {"name": "b", "type": "json", "url": "ftp://x", "value": "v["},
        {"name": "c", "type": "http", "url": URL},
    )
    for said in ("window_s", "unknown type", "used twice", "metric number 3", "metric number 4", "ftp://x", "JMESPath", "yields no number"):
        assert any(said in mistake for mistake in found), said


def test_an_empty_list_proves_nothing_and_is_refused() -> None:
    assert mistakes() == ["it is empty, and what asks nothing proves nothing"]


def test_no_secret_is_in_what_is_told() -> None:
    found = mistakes(
        {"name": "sw0rdfish", "type": "json", "url": "http://u:sw0rdfish@h/?token=sw0rdfish", "token": "sw0rdfish", "unit": 5, "x": 1}
    )
    assert "sw0rdfish" not in repr(found)


def test_a_second_number_of_the_same_answer_is_observed_beside_the_first() -> None:
    one = metric(divided_by="total", samples="n", observe={"other": "x"})
    assert list(one.check.question.options["observe"]) == ["m (divided by)", "m (samples)", "other"]
    assert not one.companions


def test_a_second_number_by_promql_is_a_question_of_its_own() -> None:
    (one,) = plan([{"name": "m", "type": "promql", "url": URL, "query": "a", "samples": "sum(n)", "minimum_samples": 5}])
    assert one.companions["samples"].question.options["query"] == "sum(n)"


@pytest.mark.parametrize(
    ("options", "below"),
    [({"fail_above": 1}, False), ({"fail_below": 1}, True), ({"fail_below": 1, "complement": True}, False),
     ({"fail_above": 1, "complement": True}, True), ({"fail_above": 1, "warn_below": 0}, False), ({}, False),
     ({"fail_above": 1, "scale": -1}, True), ({"baseline": {"value": 1, "fail_ratio_below": 0.5}}, True)],
)  # fmt: skip
def test_of_several_series_the_worst_is_the_least_where_bad_lies_below(options: dict[str, t.Any], below: bool) -> None:
    (one,) = plan([{"name": "m", "type": "promql", "url": URL, "query": "a", **options}])
    assert ("warn_below" in one.check.question.options) == below
    assert not one.thresholds or "warn_below" not in one.thresholds or one.thresholds["warn_below"] == 0


def test_a_type_that_looks_at_a_stretch_of_time_itself_is_asked_once() -> None:
    (one,) = plan([{"name": "m", "type": "cpu", "window_s": 3, "fail_above": 85}])
    assert (one.window_s, one.check.question.options["window_s"]) == (0, 3)


def test_a_unit_of_systemd_is_no_unit_of_a_number() -> None:
    (one,) = plan([{"name": "m", "type": "systemd_unit", "unit": "nginx.service"}])
    assert (one.unit, one.check.question.options["unit"]) == ("", "nginx.service")


def test_no_key_of_a_metric_hides_one_of_a_type() -> None:
    clashes = {(name, key) for name, load in TYPES.items() for key in load().spec if key in SPEC}
    assert {key for _name, key in clashes} <= {*THRESHOLDS, "window_s", "unit"}, clashes
