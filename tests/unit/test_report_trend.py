# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trends: a date where the data bear one, and a refusal with its reason where they do not."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.report.trend import DAY_S, Terms, Trend, fit, reach

TERMS = Terms(minimum_points=20, minimum_days=3.0, horizon_factor=3.0)


def growing(days: float, per_day: float, level: float = 50.0, noise: float = 0.0, every_s: float = 3600.0) -> list[tuple[float, float]]:
    """Readings that end at `level` on day 0."""
    chance = random.Random(7)
    count = int(days * DAY_S / every_s)
    return [
        (
            -number * every_s,
            level - per_day * number * every_s / DAY_S + chance.gauss(0, noise) if noise else level - per_day * number * every_s / DAY_S,
        )
        for number in range(count, -1, -1)
    ]


def line(series: list[tuple[float, float]]) -> Trend:
    found = fit(series, TERMS)
    assert isinstance(found, Trend), found
    return found


def test_a_disk_that_grows_two_percent_a_day_is_full_in_25_days() -> None:
    found = reach(line(growing(14, 2.0)), 100.0, TERMS)
    assert found.expected == pytest.approx(25 * DAY_S, rel=0.01)
    assert (found.reason, found.refused) == ("", False)


def test_the_interval_holds_the_true_slope_and_narrows_with_more_data() -> None:
    short, long = line(growing(6, 1.0, noise=1.5)), line(growing(24, 1.0, noise=1.5))
    for one in (short, long):
        assert one.slope_low <= 1.0 <= one.slope_high
    assert long.slope_high - long.slope_low < short.slope_high - short.slope_low


def test_earliest_expected_and_latest_come_in_this_order() -> None:
    found = reach(line(growing(20, 1.5, noise=1.0)), 100.0, TERMS)
    assert found.earliest is not None
    assert found.expected is not None
    assert found.latest is not None
    assert found.earliest <= found.expected <= found.latest


def test_spikes_and_one_clean_up_do_not_bend_the_line() -> None:
    series = growing(20, 1.0)
    spiked = [(at, value + (40 if number % 7 == 0 else 0)) for number, (at, value) in enumerate(series)]
    assert line(spiked).slope == pytest.approx(1.0, rel=0.15)


def test_what_does_not_grow_gets_no_date() -> None:
    found = reach(line(growing(10, -0.5, noise=0.1)), 100.0, TERMS)
    assert (found.expected, found.reason) == (None, "it does not grow")


def test_noise_without_a_trend_gets_no_date() -> None:
    found = reach(line(growing(10, 0.0, noise=3.0)), 100.0, TERMS)
    assert found.expected is None
    assert "no clear trend" in found.reason


def test_what_only_wanders_gets_a_wider_interval_than_what_scatters() -> None:
    chance, value, wandering = random.Random(3), 50.0, []
    for number in range(240):
        value += chance.gauss(0, 0.5)
        wandering.append((number * 3600.0, value))
    steps = [later[1] - earlier[1] for earlier, later in itertools.pairwise(wandering)]
    scattering = [(at, 50.0 + step) for (at, _value), step in zip(wandering, steps, strict=False)]
    wide, narrow = line(wandering), line(scattering)
    assert wide.slope_high - wide.slope_low > 3 * (narrow.slope_high - narrow.slope_low)


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ([], "too little data: 0 readings, 20 are needed"),
        ([(0.0, 1.0)], "too little data: 1 reading, 20 are needed"),
        (growing(2, 1.0), "the readings span 2 days, 3 days are needed"),
        ([(float(number), 50.0) for number in range(100)], "the readings span"),
        ([*growing(1, 1.0, every_s=600), (100 * DAY_S, 99.0)], "too large gaps"),
    ],
)
def test_too_little_data_is_refused_with_the_reason(series: list[tuple[float, float]], said: str) -> None:
    found = reach(fit(series, TERMS), 100.0, TERMS)
    assert found.refused
    assert said in found.reason
    assert (found.expected, found.earliest, found.latest) == (None, None, None)


def test_no_date_is_given_that_lies_further_ahead_than_the_readings_can_tell() -> None:
    found = reach(line(growing(10, 0.1)), 100.0, TERMS)
    assert found.expected is None
    assert found.reason == "not expected within 30 days; 10 days of readings tell no more"


def test_what_is_full_is_full_now() -> None:
    found = reach(line(growing(10, 1.0, level=100.5)), 100.0, TERMS)
    assert found.expected == found.earliest == found.latest == 0.0


def test_readings_without_a_number_are_left_out() -> None:
    series: list[tuple[float, float | None]] = [*growing(10, 1.0), (1.0, None), (2.0, math.nan), (3.0, math.inf)]
    assert isinstance(fit(series, TERMS), Trend)


@given(
    st.lists(st.tuples(st.integers(0, 40 * 86_400).map(float), st.floats(-1e9, 1e9)), max_size=80),
    st.floats(-1e9, 1e9),
    st.builds(Terms, st.integers(5, 30), st.floats(0.01, 20), st.floats(0.1, 10)),
)
def test_any_series_gives_a_trend_or_a_reason_and_dates_in_order(series: list[tuple[float, float]], limit: float, terms: Terms) -> None:
    trend = fit(series, terms)
    found = reach(trend, limit, terms)
    if isinstance(trend, Trend):
        assert trend.slope_low <= trend.slope <= trend.slope_high
        assert trend.points >= terms.minimum_points
        assert trend.days >= terms.minimum_days
    else:
        assert found.refused
    assert (found.expected is None) == bool(found.reason)
    dates = [date for date in (found.earliest, found.expected, found.latest) if date is not None]
    assert dates == sorted(dates)


@given(st.floats(0.5, 20), st.floats(1, 60), st.integers(4, 40))
def test_a_perfect_line_is_found_again(per_day: float, level: float, days: int) -> None:
    trend = line(growing(days, per_day, level))
    assert trend.slope == pytest.approx(per_day, rel=1e-6)
    assert trend.level == pytest.approx(level, rel=1e-6, abs=1e-6)
    found = reach(trend, 100.0, TERMS)
    wanted = (100 - level) / per_day
    if wanted < 3 * days * 0.999:
        assert found.expected == pytest.approx(wanted * DAY_S, rel=1e-3, abs=60)
    elif wanted > 3 * days * 1.001:
        assert found.expected is None
