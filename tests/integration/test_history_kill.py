# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that writes the history is killed at any moment: what it had recorded stays, and no run is there by half."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History

ROUNDS = int(os.environ.get("SRE_RUNBOOKS_FAULT_ROUNDS", "10"))
CHECKS = 20
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History
folder, first = sys.argv[2], int(sys.argv[3])
for number in range(first, first + 100_000):
    with History.open(folder, "reference", write=True) as history:
        checks = [{"name": f"check {one}", "verdict": "warn", "reason": f"{number} of {one}"} for one in range(20)]
        history.record(1_800_000_000.0 + number, f"run-{number}", "health_check", checks)
        history.put_document("health", {"number": number, "padding": "x" * 20_000})
        print(number, flush=True)
        if number % 20 == 0:
            history.prune(0.001, 1_800_000_000.0 + number)
"""


def killed_writer(repository: Path, folder: Path, first: int, after_s: float) -> int:
    """Let a process write runs from number `first` on, kill it after so many seconds; the last run that it said it had recorded."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(repository / "collections"), str(folder), str(first)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = first - 1
    process.stdout.readline()  # it writes now
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    for line in process.stdout:
        said = int(line) if line.endswith("\n") else said
    assert process.wait() == -signal.SIGKILL
    return max(said, first)


def test_a_killed_writer_leaves_whole_runs_and_everything_that_it_had_recorded(repository: Path, tmp_path: Path) -> None:
    seed = int(os.environ.get("SRE_RUNBOOKS_FAULT_SEED", str(random.randrange(10**6))))
    print(f"SRE_RUNBOOKS_FAULT_SEED={seed}")
    rng = random.Random(seed)
    first = 0
    for _round in range(ROUNDS):
        said = killed_writer(repository, tmp_path, first, rng.random() * 0.25)
        with History.open(str(tmp_path), "reference", write=False) as history:
            runs = {run["run_id"]: run["at"] for run in history.runs(limit=100_000)}
            path = history.path
            document = history.document("health")
        assert f"run-{said}" in runs
        # What was begun when the kill came is there as a whole or not at all.
        newest = max(int(run.split("-")[1]) for run in runs)
        assert newest - said in (0, 1)
        assert document is not None
        assert document["number"] in (newest - 1, newest)
        whole = sqlite3.connect(path)
        counted = whole.execute("SELECT run_id, count(*) FROM result GROUP BY run_id").fetchall()
        assert {run for run, _count in counted} == set(runs)
        assert {count for _run, count in counted} == {CHECKS}
        assert whole.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        whole.close()
        # Who comes next needs no repair and no waiting.
        begin = time.monotonic()
        with History.open(str(tmp_path), "reference", write=True) as history:
            history.record(
                1_800_000_000.0 + newest + 1, f"run-{newest + 1}", "p", [{"name": f"check {n}", "verdict": "pass"} for n in range(CHECKS)]
            )
            history.put_document("health", {"number": newest + 1})
        assert time.monotonic() - begin < 8
        first = newest + 2
