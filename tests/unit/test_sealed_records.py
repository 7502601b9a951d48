# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records that know whether they are what was written, moments that people write, and libraries that are not there."""

from __future__ import annotations

import sys
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks import conditions
from ansible_collections.sre.runbooks.plugins.module_utils.errors import ToolMissing
from ansible_collections.sre.runbooks.plugins.module_utils.profile import source
from ansible_collections.sre.runbooks.plugins.module_utils.sealed import sealed, unsealed
from ansible_collections.sre.runbooks.plugins.module_utils.state import utc_text, utc_time

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(
    content=st.dictionaries(st.text().filter(lambda name: name not in ("sha256", "format")), VALUES, max_size=4), at=st.integers(0, 10**6)
)
def test_a_record_is_read_as_it_was_written_and_with_any_byte_changed_it_is_refused(content: dict[str, t.Any], at: int) -> None:
    record = {**content, "format": "this/1"}
    text = sealed(record)
    assert unsealed(text, "this/1") == record
    with pytest.raises(ValueError, match="its format is 'this/1'"):
        unsealed(text, "this/2")
    place = at % len(text)
    with pytest.raises(ValueError, match=r"."):
        unsealed(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :], "this/1")


@given(st.binary(max_size=60) | st.sampled_from([b"[]", b"null", b'{"sha256": null}', b'{"format": "this/1"}']))
def test_anything_else_is_no_record(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unsealed(text, "this/1")


def test_a_moment_is_understood_with_and_without_a_fraction_of_the_second() -> None:
    assert utc_text(utc_time("2026-11-21T09:00:00Z")) == "2026-11-21T09:00:00.000Z"
    assert utc_text(utc_time("2026-11-21T09:00:00.250Z")) == "2026-11-21T09:00:00.250Z"
    for text in ("2026-11-21", "2026-11-21T09:00:00", "2026-11-21T09:00:00+01:00", ""):
        with pytest.raises(ValueError, match="does not match"):
            utc_time(text)


def test_a_library_that_is_not_there_is_named_with_what_needs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    for module in ("jmespath", "yaml"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ToolMissing, match=r"Checks have JMESPath expressions.*jmespath.*install jmespath") as missing:
        conditions.compiled("not_seen_before.by_any_test")
    assert missing.value.facts == {"tool": "jmespath"}
    with pytest.raises(ToolMissing, match=r"Profiles are YAML.*PyYAML.*install PyYAML"):
        source.read(str(tmp_path))
