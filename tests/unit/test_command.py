# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs and pipelines: every exit status counts, the guilty one is named, nothing outlives us, no secret is shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.command import Command, Place, run
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, DeadlineExceeded, ToolMissing
from ansible_collections.sre.runbooks.plugins.module_utils.pipeline import Pipeline

PYTHON = sys.executable


def ends_with(status: int, said: str = "", reads: bool = True) -> Command:
    """A program that copies its input to its output, says something, and ends with a status (or by a signal when negative)."""
    copy = "import shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer); sys.stdout.flush();" if reads else ""
    end = f"os.kill(os.getpid(), {-status})" if status < 0 else f"sys.exit({status})"
    return Command([PYTHON, "-c", f"import os, sys; {copy} sys.stderr.write({said!r}); sys.stderr.flush(); {end}"])


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from([0, 0, 0, 1, 3, -9, -15]), min_size=1, max_size=3))
def test_the_first_of_a_pipeline_that_failed_is_named(statuses: list[int]) -> None:
    commands = [ends_with(status, f"this was number {number}") for number, status in enumerate(statuses)]
    guilty = next((number for number, status in enumerate(statuses) if status), None)
    if guilty is None:
        with Pipeline(*commands, stdout=subprocess.DEVNULL):
            pass
        return
    with pytest.raises(CommandFailed) as found, Pipeline(*commands, stdout=subprocess.DEVNULL):
        pass
    assert f"number {guilty}" in found.value.why
    if statuses[guilty] < 0:
        assert signal.Signals(-statuses[guilty]).name in found.value.why


def test_who_dies_of_a_broken_pipe_is_blamed_only_when_nobody_else_failed() -> None:
    endless = Command(["yes"])
    with pytest.raises(CommandFailed, match="disk full") as found, Pipeline(endless, ends_with(1, "disk full", reads=False)):
        pass
    assert found.value.facts.get("tool", "yes") != "yes"
    with pytest.raises(CommandFailed, match="SIGPIPE"), Pipeline(endless, Command(["head", "-c", "1"]), stdout=subprocess.DEVNULL):
        pass


def test_what_comes_out_of_a_pipeline_is_what_went_in_and_a_reader_s_error_ends_all() -> None:
    with Pipeline(Command(["cat"]), Command(["gzip", "-1"]), Command(["gzip", "-d"]), stdin=subprocess.PIPE) as pipeline:
        pipeline.stdin.write(b"data" * 1000)
        pipeline.stdin.close()
        assert pipeline.stdout.read() == b"data" * 1000
    with pytest.raises(ZeroDivisionError), Pipeline(Command(["yes"]), Command(["cat"])) as pipeline:
        raise ZeroDivisionError
    assert [process.poll() is not None for process in pipeline.processes] == [True, True]


def test_a_writer_s_death_is_not_hidden_by_the_pipe_that_it_broke() -> None:
    with pytest.raises(CommandFailed, match="cannot open"):  # noqa: PT012, SIM117 - the reader's error must be inside
        with Pipeline(ends_with(2, "cannot open", reads=False)) as pipeline:
            pipeline.stdout.read()
            raise BrokenPipeError


def test_a_second_program_that_is_missing_ends_the_first() -> None:
    with pytest.raises(ToolMissing, match="no-such-program"), Pipeline(Command(["sleep", "60"]), Command(["no-such-program"])) as pipeline:
        pass
    pipeline = Pipeline(Command(["sleep", "60"]), Command(["no-such-program"]))
    with pytest.raises(ToolMissing):
        pipeline.__enter__()
    assert pipeline.processes[0].poll() is not None


def test_a_pipeline_is_watched_and_its_words_are_read_piece_by_piece() -> None:
    code = "import sys, time\nfor n in range(5):\n print('step', n, 'é', file=sys.stderr, flush=True); time.sleep(0.05)"
    words = []
    with Pipeline(Command([PYTHON, "-c", code]), stdout=subprocess.DEVNULL) as pipeline:
        pipeline.watch(lambda: words.append(pipeline.new_words(0)), interval_s=0.02)
        words.append(pipeline.new_words(0))
    assert "".join(words).count("é") == 5
    assert len([word for word in words if word]) > 1
    with pytest.raises(DeadlineExceeded), Pipeline(Command(["sleep", "60"])) as pipeline:
        pipeline.wait(timeout_s=0.1)


def test_a_program_that_takes_too_long_is_ended_even_when_it_does_not_want_to() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.5 s"):
        run(Command([PYTHON, "-c", stubborn], timeout_s=0.5))
    assert time.monotonic() - began < 10


def test_a_failure_tells_program_place_and_last_words() -> None:
    with pytest.raises(CommandFailed) as found:
        run(ends_with(4, "first\n" * 100 + "the last word"))
    assert "the last word" in found.value.message and "this host" in found.value.message
    assert len(found.value.message) < 2000
    done = run(ends_with(4), check=False)
    assert (done.status, done.stdout) == (4, "")
    assert run(Command(["cat"]), stdin="é").stdout == "é"
    with pytest.raises(CommandFailed, match="exit status 5"):
        run(ends_with(5))
    with pytest.raises(CommandFailed, match="SIGSEGV"):
        run(ends_with(-11))


def test_a_program_that_is_missing_or_may_not_be_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="no-such-program"):
        run(Command(["no-such-program"]))
    with pytest.raises(ToolMissing, match=r"pg_dump.*folder /nonexistent"):
        Place(tool_folder="/nonexistent").program("pg_dump")
    with pytest.raises(ToolMissing, match="search path"):
        Place().program("no-such-program")
    (tmp_path / "tool").write_text("not a program")
    with pytest.raises(CommandFailed, match="could not be started"):
        run(Command([str(tmp_path / "tool")]))


def test_secrets_are_in_the_environment_and_on_no_command_line() -> None:
    secret = Command(["printenv", "PGPASSWORD"], secrets={"PGPASSWORD": "hush"})
    assert run(secret).stdout == "hush\n"
    place = Place(container="db", tool_folder="/opt/pg")
    assert place.argv(["psql"], ["PGUSER", "PGPASSWORD"], stdin=True) == [
        "docker", "exec", "--interactive", "--env", "PGUSER", "--env", "PGPASSWORD", "db", "psql",
    ]  # fmt: skip
    assert place.program("psql") == "/opt/pg/psql"
    with pytest.raises(BadInput, match="cannot be passed into a pod"):
        Command(["psql"], place=Place(pod="db-0"), secrets={"PGPASSWORD": "hush"}).start()
    pod = Place(pod="db-0", namespace="prod", pod_container="pg", context="c")
    assert pod.argv(["env", "A=1", "psql"], stdin=False) == [
        "kubectl", "--context", "c", "--namespace", "prod", "exec", "--container", "pg", "db-0", "--", "env", "A=1", "psql",
    ]  # fmt: skip
    with pytest.raises(BadInput, match="Both a container and a pod"):
        Place(container="a", pod="b")
    assert [str(place), str(pod), str(Place())] == ["container db", "pod prod/db-0", "this host"]


def test_a_program_sees_our_environment_but_what_it_must_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    seen = run(Command(["env"], environment={"A": "x y"}, without=["PGHOSTADDR"])).stdout.splitlines()
    assert {"KEPT=1", "A=x y", "LC_ALL=C"} <= set(seen)
    assert not [line for line in seen if line.startswith("PGHOSTADDR")]


def test_programs_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from ansible_collections.sre.runbooks.plugins.module_utils.command import Command\n"
        "process = Command(['sleep', '60']).start()\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([PYTHON, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the child outlived its parent")
