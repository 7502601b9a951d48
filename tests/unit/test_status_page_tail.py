# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The latest lines of a log, through everything that happens to log files."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.logs.shown import Shown
from ansible_collections.sre.runbooks.plugins.module_utils.status_page.tail import KEPT_LINES, Tail, line_of

PLAIN: dict[str, str] = {"name": "app"}


def followed(path: Path) -> Tail:
    """A tail of a file that has been read once."""
    tail = Tail({"name": "app", "path": str(path)})
    tail.poll()
    return tail


def texts(tail: Tail) -> list[str]:
    """The lines that it has."""
    return [line["text"] for _number, line in tail.lines]


def test_new_lines_come_whole_and_each_once(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("one\n")
    tail = followed(file)
    with file.open("a") as stream:
        stream.write("two\nthr")
    tail.poll()
    assert texts(tail) == ["one", "two"]
    with file.open("a") as stream:
        stream.write("ee\n")
    tail.poll()
    assert texts(tail) == ["one", "two", "three"]
    assert tail.since(2) == (0, [(3, {"at": "", "level": "", "text": "three"})])


def test_a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("one\n")
    tail = followed(file)
    with file.open("a") as stream:
        stream.write("two\n")
    file.rename(tmp_path / "app.log.1")
    file.write_text("three\n")
    tail.poll()
    assert texts(tail) == ["one", "two", "three"]


def test_a_truncated_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("a long first line\n")
    tail = followed(file)
    file.write_text("short\n")
    tail.poll()
    assert texts(tail)[-1] == "short"


def test_of_a_large_file_only_the_end_is_read_and_no_half_line_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("".join(f"line {number:06d}\n" for number in range(100_000)))
    tail = followed(file)
    assert len(tail.lines) == KEPT_LINES
    assert texts(tail)[-1] == "line 099999"
    assert all(text.startswith("line ") for text in texts(tail))


def test_a_flood_between_two_looks_is_skipped_and_told(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("one\n")
    tail = followed(file)
    with file.open("a") as stream:
        stream.write("".join(f"{number:079d}\n" for number in range(40_000)))
    tail.poll()
    assert texts(tail)[-1].endswith("39999")
    skipped, there = tail.since(1)
    assert skipped > 0
    assert len(there) == KEPT_LINES


def test_a_line_without_end_is_cut_and_keeps_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_bytes(b"start\n")
    tail = followed(file)
    for _time in range(5):
        with file.open("ab") as stream:
            stream.write(b"y" * 500_000)
        tail.poll()
    assert len(tail._rest) <= 64 * 1024
    with file.open("ab") as stream:
        stream.write(b"\nend\n")
    tail.poll()
    assert texts(tail)[-1] == "end"
    assert max(len(text) for text in texts(tail)) <= 1100


def test_a_missing_file_a_folder_and_a_pipe_are_told_and_hold_nothing_up(tmp_path: Path) -> None:
    assert "cannot be read" in followed(tmp_path / "missing").problem
    assert "no regular file" in followed(tmp_path).problem
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in followed(tmp_path / "pipe").problem
    tail = followed(tmp_path / "later")
    (tmp_path / "later").write_text("now\n")
    tail.poll()
    assert (tail.problem, texts(tail)) == ("", ["now"])


def test_of_a_pattern_the_newest_file_is_followed(tmp_path: Path) -> None:
    for number, name in enumerate(("app_20260101.log", "app_20260102.log")):
        (tmp_path / name).write_text(f"{name}\n")
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    assert texts(followed(tmp_path / "app_*.log")) == ["app_20260102.log"]


def test_json_lines_become_time_level_message_and_fields() -> None:
    line = {"timestamp": "2026-11-21T15:00:00Z", "level": "error", "message": "it broke", "duration_ms": 12}
    found = line_of(json.dumps(line).encode(), PLAIN, Shown())
    assert found == {"at": "2026-11-21T15:00:00Z", "level": "ERROR", "text": "it broke duration_ms=12"}
    named = {**PLAIN, "time_field": "when", "level_field": "sev", "message_field": "say"}
    other = line_of(b'{"when": "noon", "sev": "warn", "say": "hm"}', named, Shown())
    assert other == {"at": "noon", "level": "WARNING", "text": "hm"}


def test_terminal_sequences_go_and_secrets_are_masked() -> None:
    raw = b"\x1b[31mERROR\x1b[0m \x1b]0;title\x07login failed password=hunter2 Authorization: Bearer abcdefgh12345678"
    found = line_of(raw, PLAIN, Shown())
    assert found["level"] == "ERROR"
    assert "\x1b" not in found["text"]
    assert "hunter2" not in found["text"]
    assert "abcdefgh12345678" not in found["text"]
    nested = {"message": "called", "password": "hunter2", "api_key": "k-12345678", "request": {"token": "t-12345678"}}
    text = line_of(json.dumps(nested).encode(), PLAIN, Shown())["text"]
    assert not [secret for secret in ("hunter2", "k-12345678", "t-12345678") if secret in text]


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_are_there_is_a_line_that_json_and_utf_8_can_hold(raw: bytes) -> None:
    found: t.Any = line_of(raw, PLAIN, Shown())
    assert set(found) == {"at", "level", "text"}
    assert "\x1b" not in json.dumps(found, ensure_ascii=False).encode().decode()


@given(st.dictionaries(st.text(max_size=20), st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=5), max_size=8))
@settings(max_examples=200, deadline=None)
def test_whatever_a_json_line_holds_there_is_a_line(document: dict[str, t.Any]) -> None:
    found = line_of(json.dumps(document).encode(), PLAIN, Shown())
    assert all(isinstance(value, str) for value in found.values())
