# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objectives: what is counted as up, as down and as not known, and what follows for the error budget."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.report.slo import (
    Reading,
    account,
    burn_down,
    burn_rate,
    error_budget,
    good_below,
    increase,
    judge,
    lasts_s,
    mean_over_time,
    pieces,
)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
READINGS = st.lists(
    st.builds(Reading, st.integers(-2000, 12_000).map(float), st.sampled_from([True, False, None])),
    max_size=60,
    unique_by=lambda one: one.at,
)
VALID = st.integers(1, 3000).map(float)


def every(seconds: float, since: float, until: float, good: bool | None = True) -> list[Reading]:
    found, at = [], since
    while at < until:
        found.append(Reading(at, good))
        at += seconds
    return found


def test_a_day_of_readings_with_an_hour_down_is_23_hours_up_and_one_down() -> None:
    readings = every(300, 0, DAY)
    down = [Reading(one.at, not 10 * HOUR <= one.at < 11 * HOUR) for one in readings]
    found = account(down, 0, DAY, 900)
    assert (found.good_s, found.bad_s, found.coverage) == (23 * HOUR, HOUR, 1.0)
    assert found.share == pytest.approx(23 / 24)


def test_time_without_readings_is_neither_up_nor_down_and_lowers_the_coverage() -> None:
    readings = [one for one in every(300, 0, DAY) if not 6 * HOUR <= one.at < 12 * HOUR]
    found = account(readings, 0, DAY, 900)
    # The last reading before the gap vouches for ten minutes more than its own five.
    assert found.good_s == 18 * HOUR + 600
    assert found.share == 1.0
    assert found.coverage == pytest.approx((18 * HOUR + 600) / DAY)
    assert judge(found, 0.999, 0.9)[0] == "unknown"
    assert judge(found, 0.999, 0.7)[0] == "pass"


def test_a_reading_that_says_nothing_ends_what_the_one_before_vouched_for() -> None:
    assert account([Reading(0, True), Reading(100, None)], 0, 1000, 900).good_s == 100


def test_one_reading_a_day_does_not_prove_a_day() -> None:
    found = account([Reading(9 * HOUR, True)], 0, DAY, 900)
    assert found.coverage < 0.02
    assert judge(found, 0.99, 0.9)[0] == "unknown"


def test_without_readings_nothing_is_known() -> None:
    found = account([], 0, DAY, 900)
    assert (found.share, found.coverage, burn_rate(found, 0.999)) == (None, 0.0, None)
    assert judge(found, 0.999, 0.0) == ("unknown", "nothing was measured in this window")


def test_an_overdrawn_budget_fails_however_little_was_measured() -> None:
    found = account(every(300, 0, 2 * HOUR, good=False), 0, 30 * DAY, 300)
    assert found.coverage < 0.01
    assert judge(found, 0.999, 0.9)[0] == "fail"


def test_what_is_below_the_objective_but_within_the_budget_of_the_whole_window_warns() -> None:
    # Ten minutes of a measured day are more than a thousandth of it, and less than the 43 minutes of 30 days.
    readings = [Reading(one.at, not HOUR <= one.at < HOUR + 600) for one in every(300, 0, DAY)]
    assert judge(account(readings, 0, 30 * DAY, 300), 0.999, 0.0)[0] == "warn"


def test_thirty_days_at_three_nines_allow_43_minutes() -> None:
    budget = error_budget(account(every(300, 0, 30 * DAY), 0, 30 * DAY, 900), 0.999)
    assert budget.allowed_s == pytest.approx(43.2 * MINUTE)
    assert budget.left_share == 1.0


def test_a_budget_burns_once_when_exactly_the_allowed_share_is_bad() -> None:
    readings = [Reading(one.at, one.at >= 60) for one in every(60, 0, 6000)]
    found = account(readings, 0, 6000, 60)
    assert burn_rate(found, 0.99) == pytest.approx(1.0)
    assert burn_rate(found, 0.999) == pytest.approx(10.0)
    assert error_budget(found, 0.99).left_share == pytest.approx(0.0)


def test_an_objective_of_one_allows_nothing() -> None:
    bad = account([Reading(0, False)], 0, 100, 100)
    good = account([Reading(0, True)], 0, 100, 100)
    assert (burn_rate(bad, 1.0), burn_rate(good, 1.0)) == (None, 0.0)
    assert (judge(bad, 1.0, 0)[0], judge(good, 1.0, 0)[0]) == ("fail", "pass")
    assert error_budget(bad, 1.0).left_share == 0.0
    assert burn_down([Reading(0, False)], 0, 100, 100, 1.0) == []


def test_a_number_is_good_up_to_and_with_the_objective() -> None:
    series = [(0.0, 1000.0), (1.0, 1000.1), (2.0, None), (3.0, float("nan"))]
    assert [one.good for one in good_below(series, 1000.0)] == [True, False, None, None]
    assert [one.good for one in good_below(series, 1000.05, "higher")] == [False, True, None, None]


def test_a_mean_weights_each_reading_by_the_time_it_stands_for() -> None:
    mean, coverage = mean_over_time([(0, 10.0), (10, 20.0), (40, 0.0)], 0, 100, 30)
    assert mean == pytest.approx((10 * 10 + 30 * 20 + 30 * 0) / 70)
    assert coverage == pytest.approx(0.7)
    assert mean_over_time([(0, None)], 0, 100, 30) == (None, 0.0)


def test_a_budget_lasts_as_long_as_the_pace_allows() -> None:
    budget = error_budget(account(every(300, 0, 30 * DAY), 0, 30 * DAY, 900), 0.999)
    assert lasts_s(budget, 1.0, 30 * DAY) == pytest.approx(30 * DAY)
    assert lasts_s(budget, 2.0, 30 * DAY) == pytest.approx(15 * DAY)
    assert lasts_s(budget, 0.0, 30 * DAY) is None
    assert lasts_s(error_budget(account([Reading(0, False)], 0, 100, 100), 0.99), 1.0, 100) == 0.0


def test_a_counter_that_begins_again_loses_nothing_but_what_nobody_saw() -> None:
    assert increase([10, 15, 40, 3, 8]) == 30 + 3 + 5
    assert increase([7]) == increase([]) == 0


@given(READINGS, VALID)
def test_good_bad_and_unknown_time_add_up_to_the_window(readings: list[Reading], valid_s: float) -> None:
    found = account(readings, 0, 10_000, valid_s)
    assert found.good_s >= 0
    assert found.bad_s >= 0
    assert found.measured_s <= 10_000
    assert 0 <= found.coverage <= 1
    assert found.share is None or 0 <= found.share <= 1


@given(READINGS, VALID, st.integers(1, 9999))
def test_a_window_is_the_sum_of_its_parts(readings: list[Reading], valid_s: float, middle: int) -> None:
    whole, first, second = (account(readings, *ends, valid_s) for ends in ((0, 10_000), (0, middle), (middle, 10_000)))
    assert whole.good_s == pytest.approx(first.good_s + second.good_s)
    assert whole.bad_s == pytest.approx(first.bad_s + second.bad_s)


@given(READINGS, VALID)
def test_the_order_of_the_readings_does_not_matter(readings: list[Reading], valid_s: float) -> None:
    assert pieces(readings, 0, 10_000, valid_s) == pieces(readings[::-1], 0, 10_000, valid_s)


@given(READINGS, VALID)
def test_pieces_never_overlap_and_lie_in_the_window(readings: list[Reading], valid_s: float) -> None:
    found = pieces(readings, 0, 10_000, valid_s)
    assert all(0 <= one.begin < one.end <= 10_000 for one in found)
    assert all(earlier.end <= later.begin for earlier, later in itertools.pairwise(found))


@given(READINGS, VALID)
def test_forgetting_what_a_reading_said_never_adds_measured_time(readings: list[Reading], valid_s: float) -> None:
    assume(readings)
    less = [Reading(readings[0].at, None), *readings[1:]]
    assert account(less, 0, 10_000, valid_s).measured_s <= account(readings, 0, 10_000, valid_s).measured_s + 1e-6


@given(READINGS, VALID)
def test_a_worse_reading_never_raises_the_availability(readings: list[Reading], valid_s: float) -> None:
    assume(any(one.good for one in readings))
    number = next(place for place, one in enumerate(readings) if one.good)
    worse = [*readings[:number], Reading(readings[number].at, False), *readings[number + 1 :]]
    before, after = account(readings, 0, 10_000, valid_s).share, account(worse, 0, 10_000, valid_s).share
    assert (before is None) == (after is None)
    assert before is None or after is None or after <= before + 1e-9


@given(READINGS, VALID, st.floats(0.5, 0.9999))
def test_the_burn_down_begins_untouched_never_rises_and_ends_at_what_is_left(
    readings: list[Reading], valid_s: float, objective: float
) -> None:
    points = burn_down(readings, 0, 10_000, valid_s, objective)
    budget = error_budget(account(readings, 0, 10_000, valid_s), objective)
    assert points[0] == (0, 1.0)
    assert points[-1][0] == 10_000
    assert points[-1][1] == pytest.approx(budget.left_share, abs=1e-6)
    assert all(later[1] <= earlier[1] + 1e-9 and later[0] >= earlier[0] for earlier, later in itertools.pairwise(points))


@given(READINGS, VALID, st.floats(0.5, 1.0), st.floats(0, 1))
def test_nothing_passes_whose_budget_is_overdrawn_or_that_was_hardly_measured(
    readings: list[Reading], valid_s: float, objective: float, minimum: float
) -> None:
    found = account(readings, 0, 10_000, valid_s)
    verdict, reason = judge(found, objective, minimum)
    if verdict == "pass":
        assert found.coverage >= minimum
        assert found.measured_s > 0
        assert found.share is not None
        assert found.share >= objective
    else:
        assert reason
    assert (verdict == "fail") == (found.bad_s > error_budget(found, objective).allowed_s)


@given(st.lists(st.tuples(st.integers(0, 9999), st.none() | st.floats(-1e6, 1e6)), max_size=40), VALID)
def test_a_mean_lies_between_the_lowest_and_the_highest(series: list[tuple[int, float | None]], valid_s: float) -> None:
    mean, coverage = mean_over_time(series, 0, 10_000, valid_s)
    values = [value for _at, value in series if value is not None]
    assert 0 <= coverage <= 1
    assert mean is None or min(values) - 1e-6 <= mean <= max(values) + 1e-6
