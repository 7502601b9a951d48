# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python API reads ansible-runner's events and the progress file, and shows them."""

from __future__ import annotations

import io
from typing import Any

import pytest

from sre_runbooks.events import Event, Progress, translate
from sre_runbooks.result import HostStats, Tally
from sre_runbooks.terminal import Display, describe


def _failed(**result: Any) -> dict[str, Any]:
    return {"event": "runner_on_failed", "event_data": {"host": "db1", "task": "Restore", "res": result}}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"msg": "No space is left."}, "No space is left."),
        ({"msg": "One or more items failed", "results": [{"msg": "fine"}, {"failed": True, "msg": "the second"}]}, "the second"),
        ({"censored": "the output has been hidden"}, "the task's output is hidden because it handles secrets."),
        ({"msg": {"reason": "odd"}}, '{"reason": "odd"}'),
        ({}, "the task failed without a message"),
    ],
    ids=["its own", "of the first item that failed", "hidden", "structured", "none"],
)
def test_a_failed_task_has_one_message(result: dict[str, Any], message: str) -> None:
    event = translate(_failed(**result))
    assert event is not None
    assert (event.kind, event.host, event.task, event.status, event.message) == ("host", "db1", "Restore", "failed", message)


def test_a_message_that_ansible_wrapped_is_one_line_again() -> None:
    said = translate({"event": "error", "stdout": "\x1b[31m[ERROR]: the playbook: x.yml\r\ncould not be found\x1b[0m"})
    assert said == Event("error", message="the playbook: x.yml could not be found", time=said.time if said else 0)


def test_what_says_nothing_new_gives_no_event() -> None:
    for name in ("verbose", "runner_on_start", "runner_item_on_ok", "playbook_on_stats", "EOF"):
        assert translate({"event": name, "stdout": ""}) is None


def test_progress_lines_are_read_and_nonsense_is_passed_over() -> None:
    line = '{"work": "Dumping reference", "step": "orders", "done": 120000000, "total": 300000000, "unit": "bytes", "time": 1.0}'
    progress = Progress.from_line(line)
    assert progress == Progress("Dumping reference", "orders", 120e6, 300e6, "bytes")
    assert describe(progress) == "Dumping reference: orders, 120.0 MB of 300.0 MB (40%)"
    for nonsense in ("", "{", "[]", "null", '{"work": 1}', '{"work": "a", "step": "b", "done": "many"}'):
        assert Progress.from_line(nonsense) is None


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress("Restoring", "begins"), "Restoring: begins"),
        (Progress("Restoring", "tables", 3, None, "tables"), "Restoring: tables, 3 tables"),
        (Progress("Restoring", "tables", 3, 0, "tables"), "Restoring: tables, 3 tables of 0 tables"),
        (Progress("Restoring", "files", 999, 2000, "bytes"), "Restoring: files, 999 B of 2.0 kB (50%)"),
    ],
)
def test_progress_is_described_with_what_is_known(progress: Progress, text: str) -> None:
    assert describe(progress) == text


def test_a_log_gets_one_progress_line_a_step_and_a_terminal_gets_them_all() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, lines in ((io.StringIO(), 1), (Terminal(), 3)):
        display = Display(stream)
        for done in (1, 2, 3):
            display.show(Event("progress", progress=Progress("Dumping", "orders", done, 3, "tables")))
        assert stream.getvalue().count("Dumping") == lines


def test_a_reader_that_goes_away_does_not_hurt() -> None:
    stream = io.StringIO()
    display = Display(stream)
    stream.close()
    display.line("nobody reads this")


def test_unreachable_hosts_are_no_failure_and_both_together_are() -> None:
    dark = Tally(hosts={"a": HostStats(unreachable=1), "b": HostStats(ok=3)})
    both = Tally(hosts={"a": HostStats(unreachable=1), "b": HostStats(failures=1)})
    assert (dark.status(4), both.status(2), Tally().status(0), Tally().status(1)) == ("unreachable", "failed", "successful", "failed")


def test_a_failure_that_was_ignored_is_not_the_error() -> None:
    tally = Tally()
    ignored = _failed(msg="never mind")
    ignored["event_data"]["ignore_errors"] = True
    tally.see(ignored)
    assert tally.failure is None
    tally.see(_failed(msg="this one"))
    assert tally.error(2) == "this one"
