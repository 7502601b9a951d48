# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cron and systemd start: one run for each moment, one at a time, ended at its limit, without a secret in its log."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.lease import Leases
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.job import Job, jobs_text, read_status
from ansible_collections.sre.runbooks.plugins.module_utils.state import utc_text
from tools.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
SECRET = "correct-horse-battery"


class Started:
    """A job in a folder, with a program in the place of ansible-playbook that notes each of its starts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder / "state" / "schedule" / "p", folder / "state"
        self.folder.mkdir(parents=True, mode=0o700)
        self.state.chmod(0o700)
        self.starts = folder / "starts"
        self.program = folder / "program"
        self.jobs = self.folder / "jobs.json"
        self.work("pass")

    def work(self, code: str) -> None:
        """What the program does after it has noted its start."""
        note = f"import json, os, sys, time, subprocess\nopen({str(self.starts)!r}, 'a').write(json.dumps(sys.argv) + chr(10))\n"
        self.program.write_text(f"#!{sys.executable}\n{note}{code}\n")
        self.program.chmod(0o755)

    def write(self, **changes: Any) -> None:
        """The file of the one job."""
        values: dict[str, Any] = {
            "profile": "p",
            "name": "backup",
            "procedure": "backup",
            "at": "every 1 day",
            "time_zone": "UTC",
            "since": utc_text(datetime.now(UTC) - timedelta(days=3)),
            "argv": [str(self.program), "backup.yml"],
            "state_folder": str(self.state),
            **changes,
        }
        self.jobs.write_text(jobs_text([Job(**values)]))

    def start(self, name: str = "backup") -> subprocess.Popen[str]:
        """Start it as cron does: with next to no environment."""
        module = "ansible_collections.sre.runbooks.plugins.module_utils.schedule.start"
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "collections")}
        return subprocess.Popen(
            [sys.executable, "-m", module, str(self.jobs), name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ended(self, name: str = "backup") -> tuple[int, str]:
        """Exit status, and everything it said."""
        process = self.start(name)
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err

    @property
    def count(self) -> int:
        """How often the program was started."""
        return len(self.starts.read_text().splitlines()) if self.starts.exists() else 0

    @property
    def status(self) -> dict[str, Any]:
        """What is noted of the runs."""
        return read_status(str(self.folder), "backup")

    def wait(self, count: int = 1) -> None:
        """Until the program has been started so often."""
        wait_until("it is started", lambda: self.count >= count)


@pytest.fixture
def started(tmp_path: Path) -> Started:
    found = Started(tmp_path)
    found.write()
    return found


def test_a_run_begins_once_for_its_moment_however_often_it_is_started(started: Started) -> None:
    assert [started.ended() for _number in range(3)] == [(0, "")] * 3
    assert started.count == 1
    status = started.status
    assert (status["status"], status["exit_status"]) == ("succeeded", 0)
    assert status["succeeded_at"] == status["started_at"]
    arguments = json.loads(started.starts.read_text())
    told = json.loads(arguments[arguments.index("--extra-vars") + 1])
    assert told["procedure_run_id"] == status["run_id"]
    assert told["procedure_schedule"] == {"name": "backup", "at": "every 1 day", "time_zone": "UTC", "due": status["due"]}


def test_what_was_due_before_the_schedule_was_set_up_does_not_begin(started: Started) -> None:
    started.write(since=utc_text(datetime.now(UTC)))
    assert started.ended() == (0, "")
    assert started.count == 0


def test_what_fires_for_an_entry_that_is_not_in_the_schedule_starts_nothing_and_says_nothing(started: Started) -> None:
    assert started.ended("restore_drill") == (0, "")
    assert started.count == 0


def test_twelve_starts_at_once_make_one_run(started: Started) -> None:
    started.work("time.sleep(1)")
    processes = [started.start() for _number in range(12)]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 12, said
    assert started.count == 1
    assert started.status["status"] == "succeeded"


def test_a_run_that_outlasts_its_interval_is_not_joined_by_another(started: Started) -> None:
    started.work("time.sleep(4)")
    started.write(at="every 1 min")
    first = started.start()
    started.wait()
    # The next minute has come: the run before it still holds the lease.
    status = started.folder / "backup.status.json"
    content = json.loads(status.read_text())
    status.write_text(json.dumps({**content, "due": "2026-01-01T00:00:00.000Z"}))
    assert started.ended() == (0, "")
    assert started.count == 1
    assert "holds it for: schedule: every 1 min UTC" in started.status["held"]["why"]
    first.communicate(timeout=30)
    assert Leases(str(started.state)).all() == []


def test_a_starter_that_is_killed_takes_its_run_along_and_frees_the_lease(started: Started) -> None:
    started.work("time.sleep(60)")
    process = started.start()
    started.wait()
    (lease,) = Leases(str(started.state)).all()
    assert lease.resource == "schedule:p:backup"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    processes = ["ps", "axo", "args"]
    wait_until("its run ends", lambda: str(started.program) not in subprocess.check_output(processes, text=True), 5, every_s=0.05)
    # The next moment: nobody waits for the lease to run out.
    started.work("pass")
    started.write(since=utc_text(datetime.now(UTC) - timedelta(days=3)))
    (started.folder / "backup.status.json").unlink()
    assert started.ended() == (0, "")
    assert started.count == 2


def test_a_run_that_hangs_is_ended_with_all_that_it_has_started(started: Started, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    child = "child = subprocess.Popen(['sleep', '300'], start_new_session=True)"
    started.work(f"{child}\nopen({str(pid)!r}, 'w').write(str(child.pid))\ntime.sleep(300)")
    started.write(timeout_s=2.0)
    code, said = started.ended()
    assert (code, "p: backup has ended: it did not end within 2 s (" in said) == (3, True)
    assert (started.status["status"], started.status["why"]) == ("ended", "it did not end within 2 s")
    child_now = Path(f"/proc/{pid.read_text()}/stat")
    wait_until("what it had started ends", lambda: not child_now.exists() or " Z " in child_now.read_text(), 5)


def test_a_starter_that_is_told_to_stop_ends_its_run_and_says_so(started: Started) -> None:
    started.work("time.sleep(300)")
    process = started.start()
    started.wait()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert started.status["why"] == "it was ended by SIGTERM"


def test_secrets_come_from_a_file_that_nobody_else_can_read_and_reach_no_log_and_no_command_line(started: Started, tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text(f"# of the profile\nexport DB_PASSWORD='{SECRET}'\nREGION=north # a comment\n")
    file.chmod(0o600)
    started.write(environment_file=str(file))
    arguments = tmp_path / "arguments"
    copy = f"open({str(arguments)!r}, 'wb').write(open('/proc/self/cmdline', 'rb').read())"
    started.work(f"print('password', os.environ['DB_PASSWORD'], os.environ['REGION'])\n{copy}")
    assert started.ended() == (0, "")
    log = Path(started.status["log"])
    assert log.stat().st_mode & 0o777 == 0o600
    assert "north" in log.read_text()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path not in (file, started.program)]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_of_secrets_that_others_can_read_is_refused_before_the_start(started: Started, tmp_path: Path, mode: int) -> None:
    file = tmp_path / "secrets.env"
    file.write_text(f"DB_PASSWORD={SECRET}\n")
    file.chmod(mode)
    started.write(environment_file=str(file))
    code, said = started.ended()
    assert code == 2
    assert f"others can reach it ({file}): its mode is {mode:04o}. Next: chmod 0600" in said
    assert started.count == 0


def test_a_line_of_secrets_that_is_not_understood_is_told_by_its_number_alone(started: Started, tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text(f"A=1\n{SECRET} 'open\n")
    file.chmod(0o600)
    started.write(environment_file=str(file))
    code, said = started.ended()
    assert (code, f"{file}:2" in said, SECRET in said) == (2, True, False)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": "sre.runbooks/schedule_jobs/1"}', "\x00"])
def test_a_list_of_jobs_that_is_damaged_is_told_and_nothing_starts(started: Started, content: str) -> None:
    started.jobs.write_text(content)
    code, said = started.ended()
    assert code == 2
    assert "cannot be read" in said
    assert "schedule_setup" in said
    assert "Traceback" not in said


def test_logs_are_kept_for_the_last_runs_only_and_a_run_that_fails_is_noted(started: Started) -> None:
    started.work("print('no good'); sys.exit(4)")
    started.write(keep_logs=2)
    for _number in range(4):
        code, said = started.ended()
        assert (code, said) == (1, f"p: backup has failed: exit status 4 ({started.status['log']})\n")
        status = started.folder / "backup.status.json"
        content = json.loads(status.read_text())
        assert (content["status"], content["exit_status"]) == ("failed", 4)
        status.write_text(json.dumps({**content, "due": "2026-01-01T00:00:00.000Z"}))
    logs = list(started.folder.glob("*.log"))
    assert len(logs) == 2
    assert "no good" in logs[0].read_text()
