# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that is canceled, or whose time is over, ends with everything that it has started, and with nothing else."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

import sre_runbooks
from integration.api_trial import Trial
from sre_runbooks.processes import processes_of
from tools.waiting import wait_until


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


@pytest.mark.parametrize("stubborn", [False, True], ids=["polite", "ignores_sigterm"])
def test_cancel_ends_the_whole_process_tree(trial: Trial, stubborn: bool) -> None:
    handle = trial.start("beat", extra_vars={"stubborn": stubborn})
    for name in ("module", "orphan"):
        trial.wait_for(name)
    assert len(processes_of(handle.run_id)) >= 4
    begun = time.monotonic()
    handle.cancel(grace_s=1.0)
    assert time.monotonic() - begun < 8
    assert handle.done
    assert processes_of(handle.run_id) == []
    assert not trial.still_beats("module")
    assert not trial.still_beats("orphan")
    result = handle.wait()
    assert (result.status, result.rc) == ("canceled", 254), result.error
    assert "'Beat for ever'" in result.error
    assert not (trial.folder / "reached").exists()


def test_cancel_lets_a_process_finish_that_ignores_sigterm_for_a_while(trial: Trial) -> None:
    handle = trial.start("swap")
    wait_until("the swap has begun", lambda: (trial.folder / "swapping").exists())
    handle.cancel()
    assert handle.wait().status == "canceled"
    assert (trial.folder / "swapped").exists()
    assert not (trial.folder / "reached").exists()
    assert processes_of(handle.run_id) == []


def test_a_server_that_was_started_without_the_mark_outlives_a_cancel(trial: Trial) -> None:
    handle = trial.start("serve")
    server = trial.wait_for("server")
    trial.wait_for("module")
    handle.cancel()
    try:
        assert not trial.still_beats("module")
        os.kill(server, 0)
    finally:
        os.kill(server, signal.SIGKILL)


def test_the_time_limit_ends_the_whole_process_tree(trial: Trial) -> None:
    result = trial.run("beat", timeout_s=8)
    assert (result.status, result.rc) == ("timeout", 254)
    assert "8 s" in result.error
    assert 8 <= result.duration_s < 16
    assert processes_of(result.run_id) == []
    assert not trial.still_beats("module")
    assert not trial.still_beats("orphan")


def test_cancel_at_any_moment_of_the_start_leaves_nothing(trial: Trial) -> None:
    for delay_s in (0.0, 0.02, 0.1, 0.3, 0.6):
        handle = trial.start("beat")
        time.sleep(delay_s)
        handle.cancel(grace_s=1.0)
        assert handle.wait(10).status == "canceled"
        assert processes_of(handle.run_id) == []


def test_cancel_from_within_an_event_handler_does_not_lock_up(trial: Trial) -> None:
    handles: list[sre_runbooks.Handle] = []
    ready = threading.Event()

    def stop(event: sre_runbooks.Event) -> None:
        ready.wait()
        if event.kind == "task":
            handles[0].cancel(grace_s=1.0)

    handles.append(trial.start("beat", on_event=stop))
    ready.set()
    assert handles[0].wait(20).status == "canceled"
    assert processes_of(handles[0].run_id) == []


def test_a_cancel_after_the_end_changes_nothing(trial: Trial) -> None:
    handle = trial.start("greet")
    result = handle.wait()
    handle.cancel()
    assert handle.wait() is result
    assert result.ok
