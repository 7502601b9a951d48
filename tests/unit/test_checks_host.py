# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the host itself: disk, memory, processor, processes, ports, files, against real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks import host
from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import NoAnswer, Result
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, closed_port, outcome, outcomes, silent

MARK = f"sre-runbooks-test-{os.getpid()}"
needs_proc = pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="this host has no /proc")


@contextmanager
def sleeping(mark: str = MARK) -> Iterator[subprocess.Popen[bytes]]:
    """A process with `mark` on its command line."""
    process = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", mark], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_disk_is_as_full_as_df_says() -> None:
    used, inodes, free = outcomes(
        {"type": "disk", "path": "/"}, *({"type": "disk", "measure": m} for m in ("inodes_percent", "free_bytes"))
    )
    shown = subprocess.run(["df", "-P", "-k", "/"], capture_output=True, text=True, check=True).stdout.split()
    assert used.verdict == "pass"
    assert used.value == pytest.approx(float(shown[-2].rstrip("%")), abs=1.5)
    assert used.observed["inodes_percent"] == inodes.value or inodes.verdict == "unknown", (
        "some file systems have no fixed number of inodes"
    )
    assert free.value == pytest.approx(int(shown[-3]) * 1024, rel=0.05)


def test_a_disk_that_is_too_full_warns_or_fails_and_a_path_that_is_gone_fails() -> None:
    warned, failed, gone = outcomes(
        {"type": "disk", "warn_above": 0, "fail_above": 101},
        {"type": "disk", "warn_above": 0, "fail_above": 0},
        {"type": "disk", "path": "/no/such/folder"},
    )
    assert warned.verdict == "warn"
    assert "used space in percent is" in warned.reason
    assert failed.verdict == "fail"
    assert (gone.verdict, gone.reason) == ("fail", "the path does not exist")


@needs_proc
def test_memory_and_processor_agree_with_psutil() -> None:
    memory = outcome(type="memory")
    assert memory.value == pytest.approx(psutil.virtual_memory().percent, abs=3)
    begin = psutil.cpu_times()
    seen = outcome(type="cpu", window_s=0.5)
    end = psutil.cpu_times()
    spent = [after - before for before, after in zip(begin, end, strict=True)]
    total = sum(spent[:8])
    assert seen.value == pytest.approx(100 * (1 - (spent[3] + spent[4]) / total), abs=15)


def test_memory_of_a_process_is_its_resident_set(tmp_path: Path) -> None:
    with sleeping() as process:
        (tmp_path / "pid").write_text(f"{process.pid}\n/var/lib/data\n5432\n")
        by_pid, by_file = outcomes(
            {"type": "memory", "pid": process.pid, "measure": "used_bytes"},
            {"type": "memory", "pid_file": str(tmp_path / "pid"), "measure": "used_bytes", "fail_above": 1000},
        )
        assert by_pid.value == pytest.approx(psutil.Process(process.pid).memory_info().rss, rel=0.05)
    assert by_file.value == pytest.approx(by_pid.value, rel=0.05)
    assert by_file.verdict == "fail"
    gone = outcome(type="memory", pid=process.pid)
    assert (gone.verdict, gone.reason) == ("fail", f"no process {process.pid} runs")


def test_a_window_that_does_not_fit_into_the_deadline_is_unknown_at_once() -> None:
    begin = time.monotonic()
    result = outcome(type="cpu", window_s=30, timeout_s=8)
    assert result.verdict == "unknown"
    assert time.monotonic() - begin < 6


def test_a_process_is_found_by_pattern_and_by_pid_file(tmp_path: Path) -> None:
    with sleeping() as process, sleeping():
        (tmp_path / "pid").write_text(str(process.pid))
        found = outcomes(
            {"type": "process", "pattern": f"time.sleep.* {MARK}$"},
            {"type": "process", "pattern": MARK, "minimum": 3},
            {"type": "process", "pattern": MARK, "fail_above": 1},
            {"type": "process", "pid_file": str(tmp_path / "pid")},
            {"type": "process", "pid_file": str(tmp_path / "pid"), "pattern": MARK},
            {"type": "process", "pid_file": str(tmp_path / "pid"), "pattern": "something else"},
        )
    assert [(result.verdict, result.value) for result in found] == [
        ("pass", 2), ("fail", 2), ("fail", 2), ("pass", 1), ("pass", 1), ("fail", 0),
    ]  # fmt: skip
    assert found[1].reason == "2 such processes run, fewer than 3"


def test_a_process_that_has_ended_does_not_run_even_while_its_parent_has_not_noticed(tmp_path: Path) -> None:
    with sleeping() as process:
        (tmp_path / "pid").write_text(str(process.pid))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # from here on it is a zombie
        zombie = outcome(type="process", pid_file=str(tmp_path / "pid"))
    gone = outcome(type="process", pid_file=str(tmp_path / "pid"))
    missing = outcome(type="process", pid_file=str(tmp_path / "nothing"))
    (tmp_path / "pid").write_text("not a number")
    odd = outcome(type="process", pid_file=str(tmp_path / "pid"))
    assert [result.verdict for result in (zombie, gone, missing, odd)] == ["fail", "fail", "fail", "unknown"]


def test_a_check_does_not_find_itself_by_the_pattern_on_its_own_command_line() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from ansible_collections.sre.runbooks.plugins.module_utils.checks import host\n"
        "print(any('needle-in-argv' in process.command_line for process in host.processes()))"
    )
    repository = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(repository / "collections"), "needle-in-argv"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_port_is_listened_on_or_not() -> None:
    with Server(silent) as server:
        assert outcome(type="process", port=server.port).verdict == "pass"
    closed = outcome(type="process", port=closed_port())
    assert closed.verdict == "fail"
    assert "nothing listens on port" in closed.reason


def test_a_pattern_that_searches_for_ever_is_given_up() -> None:
    with sleeping("a" * 40 + "!"):
        begin = time.monotonic()
        result = outcome(type="process", pattern="(a+)+$", timeout_s=20)
    assert result.verdict == "unknown"
    assert "could not be judged" in result.reason
    assert time.monotonic() - begin < 15


def test_a_log_is_as_old_as_its_last_write_and_of_several_the_newest_counts(tmp_path: Path) -> None:
    for name, age_s in (("app_1.log", 3600), ("app_2.log", 100), ("other.log", 0)):
        (tmp_path / name).write_text("0123456789")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    one, newest, old, size, gone, lost, none = outcomes(
        {"type": "log_freshness", "path": str(tmp_path / "app_1.log")},
        {"type": "log_freshness", "path": str(tmp_path / "app_*.log"), "fail_above": 600},
        {"type": "log_freshness", "path": str(tmp_path / "app_1.log"), "warn_above": 60, "fail_above": 600},
        {"type": "log_freshness", "path": str(tmp_path / "app_1.log"), "measure": "size_bytes", "warn_above": 5},
        {"type": "log_freshness", "path": str(tmp_path / "gone.log")},
        {"type": "log_freshness", "path": str(tmp_path / "no folder" / "gone.log")},
        {"type": "log_freshness", "path": str(tmp_path / "gone_*.log")},
    )
    assert one.value == pytest.approx(3600, abs=5)
    assert (newest.verdict, newest.observed["file"]) == ("pass", str(tmp_path / "app_2.log"))
    assert old.verdict == "fail"
    assert (size.verdict, size.value) == ("warn", 10)
    assert [result.verdict for result in (gone, lost, none)] == ["fail", "unknown", "fail"]


def test_a_file_from_the_future_is_unknown_because_one_clock_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.touch()
    os.utime(path, (time.time() + 3600,) * 2)
    result = outcome(type="log_freshness", path=str(path), fail_above=600)
    assert result.verdict == "unknown"
    assert "in the future" in result.reason


def asked_of(results: t.Sequence[Result]) -> list[tuple[str, str]]:
    return [(result.verdict, result.reason) for result in results]


LOCAL = ({"type": "memory"}, {"type": "cpu", "window_s": 0.2}, {"type": "process", "pattern": MARK}, {"type": "memory", "pid": os.getpid()})


def test_without_proc_the_numbers_come_from_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outcome(type="memory").value
    monkeypatch.setattr(host, "PROC", "/no/such/proc")
    with sleeping(), Server(silent) as server:
        results = outcomes(*LOCAL, {"type": "process", "port": server.port}, {"type": "memory", "pid": 1 << 22})
    assert [result.verdict for result in results] == ["pass"] * 5 + ["fail"], asked_of(results)
    assert results[0].value == pytest.approx(expected, abs=3)
    assert results[2].value == 1


def test_without_proc_and_psutil_they_are_unknown_and_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "PROC", "/no/such/proc")
    monkeypatch.setitem(sys.modules, "psutil", None)
    for verdict, reason in asked_of(outcomes(*LOCAL, {"type": "process", "port": 80})):
        assert verdict == "unknown"
        assert "no /no/such/proc, and psutil is not installed" in reason


@pytest.mark.parametrize(
    ("check", "part"),
    [
        ({"type": "process"}, "neither a pattern nor a pid_file nor a port"),
        ({"type": "process", "pattern": "("}, "no regular expression"),
        ({"type": "process", "port": 70000}, "port is not between"),
        ({"type": "process", "port": 80, "warn_above": 1}, "thresholds need a pattern or a pid_file"),
        ({"type": "disk", "path": "relative"}, "does not begin with a slash"),
        ({"type": "disk", "container": "a", "pod": "b"}, "both a container and a pod"),
        ({"type": "disk", "container": "--privileged"}, "begins with a dash"),
        ({"type": "memory", "pid": 1, "container": "a"}, "both pid and container"),
        ({"type": "memory", "pid": 1, "measure": "swap_percent"}, "of the host only"),
        ({"type": "cpu", "window_s": 0}, "window_s is not between"),
        ({"type": "log_freshness", "path": "/a/*.log", "container": "b"}, "wildcards"),
        ({"type": "systemd_unit", "unit": "a*"}, "not the name of one unit"),
        ({"type": "systemd_unit", "unit": ""}, "not the name of one unit"),
        ({"type": "compose_service", "service": "a"}, "neither a project_folder"),
        ({"type": "compose_service", "service": "--all", "project_name": "b"}, "service is no name"),
        ({"type": "compose_service", "service": "a", "project_name": "b", "replicas": 0}, "replicas is not 1 or more"),
        ({"type": "kubernetes_workload", "workload": "--help"}, "workload is no name"),
        ({"type": "kubernetes_workload", "workload": "pods/x"}, "workload is no name"),
        ({"type": "command", "argv": []}, "argv names no program"),
        ({"type": "command", "argv": ["a"], "pattern": "no group"}, "one group"),
        ({"type": "command", "argv": ["a"], "warn_above": 1}, "need a pattern"),
        ({"type": "command", "argv": ["a\0b"]}, "NUL"),
        ({"type": "command", "argv": ["a"], "pod": "b", "environment": {"C": "d"}}, "into a pod"),
        ({"type": "command", "argv": ["a"], "environment": {"C=D": "d"}}, "no variable can have"),
        ({"type": "command", "argv": ["a"], "exit_status": []}, "exit_status is empty"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(check: dict[str, t.Any], part: str) -> None:
    from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import plan
    from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput

    with pytest.raises(BadInput) as caught:
        plan([{"name": "a", **check}])
    assert part in caught.value.message


@pytest.mark.skipif(
    shutil.which("systemctl") is None or os.path.exists("/run/systemd/system"), reason="systemd runs here, or is not installed"
)
def test_a_host_without_systemd_makes_the_unit_unknown() -> None:
    result = outcome(type="systemd_unit", unit="ssh.service")
    assert result.verdict == "unknown"
    assert "systemd does not answer" in result.reason


def test_what_cannot_be_read_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        host.parse_meminfo("MemTotal: none kB\n")
    with pytest.raises(NoAnswer):
        host.parse_stat("cpu a b c d\n")
