# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python API and the console command find the record that a procedure leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sre_runbooks
from integration.api_trial import FramedTrial
from tools.waiting import wait_until


@pytest.fixture
def framed(tmp_path: Path, repository: Path) -> FramedTrial:
    return FramedTrial(tmp_path, repository)


def test_the_record_of_the_procedure_is_found_and_typed(framed: FramedTrial) -> None:
    result = framed.run("framed")
    assert result.ok, result.error
    record = result.record
    assert record is not None
    assert (record.run_id, record.procedure, record.title, record.status) == (result.run_id, "framed", "Do framed work", "succeeded")
    assert record.folder == framed.state / "runs" / result.run_id
    assert [(step.name, step.status, step.changed) for step in record.steps] == [("Do the work", "ok", True)]
    assert record.steps[0].duration_s is not None
    assert record.measurements["rto_s"] == sre_runbooks.Measurement(12.5, 3600, "s", "lower", True)
    assert result.report == record.folder / "report.html"
    assert sre_runbooks.read_record("latest", framed.state) == record


def test_a_failed_procedure_tells_the_step_that_failed_not_the_one_that_closed_the_record(framed: FramedTrial) -> None:
    result = framed.run("framed", extra_vars={"spoiled": True})
    assert (result.status, result.failed_task) == ("failed", "Check the work")
    assert "The work is not good (reference). Next: do it again" in result.error
    assert result.record is not None
    assert result.record.status == "failed"


def test_a_cancelled_run_is_marked_as_abandoned_at_once_and_the_next_one_gets_the_lease(framed: FramedTrial) -> None:
    events: list[sre_runbooks.Event] = []
    handle = framed.start("framed", extra_vars={"endless": True}, on_event=events.append)
    wait_until("the task has begun", lambda: any(event.task == "Beat for ever" for event in events))
    handle.cancel()
    first = handle.wait()
    assert first.record is not None
    assert (first.status, first.record.status) == ("canceled", "abandoned")
    assert first.record.error is not None and "ended before it could finish" in first.record.error.message
    following = framed.run("framed")
    assert following.ok and following.record is not None
    assert following.record.content["decisions"] == [], "there was no lease to take over"


def test_a_profile_may_keep_its_records_in_a_folder_of_its_own(framed: FramedTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(framed.top / "xdg"))
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)
    elsewhere = framed.top / "elsewhere"
    result = framed.run(
        "framed",
        state_dir=None,
        private_data_dir=framed.top / "artifacts",
        extra_vars={"procedure_state_folder": str(elsewhere)},
    )
    assert result.record is not None
    assert result.record.folder == elsewhere / "runs" / result.run_id


def test_the_console_shows_the_report_of_a_run(framed: FramedTrial) -> None:
    ran = framed.console("run", "framed", "-i", str(framed.inventory))
    out, err = ran.communicate()
    assert (ran.returncode, err) == (0, "")
    assert "report.html" in out
    report, _ = framed.console("report").communicate()
    assert report.startswith("# ")
    assert "RTO" in report
    path, _ = framed.console("report", "latest", "--format", "html-path").communicate()
    assert Path(path.strip()).read_text().startswith("<!")
    run_id = Path(path.strip()).parent.name
    as_json, _ = framed.console("report", run_id, "--format", "json").communicate()
    assert json.loads(as_json)["status"] == "succeeded"
