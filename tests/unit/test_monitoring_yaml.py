# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written as YAML is read as what it was, whatever is in it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.yaml_text import quoted, yaml_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts
documents = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20)


@given(documents)
def test_any_document_comes_back_as_it_was(document: Any) -> None:
    assert yaml.safe_load(yaml_text(document)) == document


@given(texts, texts)
def test_a_comment_hides_nothing_and_adds_nothing(head: str, text: str) -> None:
    assert yaml.safe_load(yaml_text({"a": text}, head)) == {"a": text}


@pytest.mark.parametrize(
    "word", ["yes", "No", "null", "~", "1.5", "0x1f", "1e3", "1:20", "=", "<<", "- a", "a: b", "a #b", "{a}", "!x", "&a", "*a", "", " a"]
)
def test_a_text_that_looks_like_something_else_stays_a_text(word: str) -> None:
    assert yaml.safe_load(yaml_text([word, {word: word}])) == [word, {word: word}]


def test_half_of_a_surrogate_pair_which_no_file_can_hold_is_replaced() -> None:
    assert yaml.safe_load(yaml_text(["a\ud800b"])) == ["a?b"]
    assert quoted("\udfff") == '"?"'


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_none_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        yaml_text([number])


def test_promql_stays_readable() -> None:
    assert yaml_text({"expr": 'rate(a{b="c"}[5m]) > 0.1', "for": "5m"}).splitlines()[1:] == [
        "expr: 'rate(a{b=\"c\"}[5m]) > 0.1'",
        "for: 5m",
    ]
