# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs are followed while they are written, rotated and cut, for the time that was asked for and no longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.logs.follow import operate
from integration.faults import naming

ROOT = Path(__file__).resolve().parents[2]


def later(delay_s: float, work: Callable[[], object]) -> threading.Timer:
    """Do something while the log is being followed."""
    timer = threading.Timer(delay_s, work)
    timer.start()
    return timer


def append(path: Path, *lines: str) -> None:
    with path.open("a") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def test_lines_of_the_past_and_those_that_come_are_shown_also_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, *(f"old {number}" for number in range(20)))

    def rotate() -> None:
        append(log, "before the rotation")
        time.sleep(0.3)
        log.rename(tmp_path / "app.log.1")
        append(log, "after the rotation")

    timer = later(0.5, rotate)
    told = operate({"sources": [{"name": "app", "path": [str(log)]}], "follow_s": 20, "lines": 2, "stop_after": 4})
    timer.join()
    assert [one["line"] for one in told["lines"]] == ["old 18", "old 19", "before the rotation", "after the rotation"]
    assert (told["ended_by"], told["by_log"]) == ("lines", {"app": 4})
    assert not naming("tail", str(log)), "nothing goes on behind it"


def test_it_ends_when_the_time_is_up_however_much_comes(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    over = threading.Event()

    def write() -> None:
        with log.open("a", buffering=1) as stream:
            while not over.is_set():
                stream.write("x" * 100 + "\n")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        told = operate({"sources": [{"name": "app", "path": [str(log)]}], "follow_s": 1, "keep": 5})
    finally:
        over.set()
        thread.join()
    assert told["ended_by"] == "time" and told["duration_s"] < 20
    assert len(told["lines"]) == 5 < told["seen"]


def test_only_what_fits_is_shown_and_never_a_secret(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "ERROR password=hunter2 given up", "fine", "b" * 200_000, "connection Refused by Bearer abcdef0123456789")
    sources = [{"name": "app", "path": [str(log)]}]
    told = operate({"sources": sources, "follow_s": 30, "search": "error|refused", "lines": 10, "stop_after": 2})
    assert told["fitting"] == 2 and told["seen"] >= 4
    assert "hunter2" not in json.dumps(told) and "abcdef0123456789" not in json.dumps(told)


def test_a_search_that_does_not_end_is_given_up_and_told(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "a" * 40 + "!", "next")
    wanted = {"follow_s": 30, "stop_after": 1, "search": "(a+)+$|next", "lines": 10}
    told = operate({"sources": [{"name": "app", "path": [str(log)]}], **wanted})
    assert [one["line"] for one in told["lines"]] == ["next"]
    assert "took too long" in told["notes"][0]


def test_a_log_that_is_not_there_is_told_and_the_others_are_followed(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "here")
    missing = [{"name": "none", "path": [str(tmp_path / "*.missing")]}, {"name": "pods", "kubernetes_workload": "deployment/api"}]
    told = operate({"sources": [*missing, {"name": "app", "path": [str(log)]}], "follow_s": 30, "stop_after": 1})
    assert [one["line"] for one in told["lines"]] == ["here"]
    assert any(note.startswith("none: There is no such file") for note in told["notes"])


@pytest.mark.parametrize("wrong", [{"follow_s": 0}, {"follow_s": 86400}, {"search": "("}, {"keep": 0}, {"sources": []}, {"lines": -1}])
def test_nonsense_is_refused_before_anything_is_read(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="cannot be followed"):
        operate({"sources": [{"name": "app", "path": [str(tmp_path / "app.log")]}], **wrong})


def test_the_procedure_shows_each_line_as_it_comes(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, "first")
    variables = {
        "service_name": "trial",
        "service_logs": [{"name": "app", "path": [str(log)]}],
        "log_follow": True,
        "log_hosts": "localhost",
    }
    variables.update(monitoring_logs_follow_s=30, monitoring_logs_follow_stop_after=2, monitoring_logs_show=False)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(ROOT / "playbooks" / "log_report.yml"), "-i", "localhost,"]
    command += ["-c", "local", "-e", json.dumps({**variables, "ansible_python_interpreter": sys.executable})]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "SRE_RUNBOOKS_STATE": str(tmp_path / "state")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        shown = []
        assert run.stdout is not None
        for line in run.stdout:
            shown.append(line)
            if "app: first" in line:
                append(log, "second")
        assert run.wait(60) == 0, "".join(shown)
    assert any("app: second" in line for line in shown), "".join(shown)
