# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options are read the same way whether Ansible's reader is needed for them or not."""

from __future__ import annotations

import copy
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks.catalogue import TYPES
from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import COMMON
from ansible_collections.sre.runbooks.plugins.module_utils.checks.reading import Reader

VALUES = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["5", "2.5", "yes", "a,b", "~/x", "$HOME/x", "GET", "unknown", "sum", "A", "docker", '{"a": 1}']),
    st.integers(-9, 9),
    st.floats(-9, 9),
    st.booleans(),
    st.lists(st.one_of(st.sampled_from(["A", "AAAA", "200"]), st.integers(0, 9), st.none()), max_size=3),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2),
)


@pytest.mark.parametrize("kind", sorted(TYPES))
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_taken_as_it_is_is_what_ansible_makes_of_it(kind: str, data: st.DataObject) -> None:
    spec = {**COMMON, **TYPES[kind]().spec}
    required = {name: data.draw(VALUES) for name, option in spec.items() if option.get("required") and data.draw(st.integers(0, 9)) > 0}
    options = {**required, **data.draw(st.dictionaries(st.sampled_from(sorted(spec)), VALUES, max_size=5))}
    reader = Reader(spec)
    found, wrong = reader.read(copy.deepcopy(options))
    converted, errors = reader._converted(copy.deepcopy(options))
    assert bool(wrong) == bool(errors)
    if not errors:
        assert shown(found) == shown(converted)


def shown(options: t.Mapping[str, t.Any]) -> dict[str, tuple[str, t.Any]]:
    """Values with their types, since 1, 1.0 and True are equal; not-a-number equals nothing, not even itself."""
    return {name: (type(value).__name__, "nan" if value != value else value) for name, value in options.items()}


def test_a_default_that_is_a_list_is_nobody_s_to_change() -> None:
    reader = Reader({"names": {"type": "list", "elements": "str", "default": []}})
    reader.read({})[0]["names"].append("mine")
    assert reader.read({})[0]["names"] == []
