# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The console command runs real playbooks of a small collection."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from integration.api_trial import Trial


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_the_console_lists_and_shows_procedures(trial: Trial) -> None:
    listed, _ = trial.console("list").communicate()
    assert [line.split()[0] for line in listed.splitlines()] == ["greet", "refuse", "beat", "login", "swap", "serve", "dump", "configured"]
    shown, _ = trial.console("show", "greet").communicate()
    assert "needs         folder" in shown
    assert "taken back by forget" in shown
    as_json, _ = trial.console("show", "beat", "--json").communicate()
    assert json.loads(as_json)["changes"] == "destroys"


def test_the_console_runs_and_its_exit_status_tells_how_it_went(trial: Trial) -> None:
    good = trial.console("run", "greet", "-i", str(trial.inventory), "-e", "greeting=good morning")
    out, err = good.communicate()
    assert (good.returncode, err) == (0, "")
    assert "changed     Write it down (app1" in out
    assert "\x1b" not in out
    assert (trial.folder / "greeting").read_text() == "good morning\n"
    failed = trial.console("run", "refuse", "-i", str(trial.inventory))
    out, err = failed.communicate()
    assert failed.returncode == 1
    assert "in the step 'Find the backup set' on app1: No backup set is there" in err
    assert len(err.splitlines()) == 1
    late = trial.console("run", "beat", "-i", str(trial.inventory), "--timeout", "3s")
    _, err = late.communicate()
    assert late.returncode == 3
    assert "3 s" in err


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "gret"],
        ["run", "greet", "-i", "/nowhere"],
        ["run", "greet", "-e", "hunter2"],
        ["run", "greet", "-e", "{hunter2"],
        ["run", "greet", "-e", "@/nowhere"],
        ["run", "greet", "--timeout", "soon"],
        ["report"],
    ],
    ids=" ".join,
)
def test_the_console_refuses_bad_input_with_one_message(trial: Trial, argv: list[str]) -> None:
    process = trial.console(*argv)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert "Traceback" not in err
    assert "hunter2" not in err
    assert err.splitlines()[-1].startswith("sre-runbooks")


def test_the_console_gives_the_result_as_json(trial: Trial) -> None:
    process = trial.console("run", "greet", "-i", str(trial.inventory), "--json")
    out, err = process.communicate()
    result = json.loads(out)
    assert (result["status"], result["hosts"]["app1"]["changed"]) == ("successful", 1)
    assert "Write it down" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_the_console_ends_the_whole_tree_and_says_where_the_traces_are(trial: Trial, number: signal.Signals) -> None:
    process = trial.console("run", "beat", "-i", str(trial.inventory))
    trial.wait_for("module")
    trial.wait_for("orphan")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "canceled" in err
    assert str(trial.state / "artifacts") in out
    assert not trial.still_beats("module")
    assert not trial.still_beats("orphan")


def test_under_nohup_a_run_outlives_the_terminal(trial: Trial) -> None:
    process = trial.console("run", "beat", "-i", str(trial.inventory), ignored=[signal.SIGHUP])
    trial.wait_for("module")
    process.send_signal(signal.SIGHUP)
    assert trial.still_beats("module")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert not trial.still_beats("module")


def test_on_a_terminal_progress_rewrites_one_line_and_in_a_log_it_does_not(trial: Trial) -> None:
    argv = [sys.executable, "-m", "sre_runbooks.cli", "run", "dump", "-i", str(trial.inventory)]
    leader, follower = pty.openpty()
    process = subprocess.Popen(argv, env=trial.environment(), stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    while process.poll() is None or select.select([leader], [], [], 0)[0]:
        if select.select([leader], [], [], 0.2)[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:
                break
    os.close(leader)
    assert process.wait() == 0
    assert b"\r\x1b[K" in shown
    assert b"Dumping reference: orders, 50.0 MB of 100.0 MB (50%)" in shown
    logged, _ = trial.console("run", "dump", "-i", str(trial.inventory)).communicate()
    assert "\r" not in logged
    assert logged.count("Dumping reference: orders") == 1
