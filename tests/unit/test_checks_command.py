# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks that call a program: its status, what it prints, and what happens when it does not end."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import plan
from ansible_collections.sre.runbooks.tests.unit.checks_servers import outcome, outcomes

SECRET = "swordfish-42"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_is_judged_by_its_exit_status_its_text_and_its_number() -> None:
    results = outcomes(
        {"type": "command", "argv": ["true"]},
        {"type": "command", "argv": ["false"]},
        {"type": "command", "argv": ["false"], "exit_status": [0, 1]},
        {"type": "command", "argv": ["echo", "queue: 17 messages"], "contains": ["queue"], "pattern": "([0-9]+) messages"},
        {"type": "command", "argv": ["echo", "queue: 17 messages"], "pattern": "([0-9]+) messages", "warn_above": 10},
        {"type": "command", "argv": ["echo", "nothing"], "contains": ["queue"]},
        {"type": "command", "argv": ["echo", "queue: no messages"], "pattern": "([0-9]+) messages"},
        {"type": "command", "argv": ["echo", "queue: x messages"], "pattern": "(.) messages"},
        {"type": "command", "argv": ["no-such-program-here"]},
    )
    assert [result.verdict for result in results] == ["pass", "fail", "pass", "pass", "warn", "fail", "unknown", "unknown", "unknown"]
    assert results[3].value == 17
    assert results[1].reason == "exit status 1 instead of 0: exit status 1"
    assert "no-such-program-here is missing" in results[8].reason


def test_what_a_failed_command_said_is_in_the_reason_and_no_shell_reads_its_arguments() -> None:
    result = outcome(type="command", argv=python("import sys; sys.exit('the queue is gone')"))
    assert "the queue is gone" in result.reason
    printed = outcome(type="command", argv=["echo", "$(id)", ";", "id"], contains=["$(id) ; id"])
    assert printed.verdict == "pass"


def test_a_command_that_does_not_end_is_ended_at_the_deadline_with_all_that_it_started(tmp_path: Path) -> None:
    note, writer, stubborn = tmp_path / "alive", tmp_path / "writer.py", tmp_path / "stubborn.py"
    writer.write_text("import sys, time\nwhile True:\n    open(sys.argv[1], 'w').write('x')\n    time.sleep(0.05)\n")
    # It ignores the polite request, and its own child would go on writing.
    stubborn.write_text(
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, *sys.argv[1:]])\ntime.sleep(60)\n"
    )
    begin = time.monotonic()
    result = outcome(type="command", argv=[sys.executable, str(stubborn), str(writer), str(note)], timeout_s=0.7)
    took = time.monotonic() - begin
    assert result.verdict == "fail"
    assert "waiting for python" in result.reason
    assert took < 1.6, "nobody waits for its end"
    assert note.exists()
    time.sleep(1.2)  # so long it may take until it is ended for good
    note.unlink(missing_ok=True)
    time.sleep(0.3)
    assert not note.exists()


def test_a_command_that_prints_for_ever_is_cut_off_in_little_memory() -> None:
    for argv in (["yes"], python("import sys\nwhile True: sys.stderr.write('y' * 65536)")):
        begin = time.monotonic()
        result = outcome(type="command", argv=argv, max_body_kb=16)
        assert result.verdict == "unknown"
        assert "more than 16 KiB" in result.reason
        assert time.monotonic() - begin < 8, "it does not go on until its deadline of 10 s"
        assert len(str(result.observed)) < 2000


def test_output_that_is_no_text_is_judged_all_the_same() -> None:
    result = outcome(type="command", argv=python("import os; os.write(1, bytes(range(256)) + b' 5 apples')"), pattern="([0-9]) apples")
    assert (result.verdict, result.value) == ("pass", 5)


def test_a_secret_of_the_environment_reaches_the_program_and_nobody_else() -> None:
    check = {
        "type": "command",
        "argv": python("import os, sys; sys.exit('password is ' + os.environ['APP_PASSWORD'])"),
        "environment": {"APP_PASSWORD": SECRET},
    }
    result = outcome(**check)
    assert result.verdict == "fail"
    assert "password is ****" in result.reason
    assert SECRET not in repr(result)


def test_what_looks_like_a_secret_on_the_command_line_is_not_shown() -> None:
    (check,) = plan([{"name": "a", "type": "command", "argv": ["app", "--password=swordfish-42", "status"]}])
    assert check.question.target == "app --password=******** status"


def test_many_commands_run_a_few_at_a_time_and_none_waits_on_its_own_time() -> None:
    checks = [{"type": "command", "argv": ["sleep", "0.5"], "timeout_s": 4} for _ in range(24)]
    begin = time.monotonic()
    assert all(result.verdict == "pass" for result in outcomes(*checks))
    assert time.monotonic() - begin < 24 * 0.5


def test_a_folder_and_an_unreadable_program_are_told(tmp_path: Path) -> None:
    result = outcome(type="command", argv=["pwd"], folder=str(tmp_path), contains=[str(tmp_path)])
    assert result.verdict == "pass"
    lost = outcome(type="command", argv=["pwd"], folder=str(tmp_path / "gone"))
    assert lost.verdict == "unknown"
    assert "gone does not exist" in lost.reason
