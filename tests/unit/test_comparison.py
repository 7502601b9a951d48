# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparing two fingerprints: every difference is told, nothing is told where there is none, what cannot be compared is unknown."""

from __future__ import annotations

import copy
import typing as t

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.comparison import compare

LABELS = st.text(alphabet='ab".é', min_size=1, max_size=6)


@st.composite
def fingerprints(draw: st.DrawFn) -> dict[str, t.Any]:
    """A manifest's fingerprint."""
    tables = {label: {"rows": draw(st.integers(0, 9)), "hash": str(draw(st.integers()))} for label in draw(st.sets(LABELS, max_size=4))}
    sequences = {}
    for label in draw(st.sets(LABELS, max_size=3)):
        low, high = draw(st.integers(-9, 9)), draw(st.integers(-9, 9))
        sequences[label] = {"from": low, "to": high, "is_called": [draw(st.booleans())] * 2}
    return {
        "method": "hash_record_extended",
        "tables": tables,
        "sequences": sequences,
        "extensions": dict.fromkeys(draw(st.sets(LABELS, max_size=2)), "1.0"),
        "large_objects": {"count": draw(st.integers(0, 3)), "bytes": "7", "hash": "1"},
        "schema": "digest",
    }


def restored(expected: dict[str, t.Any]) -> dict[str, t.Any]:
    """What a perfect restore shows."""
    found = copy.deepcopy(expected)
    found["sequences"] = {
        label: {"last_value": limits["from"], "is_called": limits["is_called"][0], "increment": 1}
        for label, limits in expected["sequences"].items()
    }
    return found


@given(fingerprints())
def test_the_same_is_the_same(expected: dict[str, t.Any]) -> None:
    result = compare(expected, restored(expected), same_versions=True)
    assert result.same and result.unknown == []
    assert result.compared["tables"] == len(expected["tables"])
    assert result.compared["rows"] == sum(table["rows"] for table in expected["tables"].values())


@given(fingerprints(), st.data())
def test_any_one_change_is_told_once_by_its_name(expected: dict[str, t.Any], data: st.DataObject) -> None:
    found = restored(expected)
    changes = ["schema", "large object", "new table"]
    changes += [f"{kind} {part}" for part in ("tables", "sequences", "extensions") for kind in ("drop", "alter") if expected[part]]
    change = data.draw(st.sampled_from(changes))
    if change == "schema":
        found["schema"], name = "other", "the schema"
    elif change == "large object":
        found["large_objects"]["hash"], name = "2", "large objects"
    elif change == "new table":
        found["tables"]["new"], name = {"rows": 0, "hash": "0"}, "table new was not in the backup"
    else:
        kind, part = change.split()
        label = data.draw(st.sampled_from(sorted(expected[part])))
        name = f"{part[:-1]} {label}"
        if kind == "drop":
            del found[part][label]
        elif part == "tables":
            key = data.draw(st.sampled_from(["rows", "hash"]))
            found[part][label][key] = 99 if key == "rows" else found[part][label][key] + "0"
        elif part == "sequences":
            found[part][label]["last_value"] = 10
        else:
            found[part][label] = "2.0"  # another version of an extension comes from the server, and is no difference
            result = compare(expected, found, same_versions=True)
            assert result.same and len(result.unknown) == 1 and name in result.unknown[0]
            return
    result = compare(expected, found, same_versions=True)
    assert not result.same and len(result.differences) == 1
    assert name in result.differences[0]
    assert result.as_dict()["differences"] == result.differences


@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(-30, 30), st.booleans())
def test_a_sequence_that_moved_may_stand_anywhere_between(first: int, last: int, now: int, called: bool) -> None:
    expected = {
        "method": "m",
        "tables": {},
        "extensions": {},
        "large_objects": None,
        "schema": "x",
        "sequences": {"s": {"from": first, "to": last, "is_called": [False, True]}},
    }
    found = {**expected, "sequences": {"s": {"last_value": now, "is_called": called, "increment": 1}}}
    result = compare(expected, found, same_versions=True)
    assert result.same == (min(first, last) <= now <= max(first, last))
    assert result.unknown == ["large objects: the role may not read them"]


@given(fingerprints())
def test_what_cannot_be_compared_between_versions_is_unknown_and_never_good_in_silence(expected: dict[str, t.Any]) -> None:
    found = {**restored(expected), "schema": None, "method": "hashtextextended", "large_objects": None}
    for table in found["tables"].values():
        table["hash"] = "0"
    result = compare(expected, found, same_versions=False)
    assert result.same
    assert [text.split(":")[0] for text in result.unknown] == ["row content", "large objects", "schema text"]
    for label in expected["tables"]:
        found["tables"][label]["rows"] += 1
        assert not compare(expected, found, same_versions=False).same
        break
