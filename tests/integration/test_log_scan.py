# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module log_scan and the playbook log_report, from a profile to the answers; a log that is rotated while it is written and read."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import typing as t
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.logs.operation import operate

SECRET = "sw0rdfish-4711"


def line(number: int, when: datetime) -> str:
    """A line of the service."""
    document = {"timestamp": when.isoformat(timespec="milliseconds"), "level": "INFO", "number": number, "duration_ms": float(number)}
    if number % 10 == 0:
        document.update(level="ERROR", type="TimeoutError", message=f"connection refused, password={SECRET}")
    return json.dumps(document) + "\n"


def run(folder: Path, repository: Path, playbook: str, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
    """Run a playbook with a profile of one operator."""
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"operator": {"hosts": {"localhost": variables}}}))
    command = ["ansible-playbook", playbook, "-i", str(inventory), *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of the last hour, its older half packed."""
    now = datetime.now(UTC)
    lines = [line(number, now - timedelta(seconds=3000 - number)) for number in range(3000)]
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress("".join(lines[:1500]).encode()))
    path = tmp_path / "app.log"
    path.write_text("".join(lines[1500:]))
    return path


@pytest.mark.parametrize("rehearsed", [False, True])
def test_the_playbook_tells_what_the_logs_say_and_no_secret(tmp_path: Path, repository: Path, log: Path, rehearsed: bool) -> None:
    questions = [
        {"name": "refused connections", "log": "app", "pattern": "connection refused", "last": 2, "used_by": ["database"]},
        {"name": "slow", "log": "app", "numeric_field": "duration_ms", "above": 2000, "top": 1, "used_by": ["latency"]},
    ]
    logs = [{"name": "app", "path": str(log)}, {"name": "gone", "path": str(tmp_path / "gone.log")}]
    done = run(
        tmp_path, repository, "playbooks/log_report.yml", *(["--check", "--diff"] if rehearsed else []),
        service_logs=logs, service_log_questions=questions,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=0" in done.stdout
    assert "TimeoutError" in done.stdout
    assert "no such log" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_the_module_on_another_account_reads_in_two_processes_out_of_its_archive(tmp_path: Path, repository: Path, log: Path) -> None:
    big = tmp_path / "big.log"
    big.write_bytes(log.read_bytes() * 600)
    playbook = tmp_path / "play.yml"
    task = {
        "sources": [{"name": "big", "path": str(big)}],
        "questions": [{"name": "errors", "levels": ["ERROR"], "group_by": ["type"]}, {"name": "durations", "number": "duration_ms"}],
    }
    # An asynchronous task is never run in the controller's process.
    tasks = [
        {"sre.runbooks.log_scan": task, "async": 60, "poll": 1, "register": "result"},
        {"ansible.builtin.copy": {"content": "{{ result }}", "dest": str(tmp_path / "result.json"), "mode": "0600"}},
    ]
    playbook.write_text(json.dumps([{"hosts": "operator", "gather_facts": False, "tasks": tasks}]))
    done = run(tmp_path, repository, str(playbook))
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["processes"] == min(2, len(os.sched_getaffinity(0)))
    assert result["logs"][0]["lines"] == 1500 * 600
    assert result["answers"][0]["groups"] == [{"type": "TimeoutError", "count": 150 * 600}]
    assert result["answers"][1]["numbers"]["percentiles"]["50"] == 2249.0


@pytest.mark.parametrize("way", ["rename", "copy and cut"])
def test_a_log_that_is_written_and_rotated_all_the_while_is_read_without_gaps_or_repetitions(tmp_path: Path, way: str) -> None:
    log = tmp_path / "app.log"
    over = threading.Event()
    pause = threading.Lock()

    def write() -> None:
        number = 0
        while not over.is_set():
            with pause, log.open("a") as file:
                file.writelines(line(number + n, datetime.now(UTC)) for n in range(200))
            number += 200
            time.sleep(0.002)

    def rotate() -> None:
        while not over.is_set():
            time.sleep(0.15)
            for age in range(5, 0, -1):
                older = tmp_path / f"app.log.{age}"
                if older.exists():
                    older.rename(tmp_path / f"app.log.{age + 1}")
            if way == "rename":
                log.rename(tmp_path / "app.log.1")
            else:
                with pause:  # as programs do that are told to hold on; without it copytruncate itself loses lines
                    shutil.copyfile(log, tmp_path / "app.log.1")
                    log.open("w").close()

    threads = [threading.Thread(target=write), threading.Thread(target=rotate)]
    log.write_text("")
    for thread in threads:
        thread.start()
    whole = 0
    try:
        time.sleep(0.4)
        for _ in range(15):
            result = operate(
                {
                    "sources": [{"name": "app", "path": [str(log)]}],
                    "questions": [{"name": "numbers", "number": "number", "percentiles": []}],
                }
            )
            numbers = result["answers"][0]["numbers"]
            if any("are lost" in note for note in result["notes"]):
                continue
            assert numbers["count"] == numbers["maximum"] - numbers["minimum"] + 1, (numbers["count"], result["notes"])
            whole += 1
    finally:
        over.set()
        for thread in threads:
            thread.join()
    # What cannot be read any more is told, never passed over; it must stay the exception.
    assert whole > 7
