# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress: shown while the work goes on, at most one line a second, gone without a trace."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.callback import progress as plugin
from ansible_collections.sre.runbooks.plugins.callback.progress import Follower, shown
from ansible_collections.sre.runbooks.plugins.module_utils.progress import VARIABLE, Progress


@pytest.mark.parametrize(
    ("report", "elapsed_s", "line"),
    [
        (
            {"work": "Dumping reference", "step": "", "done": 240e6, "total": 1050e6, "unit": "bytes"},
            12.4,
            "Dumping reference: 240 of 1 050 MB, 12 s",
        ),
        ({"work": "Dumping", "step": "writing", "done": 5000, "total": None, "unit": "bytes"}, 0, "Dumping: writing, 5 kB"),
        ({"work": "Dumping", "step": "writing", "done": 3e10, "total": 6e10, "unit": "bytes"}, 70, "Dumping: writing, 30 of 60 GB, 70 s"),
        (
            {"work": "Restoring", "step": "counting rows", "done": 3, "total": 7, "unit": "tables"},
            1,
            "Restoring: counting rows, 3 of 7 tables, 1 s",
        ),
        ({"work": "Restoring", "step": "making it\ndurable", "done": None, "total": None, "unit": ""}, 0, "Restoring: making it durable"),
    ],
)
def test_a_report_becomes_one_plain_line(report: dict[str, Any], elapsed_s: float, line: str) -> None:
    assert shown(report, elapsed_s) == line


@pytest.fixture
def follow(tmp_path: Path) -> Any:
    path, lines, followers = tmp_path / "progress", [], []
    path.touch()

    def start() -> tuple[Path, list[tuple[float, str]], Follower]:
        follower = Follower(str(path), lambda line: lines.append((time.monotonic(), line)))
        followers.append(follower)
        follower.start()
        return path, lines, follower

    yield start
    for follower in followers:
        follower.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_what_a_module_reports_is_shown_while_it_works_at_most_once_a_second(follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lines, _follower = follow()
    monkeypatch.setattr("ansible_collections.sre.runbooks.plugins.module_utils.progress._INTERVAL_S", 0.0)
    progress = Progress("Dumping reference", str(path))
    for number in range(70):
        progress.say("rows", number, 100, "tables")
        time.sleep(0.05)
    assert 2 <= len(lines) <= 4
    assert all(later[0] - earlier[0] > 0.95 for earlier, later in itertools.pairwise(lines))
    assert lines[0][1].startswith("  … Dumping reference: rows, ")


def test_half_written_lines_are_waited_for_and_nonsense_is_passed_over(follow: Any) -> None:
    path, lines, _follower = follow()
    whole = json.dumps({"work": "W", "step": "s", "done": None, "total": None, "unit": "", "time": 1.0})
    with path.open("a") as stream:
        stream.write('nonsense\n{"work": 1}\n[]\n' + whole[:20])
        stream.flush()
        time.sleep(0.4)
        stream.write(whole[20:] + "\n")
    assert wait_for(lambda: len(lines) == 1)
    assert lines[0][1] == "  … W: s"


def test_what_a_finished_task_reported_last_is_not_shown_after_it(follow: Any) -> None:
    path, lines, follower = follow()
    Progress("Dumping", str(path)).say("almost done")
    follower.forget()
    time.sleep(1.5)
    assert lines == []


def test_a_file_that_is_gone_disturbs_nobody(follow: Any) -> None:
    path, lines, follower = follow()
    path.unlink()
    time.sleep(0.4)
    assert follower.is_alive()
    assert lines == []


def test_folders_of_killed_runs_are_removed_and_those_of_living_ones_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    for name in (f"sre-runbooks-progress-{process.pid}-abc", f"sre-runbooks-progress-{os.getpid()}-abc", "sre-runbooks-progress-notes"):
        (tmp_path / name).mkdir()
    plugin._remove_leftovers()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"sre-runbooks-progress-{os.getpid()}-abc", "sre-runbooks-progress-notes"]
    )


def test_without_the_variable_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    Progress("Dumping").say("rows", 1, 2)
    assert not list(tmp_path.iterdir())
