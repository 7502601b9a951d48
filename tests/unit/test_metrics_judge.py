# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on a number: strict thresholds in either direction, too few observations, a baseline, one sentence with the numbers."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.metrics.judge import judge
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.measure import measure
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.model import Judged, Normal
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.units import against, spoken
from ansible_collections.sre.runbooks.tests.unit.metrics_support import counter, metric, moment


def judged(value: float | None, normal: Normal | None = None, *, observations: float | None = None, **options: t.Any) -> Judged:
    """The verdict on one reading."""
    one = metric(**options)
    return judge(one, measure(one, [moment(value, samples=observations)]), normal)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.05, "pass"), (0.05000001, "warn"), (0.15, "warn"), (0.15000001, "fail"), (-1, "pass"), (0.0, "pass")],
)
def test_above_is_strictly_above(value: float, verdict: str) -> None:
    assert judged(value, warn_above=0.05, fail_above=0.15).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(0.8, "pass"), (0.7999, "warn"), (0.5, "warn"), (0.4999, "fail")])
def test_below_is_strictly_below(value: float, verdict: str) -> None:
    assert judged(value, warn_below=0.8, fail_below=0.5).verdict == verdict


def test_a_number_may_have_thresholds_in_both_directions() -> None:
    bounds: dict[str, t.Any] = {"fail_below": 1, "warn_below": 2, "warn_above": 8, "fail_above": 9}
    assert [judged(value, **bounds).verdict for value in (0, 1.5, 5, 8.5, 10)] == ["fail", "warn", "pass", "warn", "fail"]


def test_a_number_without_thresholds_is_watched_and_passes() -> None:
    assert judged(12.0, unit="count") == ("pass", "m is 12", None)


@pytest.mark.parametrize(
    ("options", "value", "reason"),
    [
        ({"title": "Error rate", "unit": "ratio", "fail_above": 0.15}, 0.16, "Error rate is 16 %, more than 15 %"),
        ({"unit": "ratio", "fail_above": 0.15}, 0.15000000001, "m is 15.000000001 %, more than 15 %"),
        ({"unit": "s", "warn_above": 30}, 31.25, "m is 31.25 s, more than 30 s"),
        ({"unit": "usd_per_hour", "fail_above": 25}, 25.5, "m is 25.5 USD per hour, more than 25 USD per hour"),
        ({"unit": "bytes", "fail_above": 1_000_000_000}, 1_500_000_000, "m is 1.5 GB, more than 1 GB"),
        ({"unit": "days", "fail_below": 14}, 3, "m is 3 days, less than 14 days"),
        ({"unit": "widgets", "fail_below": 14}, 3, "m is 3 widgets, less than 14 widgets"),
    ],
)
def test_the_reason_is_a_sentence_with_the_numbers_and_their_unit(options: dict[str, t.Any], value: float, reason: str) -> None:
    assert judged(value, **options).reason == reason


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12), st.sampled_from(["ratio", "percent", "ms", "bytes", "", "count"]))
def test_two_numbers_that_differ_never_look_the_same(value: float, limit: float, unit: str) -> None:
    said = against(value, limit, unit)
    if unit not in ("ratio", "bytes"):  # which are calculated with before they are shown
        assert (said[0] == said[1]) == (value == limit)
    assert spoken(value, unit)


def test_too_few_observations_are_unknown_unless_the_profile_says_otherwise() -> None:
    bounds: dict[str, t.Any] = {"fail_above": 0.1, "samples": "n", "minimum_samples": 20, "unit": "ratio"}
    few = judged(0.9, observations=19, **bounds)
    assert few.verdict == "unknown"
    assert few.reason == "m is 90 % (19 observations), which are too few, as 20 are needed to tell anything"
    assert judged(0.9, observations=19, too_few="pass", **bounds).verdict == "pass"
    assert judged(0.9, observations=20, **bounds).verdict == "fail"
    assert judged(0.9, observations=None, **bounds).verdict == "unknown"


def test_a_server_that_does_not_answer_is_unknown_also_where_too_few_pass() -> None:
    assert judged(None, fail_above=1, samples="n", minimum_samples=2, too_few="pass").verdict == "unknown"


@pytest.mark.parametrize(("value", "verdict"), [(200, "pass"), (301, "warn"), (401, "fail"), (49, "warn"), (50, "pass")])
def test_a_number_is_held_against_what_is_usual(value: float, verdict: str) -> None:
    baseline = {"value": 100, "warn_ratio_above": 3, "fail_ratio_above": 4, "warn_ratio_below": 0.5}
    got = judged(value, Normal(100), baseline=baseline, unit="ms")
    assert got.verdict == verdict
    assert got.ratio == value / 100
    if verdict == "fail":
        assert got.reason == "m is 401 ms, 4.01 times what is usual (100 ms), more than 4 times"


def test_without_a_baseline_yet_it_is_unknown_unless_the_profile_says_otherwise() -> None:
    baseline = {"from_history_days": 7, "fail_ratio_above": 2}
    none_yet = Normal(None, "there is no baseline yet")
    assert judged(5, none_yet, baseline=baseline).verdict == "unknown"
    assert judged(5, none_yet, baseline={**baseline, "missing": "pass"}).verdict == "pass"
    assert judged(5, none_yet, baseline=baseline, fail_above=4).verdict == "fail"


def test_of_nothing_there_are_no_multiples() -> None:
    baseline = {"from_history_days": 7, "fail_ratio_above": 2}
    assert judged(5, Normal(0.0), baseline=baseline).verdict == "unknown"
    assert judged(0, Normal(0.0), baseline=baseline).verdict == "pass"


def test_the_window_the_observations_and_the_notes_are_told() -> None:
    one = counter(divided_by="all", samples="n", unit="ratio", fail_above=0.01)
    got = measure(one, [moment(1.0, 0, divisor=10, samples=10), moment(None, 20), moment(0.5, 40, divisor=20, samples=20)])
    assert judge(one, got).reason == (
        "m is 5 % over 60 s (10 observations), more than 1 % "
        "(1 of 3 readings gave no number; the counter began again once, counted on from 0)"
    )
