# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading whole blocks gives the same answers as decoding each line."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .log_scans import NOW, answers

QUESTIONS: list[dict[str, t.Any]] = [
    {"name": "errors by type", "levels": ["ERROR"], "group_by": ["type"]},
    {"name": "durations", "number": "duration_ms", "top": 3, "above": [50]},
    {"name": "durations of errors", "levels": ["ERROR", "CRITICAL"], "number": "duration_ms", "top": 2},
    {"name": "last errors", "levels": ["ERROR"], "lines": 3},
    {"name": "refused", "where": {"status": [401, 403, "x"]}, "lines": 2, "group_by": ["user", "source"]},
    {"name": "users", "distinct": "user"},
    {"name": "last rate", "last_value": "rate", "lines": 2},
    {"name": "last object", "last_value": "http"},
    {"name": "nested", "group_by": ["http.method", "level"]},
    {"name": "pattern", "pattern": "ERR.*e", "lines": 2},
    {"name": "pattern and more", "pattern": "a|1", "levels": ["INFO"], "number": "duration_ms"},
    {"name": "all", "lines": 2},
]
TIMED: list[dict[str, t.Any]] = [
    *QUESTIONS,
    {"name": "per minute", "group_by": ["level"], "per": "minute"},
    {"name": "series", "every_s": 60, "levels": ["ERROR"]},
    {"name": "series of seconds", "every_s": 7},
    {"name": "later", "since": "2025-11-21T12:30:30Z", "lines": 2, "group_by": ["user"]},
]
VALUES = (
    st.sampled_from(
        ["ERROR", "INFO", "error", "x", "", 'a "quote"', "back\\slash", "ä", "\U0001f600", '", "level": "ERROR', "\n", "{", "}"]
    )
    | st.integers(-5, 500)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.sampled_from([None, True, False, 401, 403, 1e300, 12.5, [], [1, "a"], [{"a": 1}], {}, {"method": "GET"}, {"level": "ERROR"}])
)
NAMES = st.sampled_from(
    ["level", "type", "duration_ms", "status", "user", "rate", "http", "http.method", "message", "severity", "log.level", 'du"r', "durée"]
)
TIMES = st.integers(0, 120).map(lambda second: f"2025-11-21T12:{30 + second // 60}:{second % 60:02d}.5Z")
FREE = st.dictionaries(NAMES, VALUES, max_size=7)
USUAL = st.fixed_dictionaries(
    {
        "timestamp": TIMES,
        "level": st.sampled_from(["INFO", "INFO", "ERROR", "WARN", 'q"', "\\"]),
        "http": st.fixed_dictionaries({"method": st.sampled_from(["GET", "PUT"]), "path": st.sampled_from(["/a", "/b\\c"])}),
        "user": st.sampled_from(["u1", "u2", "é", None]),
        "status": st.sampled_from([200, 401, 403]),
        "duration_ms": st.sampled_from([1, 2.5, 100, 99.5, 0, -1]),
    }
)
MORE = st.tuples(USUAL, FREE).map(lambda both: {**both[0], **both[1]})


_ORDER = ("timestamp", "level", "http", "user", "status", "duration_ms")


def in_order(document: dict[str, t.Any]) -> dict[str, t.Any]:
    """The members as one program always writes them."""
    return {name: document[name] for name in _ORDER}


def written(document: t.Any, compact: bool, ascii_only: bool) -> bytes:
    """A document as a program writes it."""
    return json.dumps(document, separators=(",", ":") if compact else (", ", ": "), ensure_ascii=ascii_only).encode("utf-8", "replace")


LINE = st.builds(written, USUAL, st.just(False), st.just(False)) | st.builds(written, MORE | FREE, st.booleans(), st.booleans())
ODD = st.sampled_from(
    [
        b"",
        b" ",
        b"\r",
        b"\0\0",
        b"plain ERROR line",
        b"2025-11-21 12:30:05,1 ERROR plain",
        b"[]",
        b"1",
        b"null",
        b"{}",
        b"{",
        b"}",
        b'{"level": "ERROR", "level": "INFO"}',
        b'{"level": "ERROR", "duration_ms": 01}',
        b'{"level": "ERROR", "duration_ms": 1.}',
        b'{"level": "ERROR", "duration_ms": NaN}',
        b'{"level": "ERROR", "duration_ms": 1e999}',
        b'{"level": "ERROR", "type": "\\q"}',
        b'{"level": "ERROR", "type": "\\u0041"}',
        b'{"\\u006cevel": "ERROR"}',
        b'{"level": "ERROR"} x',
        b'x {"level": "ERROR"}',
        b'{"level": "ERROR", "type": "\xff"}',
        b'{"level": "ERROR", "type": "tab\there"}',
        b'{"level": "ERROR',
        b'", "level": "ERROR"}',
        b'{"level": "ERROR", "type": "a\\", "user": "u1"}',
        b'{"a": {"level": "ERROR", "duration_ms": 7}}',
        b'{"level" : "ERROR" ,"type":"x"}',
        b'{"level": "ERROR", "duration_ms": "12"}',
        b'{"level": 50, "duration_ms": 5e1}',
        b'\0{"level": "ERROR"}',
        b'{"level": "ERROR"}\r',
    ]
)
HALF = st.tuples(LINE, st.integers(0, 60)).map(lambda both: both[0][: both[1]])
LINES = st.lists(st.one_of(LINE, LINE, LINE, ODD, HALF, st.binary(max_size=30)), max_size=40)
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def compare(lines: list[bytes], questions: list[dict[str, t.Any]], portion: int, **options: t.Any) -> None:
    """Hold both ways of reading against each other."""
    data = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
    source = {"format": "json"}
    quick, quick_totals = answers(data, questions, source=source, portion=portion, **options)
    slow, slow_totals = answers(data, questions, source=source, portion=portion, fast=False, **options)
    for name, answer in slow.items():
        # The order in which numbers are added up shows in the last digit of their sum.
        quick_mean, mean = quick[name]["numbers"].pop("mean", None), answer["numbers"].pop("mean", None)
        assert quick[name] == answer, name
        assert quick_mean == mean or quick_mean == pytest.approx(mean, rel=1e-12), name
    # Of the times of a whole log the quick way knows those at the ends of blocks.
    assert {**quick_totals, "first": 0, "last": 0} == {**slow_totals, "first": 0, "last": 0}


@relaxed
@given(LINES, st.sampled_from([50, 300, 2000, 100000]))
@example([b'{"level": "ERROR", "type": "a', b'{", "user": "b"}', b'{"level": "ERROR", "type": "c", "user": "d"}'], 100000)
@example([b'{"http": {"method": "GET"}, "status": 200}'] * 2 + [b'{"http.method": 0, "level": "ERROR"}'] * 2, 50)
@example([b'{"level": "ERROR", "type": "x"}', b'{"level": "ERROR", "type": "', b'", "type": "x"}', b'"}'] * 3, 100000)
def test_answers_are_those_of_decoding_each_line(lines: list[bytes], portion: int) -> None:
    compare(lines, QUESTIONS, portion)


def at(second: int) -> bytes:
    """A line of that second."""
    return b'{"timestamp": "2025-11-21T12:30:0%d.5Z", "level": "INFO", "user": "u1", "status": 200, "duration_ms": 1}' % second


@relaxed
@given(LINES, st.sampled_from([300, 100000]))
@example([*[at(0)] * 19, at(1), b"", b"", b"no time at all, and longer"], 300)
@example([*[at(0)] * 22, at(1), b"", b"no time"], 300)
def test_answers_by_time_are_those_of_decoding_each_line(lines: list[bytes], portion: int) -> None:
    compare(lines, TIMED, portion)


@relaxed
@given(LINES, st.sampled_from([300, 100000]), st.sampled_from(["2025-11-21T12:30:10Z", "2025-11-21T12:31:00.5Z"]))
def test_answers_of_a_window_are_those_of_decoding_each_line(lines: list[bytes], portion: int, since: str) -> None:
    compare(lines, TIMED, portion, since=since, until="2025-11-21T12:31:30Z")


@settings(relaxed, max_examples=25)
@given(st.lists(USUAL.map(in_order), min_size=100, max_size=100), st.sampled_from([1000, 20000]))
def test_answers_are_the_same_where_most_lines_have_one_shape(documents: list[dict[str, t.Any]], portion: int) -> None:
    ordered = [written(one, False, True) for one in sorted(documents * 3, key=lambda one: str(one["timestamp"]))]
    compare(ordered, TIMED, portion, since="2025-11-21T12:30:20Z")


def test_lines_of_one_shape_are_read_as_blocks() -> None:
    """Or every comparison above would hold two slow ways against each other."""
    from ansible_collections.sre.runbooks.plugins.module_utils.logs.blocks_json import JsonBlocks

    seen: list[bool] = []
    take = JsonBlocks.take

    def noted(self: JsonBlocks, block: bytes) -> bool:
        seen.append(take(self, block))
        return seen[-1]

    lines = [written({"timestamp": f"2025-11-21T12:30:{n % 60:02d}Z", "level": "INFO", "duration_ms": n}, False, True) for n in range(500)]
    JsonBlocks.take = noted  # type: ignore[method-assign]
    try:
        # A block in which a question's own window begins is read line by line.
        questions = [question for question in TIMED if "since" not in question]
        found, totals = answers(b"\n".join(lines) + b"\n", questions, source={"format": "json"}, since="1h")
    finally:
        JsonBlocks.take = take  # type: ignore[method-assign]
    assert len(seen) > 3
    assert all(seen)
    assert totals["lines"] == 500
    assert found["durations"]["highest"] == [499.0, 498.0, 497.0]
    assert NOW - 3600 < found["all"]["times"][0] < NOW
