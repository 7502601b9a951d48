# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names that a restore makes of a database's name: short enough, told apart, found again, and nobody else's taken for them."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.swap import choose_replaced
from ansible_collections.sre.runbooks.plugins.module_utils.restoring.names import NAME_BYTES, derived_name, names_derived_from, stamp

NAMES = st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1).filter(
    lambda name: len(name.encode()) <= NAME_BYTES
)
LONG = st.text(alphabet="ab_é€😀", min_size=30, max_size=63).map(lambda name: name.encode()[:NAME_BYTES].decode(errors="ignore"))
WORDS = st.sampled_from(["restoring", "before", "undone"])
STAMPS = st.datetimes().map(lambda time: f"{time.year:04d}{time:%m%dT%H%M%SZ}")


@given(NAMES | LONG, WORDS, STAMPS)
def test_a_derived_name_fits_and_is_found_again(name: str, word: str, time: str) -> None:
    derived = derived_name(name, word, time)
    assert len(derived.encode()) <= NAME_BYTES
    assert derived.endswith(f"_{word}_{time}")
    assert derived != name
    assert names_derived_from(name, word, ["postgres", name, derived]) == [derived]
    for other in {"restoring", "before", "undone"} - {word}:
        assert names_derived_from(name, other, [derived]) == []


@given(LONG, st.sampled_from("xyz") | LONG, WORDS, STAMPS)
def test_names_that_begin_alike_are_told_apart(first: str, end: str, word: str, time: str) -> None:
    second = first[:-1] + end if len(end) == 1 else end
    assume(first != second)
    assert derived_name(first, word, time) != derived_name(second, word, time)
    assert names_derived_from(first, word, [derived_name(second, word, time)]) == []


@given(NAMES, NAMES, WORDS, STAMPS)
def test_what_somebody_else_named_is_left_alone(name: str, other: str, word: str, time: str) -> None:
    foreign = [other, f"{name}_{word}", f"{name}_{word}_old", f"{name}_{word}_{time}x", f"x{name}_{word}_{time}", f"{name}_{word}_{time}\n"]
    assert names_derived_from(name, word, [one for one in foreign if one != derived_name(name, word, time)]) == []


@given(NAMES, st.lists(STAMPS, min_size=1, unique=True))
def test_the_newest_comes_first_and_is_what_an_undo_takes(name: str, times: list[str]) -> None:
    kept = [derived_name(name, "before", time) for time in times]
    assert names_derived_from(name, "before", kept) == [derived_name(name, "before", time) for time in sorted(times, reverse=True)]
    assert choose_replaced(name, kept) == derived_name(name, "before", max(times))
    for one in kept:
        assert choose_replaced(name, kept, one) == one


def test_short_names_stay_readable() -> None:
    assert derived_name("reference", "before", "20261121T020000Z") == "reference_before_20261121T020000Z"
    assert re.fullmatch(r"\d{8}T\d{6}Z", stamp())


def test_an_undo_takes_nothing_that_no_restore_replaced() -> None:
    with pytest.raises(BadInput, match="No replaced database of 'a' is kept"):
        choose_replaced("a", ["a", "b_before_20261121T020000Z", "a_undone_20261121T020000Z"])
    with pytest.raises(BadInput, match="a_before_20261121T020000Z"):
        choose_replaced("a", ["a_before_20261121T020000Z"], "postgres")
