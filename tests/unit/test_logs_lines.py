# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of all kinds: what is read from them, and what is not let out."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.logs.levels import level_in, level_of
from ansible_collections.sre.runbooks.plugins.module_utils.logs.operation import operate
from ansible_collections.sre.runbooks.plugins.module_utils.logs.shown import Shown
from ansible_collections.sre.runbooks.plugins.module_utils.logs.times import TimeReader, moment

from .log_scans import NOW, answers

if t.TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2-Zx81"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-21T12:30:00Z", 1763728200.0),
        ("2025-11-21 12:30:00,250 INFO x", 1763728200.25),
        ("2025-11-21T13:30:00+01:00", 1763728200.0),
        ("2025/11/21 12:30:00 x", 1763728200.0),
        ("21/Nov/2025:12:30:00 +0000", 1763728200.0),
        ("Nov 21 12:30:00 host app", 1763728200.0),
        ("E1121 12:30:00.500000 1 x", 1763728200.5),
        ("1763728200.5", 1763728200.5),
        ("1763728200500", 1763728200.5),
        ("2025-13-41T12:30:00Z", None),
        ("no time", None),
    ],
)
def test_times_are_read_as_programs_write_them(text: str, expected: float | None) -> None:
    found = TimeReader(newest=NOW).search(text)
    assert (found[0] if found else None) == expected


def test_a_span_and_a_time_both_say_since_when() -> None:
    assert moment("1h", NOW, "since") == NOW - 3600
    assert moment("15 min", NOW, "since") == NOW - 900
    assert moment("2025-11-21", NOW, "since") == 1763683200.0
    with pytest.raises(BadInput, match="since is no time"):
        moment("yesterday", NOW, "since")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("warn", "WARNING"), ("Fatal", "CRITICAL"), (50, "ERROR"), ("3", "ERROR"), (3, "ERROR"), ("custom", "CUSTOM"), (None, None)],
)
def test_levels_have_one_word_whatever_the_program_calls_them(value: object, expected: str | None) -> None:
    assert level_of(value) == expected


def test_a_plain_lines_level_is_found_and_an_ordinary_word_is_not_taken_for_one() -> None:
    assert level_in("2025-11-21 12:30:00,250 - app - ERROR - it failed") == "ERROR"
    assert level_in("time=x level=warn msg=y") == "WARNING"
    assert level_in("[error] 12#0: upstream timed out") == "ERROR"
    assert level_in("no error at all") is None


PLAIN = b"""2025-11-21 12:30:00,000 - app - INFO - GET / 200 duration_ms=12 user=u1
2025-11-21 12:30:01,000 - app - ERROR - TimeoutError: provider duration_ms=2500 user=u2
Traceback (most recent call last):
2025-11-21 12:30:02,000 - app - ERROR - ValueError: bad, 401
response_time: 0.25
success_rate: 0.97
"""


def test_plain_lines_answer_the_same_questions() -> None:
    found, totals = answers(
        PLAIN,
        [
            {"name": "types", "levels": ["ERROR"], "group_by": ["type"]},
            {"name": "slow", "number": "duration_ms"},
            {"name": "refused", "pattern": "401|403|429", "lines": 50},
            {"name": "rate", "last_value": "success_rate"},
            {"name": "response", "number": "response_time"},
        ],
    )
    assert found["types"]["groups"] == {("TimeoutError",): 1, ("ValueError",): 1}
    assert found["slow"]["highest"] == [2500.0, 12.0]
    assert found["refused"]["lines"] == ["2025-11-21 12:30:02,000 - app - ERROR - ValueError: bad, 401"]
    assert found["rate"]["values"] == ["0.97"]
    assert found["response"]["highest"] == [0.25]
    assert totals["levels"] == {"INFO": 1, "ERROR": 2, "NONE": 3}


def test_a_line_without_a_time_counts_with_that_of_the_line_before_it() -> None:
    _found, totals = answers(PLAIN, [], since="2025-11-21T12:30:01Z")
    assert totals["lines"] == 5


def test_lines_that_docker_wraps_and_splits_are_put_together() -> None:
    inner = json.dumps({"level": "ERROR", "duration_ms": 7})
    lines = [
        {"log": inner[:10], "stream": "stderr", "time": "2025-11-21T12:30:00.123456789Z"},
        {"log": "plain WARNING\n", "stream": "stdout", "time": "2025-11-21T12:30:00.2Z"},
        {"log": inner[10:] + "\n", "stream": "stderr", "time": "2025-11-21T12:30:00.3Z"},
    ]
    found, totals = answers(
        "".join(json.dumps(line) + "\n" for line in lines).encode(), [{"name": "n", "number": "duration_ms", "lines": 1}]
    )
    assert totals["levels"] == {"WARNING": 1, "ERROR": 1}
    assert found["n"]["highest"] == [7.0]
    assert found["n"]["lines"] == [inner]


def test_entries_of_the_journal_have_their_priority_and_time() -> None:
    entries = [
        {"__REALTIME_TIMESTAMP": "1763728200000000", "PRIORITY": "3", "MESSAGE": "it failed"},
        {"__REALTIME_TIMESTAMP": "1763728201000000", "PRIORITY": "6", "MESSAGE": [104, 105, 255]},
        {"__REALTIME_TIMESTAMP": "1763728202000000", "PRIORITY": "6", "MESSAGE": None},
    ]
    found, totals = answers("".join(json.dumps(entry) + "\n" for entry in entries).encode(), [{"name": "all", "lines": 3}])
    assert totals["levels"] == {"ERROR": 1, "INFO": 2}
    assert found["all"]["times"] == [1763728200.0, 1763728201.0, 1763728202.0]
    assert found["all"]["lines"][1] == "hi\ufffd"


def test_a_line_of_100_mb_is_looked_at_in_its_beginning_only(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    with log.open("wb") as file:
        file.write(b'{"level": "INFO"}\n{"level": "ERROR", "message": "')
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n{"level": "INFO"}\n')
    result = operate({"sources": [{"name": "app", "path": [str(log)]}], "questions": [{"name": "last", "lines": 3}]})
    told = result["logs"][0]
    assert (told["lines"], told["cut"], told["broken"], told["levels"]) == (3, 1, 0, {"INFO": 2, "ERROR": 1})
    assert all(len(line["text"]) <= 2000 for line in result["answers"][0]["lines"])


def test_a_half_written_last_line_is_left_out_and_told() -> None:
    _found, totals = answers(b'{"level": "INFO"}\n{"level": "ERR', [], source={"format": "json"})
    assert (totals["lines"], totals["broken"]) == (1, 0)
    assert totals["notes"] == ["the last line was not complete yet and is left out"]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*a){25}"])
def test_a_regular_expression_that_would_take_for_ever_is_given_up(pattern: str) -> None:
    begin = time.process_time()
    found, _totals = answers(b"a" * 5000 + b"!\n" + b"x\n" * 10, [{"name": "evil", "pattern": pattern}, {"name": "good", "pattern": "x"}])
    assert "takes too long" in found["evil"]["problem"]
    assert found["good"]["count"] == 10
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    "line",
    [
        f'{{"password": "{SECRET}"}}',
        f'{{"message": "{{\\"api_key\\":\\"{SECRET}\\"}}"}}',
        f"login password={SECRET} ok",
        f"Authorization: Bearer {SECRET}",
        f"GET https://user:{SECRET}@host/",
        f"client_secret: '{SECRET}'",
        f'{{"session_signature": "{SECRET}"}}',
        f'{{"a": {{"refresh_token": "{SECRET}", "b": 1}}}}',
        "x" * 1990 + f' password="{SECRET}"',
        "x" * 18000 + f" token={SECRET}",
    ],
)
def test_no_secret_leaves_in_a_line(line: str) -> None:
    shown = Shown().line(line)
    assert SECRET not in shown
    assert SECRET[:7] not in shown


def test_a_secret_that_the_caller_names_leaves_nowhere() -> None:
    shown = Shown([SECRET])
    assert SECRET not in shown.line(f"the word {SECRET} alone")
    assert SECRET not in json.dumps(shown.value({"a": [SECRET]}, "x"))
    assert shown.value("abc", "user_token") == "********"


VALUES = st.recursive(
    st.none() | st.text(max_size=9) | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
HOSTILE = (
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | VALUES.map(lambda value: json.dumps({"level": value, "timestamp": value, "log": value, "password": SECRET}).encode())
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HOSTILE, max_size=12), st.sampled_from(["auto", "json", "plain", "docker", "journal"]))
def test_whatever_a_log_holds_there_is_an_answer_without_a_traceback_and_without_secrets(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], kind: str
) -> None:
    log = tmp_path_factory.mktemp("logs") / "app.log"
    log.write_bytes(b"\n".join(lines))
    questions = [
        {"name": "a", "lines": 20, "group_by": ["level", "type"], "per": "hour"},
        {"name": "b", "number": "level", "distinct": "timestamp", "last_value": "password", "lines": 5},
        {"name": "c", "pattern": "p.*d|^$", "lines": 5},
    ]
    result = operate({"sources": [{"name": "app", "path": [str(log)], "format": kind}], "questions": questions})
    assert SECRET not in json.dumps(result)
    json.dumps(result, allow_nan=False).encode()


def test_all_mistakes_are_told_before_anything_is_read() -> None:
    with pytest.raises(BadInput) as caught:
        operate({"sources": [{"name": "a"}, {"name": "a", "path": ["x"]}], "questions": [{"name": "q", "pattern": "("}], "since": "soon"})
    assert len(caught.value.facts["mistakes"]) == 4
