# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers as a person reads them: short, and never better than they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.readable import digits, part_in_percent, percent, quantity, span


@pytest.mark.parametrize(
    ("share", "said"),
    [(1, "100"), (0, "0"), (0.5, "50"), (0.9995, "99.95"), (0.99944, "99.94"), (0.999, "99.9"), (0.99999, "99.999"), (0.0421, "4.21"),
     (-0.273, "-27.3"), (0.999999999, "99.9999")],
)  # fmt: skip
def test_shares_near_one_have_as_many_digits_as_tell_them_from_one(share: float, said: str) -> None:
    assert percent(share) == said


@given(st.floats(0, 1, exclude_max=True))
def test_what_is_less_than_all_is_never_said_to_be_all(share: float) -> None:
    assert percent(share) != "100"


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (None, "ms", "no data"),
        (0.0123, "ratio", "1.23 %"),
        (78.06, "percent", "78.1 %"),
        (1019.4, "ms", "1\u202f019 ms"),
        (12.345, "s", "12.3 s"),
        (7500, "s", "2 h 5 min"),
        (234e6, "bytes", "234 MB"),
        (12, "per_second", "12 /s"),
        (3, "count", "3"),
        (10.5, "usd_per_hour", "10.5 USD/h"),
        (5, "furlongs", "5 furlongs"),
    ],
)
def test_numbers_carry_their_unit(value: float | None, unit: str, said: str) -> None:
    assert quantity(value, unit) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (45, "45 s"),
        (720, "12 min"),
        (900, "15 min"),
        (54_000, "15 h"),
        (86_400, "24 h"),
        (273_600, "3 days 4 h"),
        (2_592_000, "30 days"),
        (-90, "-1 min 30 s"),
    ],
)
def test_times_are_said_in_their_largest_units(seconds: float, said: str) -> None:
    assert span(seconds) == said


@given(st.floats(-1e300, 1e300))
def test_any_number_can_be_said_and_read_back_about_as_large(value: float) -> None:
    said = float(digits(value).replace("\u202f", ""))
    assert said == pytest.approx(value, rel=0.006, abs=1e-8)


@pytest.mark.parametrize(("part", "said"), [(0, "0 %"), (2.74e-6, "under 0.1 %"), (0.001, "0.1 %"), (0.1234, "12.3 %"), (1.0, "100 %")])
def test_a_tiny_part_is_not_told_in_millionths(part: float, said: str) -> None:
    assert part_in_percent(part) == said
