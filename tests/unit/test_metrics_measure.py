# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One number out of a metric's readings."""

from __future__ import annotations

import itertools
import math
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.metrics.judge import judge
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.measure import increase, measure
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.model import Normal
from ansible_collections.sre.runbooks.tests.unit.metrics_support import counter, metric, moment


@pytest.mark.parametrize(
    ("aggregate", "value"), [("last", 2.0), ("mean", 3.0), ("maximum", 6.0), ("minimum", 1.0), ("increase", 7.0), ("rate", 7 / 30)]
)
def test_the_readings_of_a_window_come_to_one_number(aggregate: str, value: float) -> None:
    readings = [moment(number, 10.0 * position) for position, number in enumerate([1.0, 3.0, 6.0, 2.0])]
    got = measure(counter(aggregate=aggregate), readings)
    assert got.value == pytest.approx(value)
    assert got.readings == 4


def test_a_counter_that_began_again_is_counted_on_from_nothing_and_that_is_said() -> None:
    got = measure(counter(), [moment(value, position) for position, value in enumerate([100.0, 110.0, 4.0, 9.0])])
    assert got.value == 19
    assert got.notes == ("the counter began again once, counted on from 0",)


def test_a_counter_read_once_has_no_increase() -> None:
    got = measure(counter(), [moment(5.0)])
    assert (got.value, got.verdict) == (None, "unknown")


def test_a_share_of_counters_is_what_one_grew_by_over_what_the_other_did() -> None:
    errors = counter(divided_by="all")
    readings = [moment(10.0, 0, divisor=1000.0), moment(12.0, 30, divisor=1050.0), moment(1.0, 60, divisor=30.0)]
    got = measure(errors, readings)
    # 2 before the restart and 1 after it, of 50 and 30.
    assert got.value == pytest.approx(3 / 80)
    assert got.samples == 80


def test_a_share_of_nothing_is_unknown_and_never_zero() -> None:
    still = [moment(5.0, 0, divisor=100.0), moment(5.0, 60, divisor=100.0)]
    got = measure(counter(divided_by="all"), still)
    assert (got.value, got.verdict, got.samples) == (None, "unknown", 0)
    assert judge(counter(divided_by="all"), got).verdict == "unknown"
    assert judge(counter(divided_by="all", minimum_samples=5, too_few="pass"), got).verdict == "pass"
    assert measure(metric(divided_by="all"), [moment(5.0, divisor=0.0)]).value is None


def test_complement_and_scale_come_after_the_division() -> None:
    got = measure(metric(divided_by="all", complement=True, scale=100), [moment(95.0, divisor=100.0)])
    assert got.value == pytest.approx(5.0)


@pytest.mark.parametrize(("failed", "verdict"), [(0, "pass"), (2, "pass"), (3, "unknown"), (4, "unknown")])
def test_a_window_of_which_most_readings_failed_says_nothing(failed: int, verdict: str) -> None:
    readings = [moment(None)] * failed + [moment(1.0)] * (4 - failed)
    got = measure(counter(aggregate="mean"), readings)
    assert got.verdict == verdict
    assert ("connection refused" in got.reason) == (verdict == "unknown")
    assert (got.notes == (f"{failed} of 4 readings gave no number",)) == (0 < failed < 3)


def test_the_last_reading_must_have_the_number_that_is_called_the_last() -> None:
    got = measure(counter(aggregate="last"), [moment(1.0), moment(1.0), moment(None)])
    assert (got.value, got.verdict, got.reason) == (None, "unknown", "connection refused")


def test_nothing_to_measure_is_well_only_when_the_profile_says_so() -> None:
    query = {"type": "promql", "url": "http://127.0.0.1:1", "query": "up", "value": None}
    nothing = [moment(None, verdict="pass", reason=" ")]
    assert measure(metric(**query, empty="pass"), nothing).verdict == "pass"
    assert measure(metric(**query), nothing).verdict == "unknown"


def test_what_the_question_itself_found_stays() -> None:
    got = measure(metric(conditions=["ok"]), [moment(1.0, verdict="fail", reason="not true: ok")])
    assert judge(metric(conditions=["ok"]), got) == ("fail", "m is 1, not true: ok", None)


def test_a_number_too_large_to_compare_is_unknown() -> None:
    assert measure(metric(scale=1e200), [moment(1e200)]).value is None
    assert measure(counter(aggregate="mean"), [moment(1e308), moment(1e308)]).value is None
    assert measure(metric(divided_by="x"), [moment(1e308, divisor=1e-300)]).value is None


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30))
def test_an_increase_is_never_negative_and_is_the_difference_when_nothing_began_again(values: list[float]) -> None:
    grown, resets = increase(values)
    assert grown >= 0
    assert resets == sum(after < before for before, after in itertools.pairwise(values))
    if not resets:
        assert grown == pytest.approx(values[-1] - values[0], abs=1e-3)


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=8), min_size=1, max_size=4))
def test_what_programs_counted_between_two_readings_is_all_there(lives: list[list[int]]) -> None:
    """Each life of a program counts up from 0; read after every step, everything counted after the first reading is in the increase."""
    readings: list[float] = []
    counted = 0
    for number, life in enumerate(lives):
        total = 0
        for position, step in enumerate(life):
            total += step + (1 if number or position else 0)
            counted += (step + 1) if readings else 0
            readings.append(float(total))
        if number + 1 < len(lives) and lives[number + 1][0] + 1 >= total:
            return  # the new life counts past the old one before it is read: no reader of counters can tell
    assert increase(readings)[0] == counted


NUMBERS = st.none() | st.floats() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5).map(float)
MOMENTS = st.lists(
    st.builds(
        moment,
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.floats(0, 1e5),
        divisor=NUMBERS.filter(lambda number: number is None or math.isfinite(number)),
        samples=NUMBERS.filter(lambda number: number is None or math.isfinite(number)),
        verdict=st.sampled_from(["pass", "warn", "fail", "unknown"]),
    ),
    min_size=1,
    max_size=8,
)
METRICS = [
    metric(fail_above=1, warn_above=0.5, unit="ratio"),
    metric(divided_by="d", samples="s", minimum_samples=3, complement=True, unit="bytes", fail_below=3),
    metric(divided_by="d", minimum_samples=3, too_few="pass", scale=-1e300),
    counter(divided_by="d", fail_above=0.1),
    counter(aggregate="rate", samples="s", minimum_samples=2, fail_above=0.1, unit="per_second"),
    counter(aggregate="mean", baseline={"value": 2, "fail_ratio_above": 2, "warn_ratio_below": 0.1}),
    counter(aggregate="maximum", baseline={"from_history_days": 2, "fail_ratio_above": 2}),
]


@given(st.sampled_from(METRICS), MOMENTS, st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_any_readings_are_judged_with_a_reason_and_no_number_never_passes(one: t.Any, readings: list[t.Any], usual: float | None) -> None:
    got = measure(one, readings)
    verdict, reason, ratio = judge(one, got, Normal(usual, "" if usual is not None else "no baseline yet") if one.baseline else None)
    assert reason
    assert verdict in ("pass", "warn", "fail", "unknown")
    assert ratio is None or isinstance(ratio, float)
    if got.value is None and one.too_few != "pass":
        assert verdict == "unknown"
    elif got.value is not None:
        assert math.isfinite(got.value)
