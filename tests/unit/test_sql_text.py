# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shown of a query holds none of the values in it, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.database_care.sql_text import first_words, without_values

SECRET = "s3cr3tvalue"
WRITTEN = [
    "'{}'", "'it''s {}'", "E'\\'{}'", "e'{}\\\\'", "B'{}'", "x'{}'", "N'{}'", "U&'{}'", "$${}$$", "$tag$ '{} $$ $tag$", "$Täg1$'{}'$Täg1$",
    "/* {} */", "/* a /* {} */ {} */", "-- {}\n", "'a -- {}'", "'/* {}'", "'multi\nline {}'",
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_constants_and_comments_are_not_shown_and_what_surrounds_them_is(written: str) -> None:
    shown = without_values(f"SELECT name FROM cases WHERE note = {written.replace('{}', SECRET)} AND id = 5 ORDER BY name")
    assert SECRET not in shown
    assert shown.startswith("SELECT name FROM cases WHERE note =")
    assert "\n" not in shown
    if "\\" not in written:
        assert shown.endswith("AND id = ? ORDER BY name")


def test_names_operators_parameters_and_quoted_names_are_shown() -> None:
    sql = 'SELECT "Odd ""name", t1.col2, a$b FROM s.t1 WHERE a->>\'k\' = $1 AND b > 1.5e3 AND c::int[3] <> 0x1F'
    assert without_values(sql) == 'SELECT "Odd ""name", t1.col2, a$b FROM s.t1 WHERE a->>? = $1 AND b > ? AND c::int[?] <> ?'


@pytest.mark.parametrize("cut", ["'{}", "E'{}", "$x${}", "/* {}", "-- {}", "'a' || '{}", "$${}"])
def test_what_is_cut_off_within_a_constant_is_not_shown(cut: str) -> None:
    shown = without_values("ALTER ROLE service PASSWORD " + cut.replace("{}", SECRET))
    assert SECRET not in shown and shown.startswith("ALTER ROLE service PASSWORD")


def test_after_a_backslash_that_may_mean_two_things_nothing_is_shown() -> None:
    assert SECRET not in without_values(f"SELECT 'a\\', ' {SECRET} '")
    assert SECRET not in without_values(f"SELECT 'a\\'' , {SECRET}, '")


@given(st.lists(st.sampled_from([*WRITTEN, "SELECT", " ", ",", "(", "cases", '"name"', "5", "$1", "||", "::text", "\n"]), max_size=12))
def test_whatever_stands_side_by_side_no_value_gets_through(parts: list[str]) -> None:
    assert SECRET not in without_values(" ".join(parts).replace("{}", SECRET))


@given(st.text(), st.integers(5, 600))
def test_any_text_at_all_becomes_one_line_of_that_length(text: str, characters: int) -> None:
    shown = without_values(text, characters)
    assert len(shown) <= characters
    assert "\n" not in shown


def test_long_texts_cost_little() -> None:
    assert len(without_values("SELECT " + "(" * 5000 + "'" * 4999)) <= 500


def test_the_first_words_say_what_kind_of_statement_it_is() -> None:
    assert first_words("  create  unique index CONCURRENTLY x ON y") == "CREATE UNIQUE"
    assert first_words("/* cron */ vacuum (analyze) t") == "VACUUM ANALYZE"
    assert first_words("") == ""
