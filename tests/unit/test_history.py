# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The history of a service: what is written comes back, whoever writes beside, whatever becomes of the file."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import shutil
import sqlite3
import statistics
import time
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, DeadlineExceeded, HistoryDamaged
from ansible_collections.sre.runbooks.plugins.module_utils.history import file, schema
from ansible_collections.sre.runbooks.plugins.module_utils.history.operation import read, write
from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History

START = 1_800_000_000.0
DAY_S = 86400


def check(name: str = "api", verdict: str = "pass", **more: t.Any) -> dict[str, t.Any]:
    """A check's result as far as the history takes it."""
    return {"name": name, "verdict": verdict, "component": "gateway", "latency_ms": 12.5, "reason": "", **more}


def metric(value: float | None, name: str = "error_rate", verdict: str = "pass") -> dict[str, t.Any]:
    """A metric's result as far as the history takes it."""
    return {"name": name, "verdict": verdict, "value": value, "unit": "ratio", "reason": ""}


def reopened(folder: Path, service: str = "paralegal", *, write: bool = False) -> History:
    """The history of a service, opened."""
    return History.open(str(folder), service, write=write)


def test_what_is_recorded_comes_back(tmp_path: Path) -> None:
    with reopened(tmp_path, write=True) as history:
        written = history.record(
            START, "run-1", "health_check", [check(), check("database", "fail", reason="refused")], [metric(0.02)], "P1", 0.5, summary="bad"
        )
        history.put_document("health", {"verdict": "fail", "ü": [1]}, START)
    assert written == 3
    with reopened(tmp_path) as history:
        (api, database) = history.latest("check")
        assert (api["at"], api["component"], api["latency_ms"], api["verdict"]) == (START, "gateway", 12.5, "pass")
        assert (database["verdict"], database["reason"], database["run_id"]) == ("fail", "refused", "run-1")
        assert history.series("metric", "error_rate") == [(START, 0.02)]
        assert history.names("check") == ["api", "database"]
        (run,) = history.runs("health_check")
        assert (run["verdict"], run["severity"], run["score"], run["summary"]) == ("fail", "P1", 0.5, "bad")
        assert history.document("health") == {"verdict": "fail", "ü": [1], "recorded_at": START}
        assert history.document("logs") is None


def test_the_file_can_be_read_with_plain_sqlite(tmp_path: Path) -> None:
    with reopened(tmp_path, write=True) as history:
        history.record(START, "run-1", "p", [check(verdict="warn", reason="slow")])
        path = history.path
    rows = sqlite3.connect(path).execute("SELECT at, kind, name, component, verdict, value, unit, latency_ms, reason, run_id FROM result")
    assert rows.fetchall() == [(START, "check", "api", "gateway", "warn", None, "", 12.5, "slow", "run-1")]


def test_without_a_history_everything_is_empty_and_no_file_appears(tmp_path: Path) -> None:
    with reopened(tmp_path) as history:
        assert not history.exists
        assert not any((history.latest("check"), history.runs(), history.series("metric", "x"), history.buckets("metric", "x")))
        assert history.availability("x") == (None, 0)
        assert history.percentiles("metric", "x", (0.5,)) == {0.5: None}
        assert history.document("health") is None
        with pytest.raises(BadInput, match="not open"):
            history.record(START, "r", "p", [check()])
    assert not list(tmp_path.iterdir())


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    reopened(tmp_path, write=True).close()
    with reopened(tmp_path) as history, pytest.raises(Exception, match="readonly"):
        history.record(START, "r", "p", [check()])


def test_recording_the_same_run_again_replaces_what_it_said(tmp_path: Path) -> None:
    with reopened(tmp_path, write=True) as history:
        for verdict in ("fail", "pass"):
            history.record(START, "run-1", "p", [check(verdict=verdict)])
        assert history.verdicts("check", "api") == [(START, "pass")]
        assert [run["verdict"] for run in history.runs()] == ["pass"]


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([check(), check("x", "bad")], "has no verdict"),
        ([check(), {"verdict": "pass"}], "has no name"),
        ([check(), check()], "is there twice"),
        ([check(), "x"], "is not a dictionary"),
    ],
)
def test_results_with_a_mistake_are_refused_as_a_whole(tmp_path: Path, checks: list[t.Any], said: str) -> None:
    with reopened(tmp_path, write=True) as history:
        with pytest.raises(BadInput, match=said):
            history.record(START, "run-1", "p", checks)
        assert history.latest("check") == history.runs() == []


def test_unknown_counts_neither_for_nor_against_availability(tmp_path: Path) -> None:
    with reopened(tmp_path, write=True) as history:
        for number, verdict in enumerate(["pass", "pass", "warn", "fail", "unknown", "unknown"]):
            history.record(START + number, "r", "p", [check(verdict=verdict)])
        assert history.availability("api") == (0.75, 4)
        assert history.counts("check", "api") == {"pass": 2, "warn": 1, "unknown": 2, "fail": 1}
        assert history.availability("api", START + 3) == (0.0, 1)
        assert history.availability("api", START, START + 3) == (1.0, 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_percentiles_are_those_of_nearest_rank(values: list[float]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, reopened(Path(folder), write=True) as history:
        for number, value in enumerate(values):
            history.record(START + number, "r", "p", [], [metric(value)])
        found = history.percentiles("metric", "error_rate", (0.0, 0.25, 0.5, 0.95, 1.0))
    ordered = sorted(values)
    for quantile, nearest in found.items():
        assert nearest == ordered[max(1, math.ceil(quantile * len(ordered))) - 1]


def test_hours_and_days_are_put_together_like_by_hand(tmp_path: Path) -> None:
    rng = random.Random(7)
    midnight = START - START % DAY_S
    readings = [(midnight + rng.random() * 3 * DAY_S, rng.random(), rng.choice(["pass", "warn", "fail"])) for _reading in range(300)]
    with reopened(tmp_path, write=True) as history:
        for at, value, verdict in readings:
            history.record(at, "r", "p", [], [metric(value, verdict=verdict)])
        history.record(midnight + 5, "without a number", "p", [], [metric(None, verdict="unknown")])
        for step_s in (3600, DAY_S):
            for bucket in history.buckets("metric", "error_rate", step_s=step_s):
                inside = sorted(value for at, value, _verdict in readings if bucket["at"] <= at < bucket["at"] + step_s)
                assert bucket["samples"] == len(inside)
                if inside:
                    assert bucket["mean"] == pytest.approx(statistics.fmean(inside))
                    assert (bucket["minimum"], bucket["maximum"]) == (inside[0], inside[-1])
                    assert bucket["p50"] == inside[math.ceil(0.5 * len(inside)) - 1]
                    assert bucket["p95"] == inside[math.ceil(0.95 * len(inside)) - 1]
                assert bucket["at"] % step_s == 0
                counted = bucket["pass"] + bucket["warn"] + bucket["fail"]
                assert counted == len(inside)
        (first, *_rest) = history.buckets("metric", "error_rate", step_s=DAY_S)
        assert first["unknown"] == 1


def test_pruning_forgets_what_is_old_and_gives_the_room_back(tmp_path: Path) -> None:
    with reopened(tmp_path, write=True) as history:
        for day in range(100):
            history.record(START + day * DAY_S, f"run-{day}", "p", [check(reason=f"{day} " * 100, verdict="warn")])
        history.record(START, "old", "p", [check("only once")])
        before = history.size_bytes()
        assert history.prune(9.5, START + 99 * DAY_S) == 91
        assert len(history.verdicts("check", "api")) == len(history.runs()) == 10
        assert history.names("check") == ["api"]
        assert history.size_bytes() < before / 3


def test_two_services_whose_names_give_one_file_name_do_not_mix(tmp_path: Path) -> None:
    reopened(tmp_path, "my service", write=True).close()
    for writes in (True, False):
        with pytest.raises(BadInput, match="another service"):
            reopened(tmp_path, "My-Service", write=writes)


@pytest.mark.parametrize("service", ["", "...", "ééé", "/"])
def test_a_service_whose_name_gives_no_file_name_is_refused(tmp_path: Path, service: str) -> None:
    with pytest.raises(BadInput):
        reopened(tmp_path, service, write=True)


def test_the_name_of_a_service_leads_to_no_other_folder(tmp_path: Path) -> None:
    with reopened(tmp_path, "../../etc/x", write=True) as history:
        assert Path(history.path).parent == tmp_path / "history"


def damaged(path: Path, how: str) -> None:
    """Damage a file in one of several ways."""
    content = bytearray(path.read_bytes())
    if how == "garbage":
        content[:] = b"not a database at all, but long enough to be taken for one " * 50
    elif how == "cut":
        del content[len(content) // 2 :]
    elif how == "header":
        content[0:16] = b"SQLite format 4\0"
    else:
        content[4096:] = bytes(byte ^ 0xFF for byte in content[4096:])
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["garbage", "cut", "header", "flipped"])
def test_a_damaged_file_gives_one_clear_error_and_is_never_overwritten(tmp_path: Path, how: str) -> None:
    with reopened(tmp_path, write=True) as history:
        for number in range(300):
            history.record(START + number, f"r{number}", "p", [check(reason=str(number))], [metric(0.1)])
        path = Path(history.path)
    damaged(path, how)
    before = path.read_bytes()

    def use(writes: bool) -> None:
        with reopened(tmp_path, write=writes) as history:
            if writes:
                history.record(START + 9999, "r", "p", [check()])
            history.latest("check")
            history.runs(limit=1000)

    for writes in (False, True, True):
        with pytest.raises(HistoryDamaged) as caught:
            use(writes)
        assert str(path) in caught.value.message
        assert "move it away" in caught.value.message
    assert path.read_bytes() == before


def test_some_other_program_s_database_is_left_alone(tmp_path: Path) -> None:
    path = Path(file.path_of(str(tmp_path), "paralegal"))
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    for writes in (True, False):
        with pytest.raises(BadInput, match="some other program"):
            reopened(tmp_path, write=writes)
    assert path.read_bytes() == before


def test_a_file_of_an_older_version_is_brought_up_to_date_with_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reopened(tmp_path, write=True) as history:
        history.record(START, "r", "p", [check()])
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, "ALTER TABLE run ADD COLUMN extra TEXT;"])
    with pytest.raises(BadInput, match="older version"):
        reopened(tmp_path)
    with reopened(tmp_path, write=True) as history:
        assert history.verdicts("check", "api") == [(START, "pass")]
    with reopened(tmp_path) as history:
        assert history.exists
    monkeypatch.undo()
    for writes in (True, False):
        with pytest.raises(BadInput, match="newer version"):
            reopened(tmp_path, write=writes)


def test_a_step_to_a_new_version_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reopened(tmp_path, write=True) as history:
        history.record(START, "r", "p", [check()])
    broken = "ALTER TABLE run ADD COLUMN extra TEXT;\nALTER TABLE nowhere ADD COLUMN extra TEXT;"
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, broken])
        with pytest.raises(HistoryDamaged):
            reopened(tmp_path, write=True)
    with reopened(tmp_path, write=True) as history:
        assert history.verdicts("check", "api") == [(START, "pass")]


def test_a_writer_that_waits_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "BUSY_TIMEOUT_S", 0.2)
    with reopened(tmp_path, write=True) as history, reopened(tmp_path, write=True) as other:
        assert other._database is not None
        other._database.execute("BEGIN IMMEDIATE")
        with pytest.raises(DeadlineExceeded, match="locked by another process"):
            history.record(START, "r", "p", [check()])
        with reopened(tmp_path) as reader:  # who only reads need not wait
            assert reader.latest("check") == []


def record_many(folder: str, writer: int, count: int) -> None:
    """Write as one of several processes, from the making of the file on."""
    for number in range(count):
        with History.open(folder, "paralegal", write=True) as history:
            history.record(START + number, f"writer-{writer}-{number}", "p", [check(f"check {writer}"), check("shared")])


def test_writers_beside_each_other_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=record_many, args=(str(tmp_path), number, 25)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    with reopened(tmp_path) as history:
        assert [len(history.verdicts("check", f"check {number}")) for number in range(4)] == [25] * 4
        assert len(history.verdicts("check", "shared")) == len(history.runs(limit=1000)) == 100


def test_a_read_only_copy_can_be_read(tmp_path: Path) -> None:
    with reopened(tmp_path, write=True) as history:
        history.record(START, "r", "p", [check()])
        path = history.path
    os.chmod(path, 0o400)
    with reopened(tmp_path) as history:
        assert history.verdicts("check", "api") == [(START, "pass")]


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with reopened(tmp_path, write=True) as history:
        history.record(START, "r", "p", [check()])
        modes = {oct(entry.stat().st_mode & 0o777) for entry in Path(history.path).parent.iterdir()}
    assert modes == {"0o600"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
RESULTS = st.lists(
    st.fixed_dictionaries(
        {"name": st.text(max_size=6), "verdict": st.sampled_from(["pass", "warn", "fail", "unknown", "x"])},
        optional={"value": JSON, "latency_ms": JSON, "component": JSON, "unit": JSON, "reason": JSON, "observed": JSON},
    )
    | JSON,
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RESULTS, RESULTS, JSON, st.floats() | st.integers())
def test_any_results_are_recorded_or_refused_with_a_reason(checks: list[t.Any], metrics: list[t.Any], document: t.Any, at: float) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, reopened(Path(folder), write=True) as history:
        try:
            history.record(at, "r\0", "p", checks, metrics, summary="\ud800")
        except BadInput:
            assert history.runs() == []
        for kind in ("check", "metric"):
            json.dumps(history.latest(kind), allow_nan=False)
        if isinstance(document, dict):
            history.put_document("x", document)
            assert history.document("x") is not None


def parameters(folder: Path, **more: t.Any) -> dict[str, t.Any]:
    """Arguments of health_history with their defaults."""
    return {
        "service": "paralegal", "state_folder": str(folder), "run_id": "", "procedure": "p", "at": "", "checks": [], "metrics": [],
        "verdict": None, "severity": "", "score": None, "summary": "", "documents": {}, "keep_days": None, **more,
    }  # fmt: skip


def test_check_mode_says_what_would_be_recorded_and_writes_nothing(tmp_path: Path) -> None:
    said = write(parameters(tmp_path, checks=[check()], documents={"health": {}}), True)
    assert said["changed"]
    assert said["msg"] == "Would record 1 result and keep the document health."
    assert not list(tmp_path.iterdir())
    real = write(parameters(tmp_path, checks=[check()], documents={"health": {}}), False)
    assert (real["results"], real["documents"]) == (said["results"], said["documents"])


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01T00:00:00Z", "-5", "nan", "1e99", "2026-03-01"])
def test_a_moment_that_cannot_be_read_is_refused(tmp_path: Path, at: str) -> None:
    with pytest.raises(BadInput, match="moment"):
        write(parameters(tmp_path, checks=[check()], at=at), False)


def test_the_newest_results_and_the_days_are_told_for_a_stretch_of_time(tmp_path: Path) -> None:
    for number, verdict in enumerate(["pass", "fail", "pass", "pass"]):
        write(parameters(tmp_path, at=f"2026-03-0{number + 1}T06:00:00Z", checks=[check(verdict=verdict)], metrics=[metric(number)]), False)
    said = read(
        {
            "service": "paralegal", "state_folder": str(tmp_path), "checks": None, "metrics": ["error_rate"], "days": 3.0,
            "until": "2026-03-05T00:00:00Z", "by": "day", "runs": 10, "documents": [],
        },
        False,
    )  # fmt: skip
    (api,) = said["checks"]
    assert (api["availability"], api["samples"]) == (pytest.approx(2 / 3), 3)
    assert api["latest"]["at"] == "2026-03-04T06:00:00.000Z"
    assert [bucket["at"][:10] for bucket in api["buckets"]] == ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert said["metrics"][0]["percentiles"]["p50"] == 2
    assert len(said["runs"]) == 3


def test_a_year_of_ten_checks_every_five_minutes_stays_small_and_quick(tmp_path: Path) -> None:
    """The size is measured on a month and taken times twelve; each question about it is answered in a tenth of a second."""
    per_day, days = 288, 30
    with reopened(tmp_path, write=True) as history:
        database = history._database
        assert database is not None
        history.record(START, "first", "p", [check(f"check {number}") for number in range(10)])
        subjects = [row[0] for row in database.execute("SELECT id FROM subject")]
        rng = random.Random(3)
        database.execute("BEGIN")
        for number in range(1, per_day * days):
            at = START + number * 300
            run = database.execute(
                "INSERT INTO run (at, run_id, procedure, verdict, severity, score, summary) VALUES (?, ?, 'p', 'pass', '', 1, 'ok')",
                (at, f"20260301T031500Z-{number:06x}"),
            ).lastrowid
            database.executemany(
                "INSERT INTO answer VALUES (?, ?, ?, 0, ?, ?, NULL)", [(one, at, run, rng.random(), rng.random() * 50) for one in subjects]
            )
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        year_bytes = history.size_bytes() * 365 / days
    assert year_bytes < 80e6, f"{year_bytes / 1e6:.0f} MB a year"
    with reopened(tmp_path) as history:
        for question in (
            lambda: history.latest("check"),
            lambda: history.availability("check 3"),
            lambda: history.percentiles("check", "check 3", of="latency_ms"),
            lambda: history.buckets("check", "check 3", step_s=3600, of="latency_ms"),
        ):
            begin = time.process_time()
            assert question()
            assert time.process_time() - begin < 0.1
    shutil.rmtree(tmp_path / "history")
