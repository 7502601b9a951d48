# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of logs: generations, packed ones, files that are rotated or cut while they are read, two processes."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.logs import metric, options, scan
from ansible_collections.sre.runbooks.plugins.module_utils.logs.operation import operate

from .log_scans import NOW

QUESTIONS: list[dict[str, t.Any]] = [
    {"name": "errors", "levels": ["ERROR"], "group_by": ["type"], "lines": 3},
    {"name": "durations", "number": "duration_ms", "top": 3},
    {"name": "users", "distinct": "user"},
    {"name": "pattern", "pattern": "u7\\b", "lines": 2},
]


def line(number: int) -> bytes:
    """A line of a log of which all answers are known."""
    level = "ERROR" if number % 10 == 0 else "INFO"
    when = f"2025-11-21T{10 + number // 3600 % 12:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
    document = {"timestamp": when, "level": level, "type": f"T{number % 3}", "user": f"u{number % 100}", "duration_ms": number / 2}
    return json.dumps(document).encode() + b"\n"


def lines(begin: int, end: int) -> bytes:
    """Lines `begin` to `end`."""
    return b"".join(map(line, range(begin, end)))


def scanned(path: str | Path, **more: t.Any) -> dict[str, t.Any]:
    """The result of a scan."""
    return operate({"sources": [{"name": "app", "path": [str(path)]}], "questions": QUESTIONS, **more})


def check(result: dict[str, t.Any], count: int) -> None:
    """All answers about lines 0 to `count`."""
    errors, durations, users, pattern = result["answers"]
    assert result["logs"][0]["lines"] == count
    assert errors["count"] == len(range(0, count, 10))
    assert sum(group["count"] for group in errors["groups"]) == errors["count"]
    assert [json.loads(kept["text"])["duration_ms"] for kept in errors["lines"]] == [n / 2 for n in range(0, count, 10)][-3:]
    assert durations["numbers"]["percentiles"]["50"] == (-(-count // 2) - 1) / 2
    assert [entry["value"] for entry in durations["numbers"]["highest"]] == [(count - 1 - n) / 2 for n in range(3)]
    assert users["distinct"] == min(count, 100)
    assert pattern["count"] == len(range(7, count, 100))
    assert result["complete"]


def test_generations_are_read_in_order_packed_ones_included(tmp_path: Path) -> None:
    (tmp_path / "app.log.3.gz").write_bytes(gzip.compress(lines(0, 300)) + gzip.compress(lines(300, 500)))
    (tmp_path / "app.log.2").write_bytes(lines(500, 900))
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(lines(500, 900))[:-30])  # it is being packed
    (tmp_path / "app.log.1").write_bytes(lines(900, 1200))
    (tmp_path / "app.log").write_bytes(lines(1200, 1500))
    (tmp_path / "app.log.bak").write_bytes(lines(0, 9))
    (tmp_path / "link.log").symlink_to("app.log")
    check(scanned(tmp_path / "app.log"), 1500)
    check(scanned(tmp_path / "*.log"), 1500)


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the program zstd is not installed")
def test_files_packed_by_zstd_are_read_by_its_program(tmp_path: Path) -> None:
    (tmp_path / "app.log-20251120").write_bytes(lines(0, 700))
    subprocess.run(["zstd", "-q", "--rm", str(tmp_path / "app.log-20251120")], check=True)
    (tmp_path / "app.log").write_bytes(lines(700, 1000))
    check(scanned(tmp_path / "app.log"), 1000)


def test_files_packed_by_zstd_are_read_by_a_library_where_the_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zstandard = pytest.importorskip("zstandard")
    (tmp_path / "app.log.1.zst").write_bytes(zstandard.ZstdCompressor().compress(lines(0, 700)))
    (tmp_path / "app.log").write_bytes(lines(700, 1000))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    check(scanned(tmp_path / "app.log"), 1000)


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_packed_file_that_is_damaged_is_read_as_far_as_it_goes_and_told(tmp_path: Path, kind: str) -> None:
    if kind == "zst" and shutil.which("zstd") is None:
        pytest.skip("the program zstd is not installed")
    packed = tmp_path / f"app.log.1.{kind}"
    data = lines(0, 20000)
    whole = gzip.compress(data) if kind == "gz" else subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
    packed.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "app.log").write_bytes(lines(0, 100))
    result = scanned(tmp_path / "app.log")
    assert result["logs"][0]["lines"] >= 100
    assert any("app.log.1" in note for note in result["notes"])


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("since", ["", "2025-11-21T10:30:00Z"])
def test_several_processes_give_the_same_answers_as_one(tmp_path: Path, processes: int, since: str) -> None:
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(lines(0, 1000)))
    (tmp_path / "app.log.1").write_bytes(lines(1000, 4000))
    (tmp_path / "app.log").write_bytes(lines(4000, 9000))
    plan = options.plan_of({"sources": [{"name": "app", "path": [str(tmp_path / "app.log")]}], "questions": QUESTIONS, "since": since}, NOW)
    seen: list[t.Any] = []
    for count in (1, processes):
        with scan.run(plan, 60, processes=count) as outcome:
            seen.append(
                [
                    (
                        answer.count,
                        sorted(answer.groups.counts.items()),
                        answer.numbers.result([1, 50, 99]),
                        answer.distinct.count(),
                        [entry[0] for entry in sorted(answer.highest)],
                        answer.last_lines(),
                    )
                    for answer in outcome.answers
                ]
            )
            assert outcome.totals[0].lines == (9000 if not since else 7200)
    assert seen[0] == seen[1]


def test_a_log_that_is_rotated_by_renaming_while_it_is_read_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(lines(0, 20000))
    rotate_while_reading(monkeypatch, lambda: (log.rename(tmp_path / "app.log.1"), log.write_bytes(lines(0, 5))))
    check(scanned(log), 20000)


def test_a_log_that_is_copied_and_cut_while_it_is_read_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(lines(0, 20000))

    def rotate() -> None:
        shutil.copyfile(log, tmp_path / "app.log.1")
        os.truncate(log, 0)

    rotate_while_reading(monkeypatch, rotate)
    result = scanned(log)
    check(result, 20000)
    assert any("read from its copy" in note for note in result["notes"])


def test_a_log_that_is_cut_without_a_copy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(lines(0, 20000))
    rotate_while_reading(monkeypatch, lambda: os.truncate(log, 0))
    result = scanned(log)
    assert 0 < result["logs"][0]["lines"] < 20000
    assert any("are lost" in note for note in result["notes"])


def rotate_while_reading(monkeypatch: pytest.MonkeyPatch, rotate: t.Callable[[], t.Any]) -> None:
    """Let a rotation happen after the first portion was read."""
    pread = os.pread
    seen: list[int] = []

    def noted(descriptor: int, length: int, place: int) -> bytes:
        if place > 0 and not seen:
            seen.append(place)
            rotate()
        return pread(descriptor, length, place)

    monkeypatch.setattr(os, "pread", noted)


def test_a_question_may_look_less_far_back_than_the_others(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(lines(0, 3600))
    questions = [{"name": "all"}, {"name": "later", "since": "2025-11-21T10:59:00Z", "levels": ["ERROR"]}]
    result = operate({"sources": [{"name": "app", "path": [str(log)]}], "questions": questions})
    assert [answer["count"] for answer in result["answers"]] == [3600, 6]


def test_a_large_log_in_order_is_not_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"".join(line(number).replace(b'"user"', b'"filler": "' + b"x" * 2000 + b'", "user"') for number in range(12000)))
    result = scanned(log, since="2025-11-21T13:00:00Z")
    assert result["logs"][0]["lines"] == 12000 - 3 * 3600
    assert result["logs"][0]["bytes_read"] < log.stat().st_size / 5


def test_a_log_that_is_not_there_is_an_error_or_a_note(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such log"):
        scanned(tmp_path / "gone.log")
    result = scanned(tmp_path / "gone.log", missing_ok=True)
    assert "no such log" in result["logs"][0]["problem"]
    assert result["answers"][0]["count"] == 0
    os.mkfifo(tmp_path / "pipe.log")
    with pytest.raises(BadInput, match="no file"):
        scanned(tmp_path / "pipe.log")


def test_one_number_of_a_log_for_a_metric_from_any_thread(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(lines(0, 1000))
    sources = [{"name": "app", "path": str(log)}]
    now = 1763719200.0 + 1000  # 2025-11-21T10:00:00Z
    asked: dict[str, tuple[dict[str, t.Any], float | None]] = {
        "share": ({"measure": "share", "levels": ["ERROR"]}, 0.1),
        "share of errors": ({"measure": "share", "pattern": "T0", "of_levels": ["ERROR"], "levels": ["ERROR"]}, 0.34),
        "count": ({"measure": "count", "pattern": "u7\\b"}, 10.0),
        "rate": ({"measure": "per_second"}, 1.0),
        "p95": ({"measure": "percentile", "field": "duration_ms"}, 474.5),
        "above": ({"measure": "above", "field": "duration_ms", "limit": 249.5}, 0.5),
        "last": ({"measure": "last", "field": "duration_ms"}, 499.5),
        "distinct": ({"measure": "distinct", "field": "user"}, 100.0),
        "nothing": ({"measure": "mean", "field": "size"}, None),
    }
    found: dict[str, metric.Measurement] = {}

    def work() -> None:
        for name, (keys, _value) in asked.items():
            found[name] = metric.measure({**keys, "source": "app"}, sources, window_s=1000, now=now)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert {name: one.value for name, one in found.items()} == {name: value for name, (_keys, value) in asked.items()}
    assert found["p95"].samples == 1000
    assert "no line in the window has a number" in found["nothing"].reason
    assert metric.measure({"measure": "count"}, [{"name": "app", "path": str(tmp_path / "no")}]).value is None
    assert metric.mistakes({"measure": "percentile", "source": "other"}, sources)


@pytest.mark.parametrize("copied", [4000, 1500], ids=["copied and not cut yet", "half copied"])
def test_a_log_that_is_being_copied_is_counted_once(tmp_path: Path, copied: int) -> None:
    (tmp_path / "app.log").write_bytes(lines(0, 4000))
    (tmp_path / "app.log.1").write_bytes(lines(0, copied))
    check(scanned(tmp_path / "app.log"), 4000)


def test_generations_that_begin_with_the_same_heading_are_all_read(tmp_path: Path) -> None:
    heading = b"#" * 5000 + b"\n"
    (tmp_path / "app.log.1").write_bytes(heading + lines(0, 10))
    (tmp_path / "app.log").write_bytes(heading + lines(10, 30))
    assert scanned(tmp_path / "app.log")["logs"][0]["lines"] == 32
