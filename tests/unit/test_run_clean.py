# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is cleaned for a run record: free of secrets, of a bounded size, and possible to read again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.run_clean import Cleaner

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.text("abcdefghijklmnop0123456789", min_size=6, max_size=20), st.data())
def test_a_secret_is_found_in_any_value_at_any_place(value: Any, secret: str, data: st.DataObject) -> None:
    hidden = data.draw(
        st.sampled_from([[value, secret], {"a": [value, {"b": f"x{secret}y"}]}, {secret: value}, {"deep": {"er": (secret, value)}}])
    )
    cleaned = json.dumps(Cleaner([secret]).value(hidden), allow_nan=False, ensure_ascii=False)
    assert secret not in cleaned


@given(JSON)
def test_any_result_can_be_recorded_and_read_again(value: Any) -> None:
    cleaned = Cleaner().value(value)
    assert json.loads(json.dumps(cleaned, allow_nan=False)) == cleaned


def test_what_is_endless_is_cut_and_marked() -> None:
    cleaned = Cleaner().value({"text": "x" * 100_000, "list": list(range(10_000))})
    assert cleaned["text"].endswith("(100000 characters in all)")
    assert cleaned["list"][-1] == "... and 9500 more"
