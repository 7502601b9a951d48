# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing that a program has started works on when the program was ended, and nobody else's process is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.command import Command, end
from ansible_collections.sre.runbooks.plugins.module_utils.process_tree import below, end_all, start_of, writers_below

# Like pg_basebackup: a child goes on when its parent is ended. The second word says whether the child listens to SIGTERM.
FORKING = """
import os, signal, sys, time
if os.fork() == 0:
    if sys.argv[2] == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(sys.argv[1] + ".new", "w") as stream:
        stream.write(str(os.getpid()))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    time.sleep(60)
time.sleep(60)
"""


def child_in(path: Path) -> int:
    """The process id that appears in a file."""
    give_up = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return int(path.read_text())


@pytest.mark.parametrize("hearing", ["hears", "deaf"])
def test_ending_a_program_ends_the_children_that_it_leaves_behind(tmp_path: Path, hearing: str) -> None:
    process = Command([sys.executable, "-c", FORKING, str(tmp_path / "child"), hearing]).start()
    child = child_in(tmp_path / "child")
    assert list(below(process.pid)) == [child]
    end(process, grace_s=0.3)
    assert process.returncode is not None
    assert start_of(child) == ""


def test_what_has_a_session_of_its_own_outlives_the_program_that_started_it(tmp_path: Path) -> None:
    process = Command([sys.executable, "-c", FORKING, str(tmp_path / "child"), "hears"], outlives=True).start()
    child = child_in(tmp_path / "child")
    born = start_of(child)
    end(process)
    assert start_of(child) == born
    end_all({child: born})


@pytest.fixture
def writer_and_reader(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    (tmp_path / "set" / "part").mkdir(parents=True)
    file = tmp_path / "set" / "part" / "data"
    file.write_bytes(b"x")
    started = []
    for mode in ("ab", "rb"):
        code = f"import sys, time; s = open(sys.argv[1], {mode!r}); print('open', flush=True); time.sleep(60)"
        process = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"open\n"
        started.append(process)
    yield started[0], started[1]
    for process in started:
        process.kill()
        process.communicate()


def test_only_who_writes_below_the_folder_is_found_also_when_the_file_was_removed(
    tmp_path: Path, writer_and_reader: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]
) -> None:
    writer, reader = writer_and_reader
    with (tmp_path / "set" / "mine").open("w"), (tmp_path / "set2").open("w"):
        assert list(writers_below(str(tmp_path / "set"))) == [writer.pid], "not the reader, and not ourselves"
    (tmp_path / "set" / "part" / "data").unlink()
    found = writers_below(str(tmp_path / "set"))
    assert list(found) == [writer.pid]
    end_all(found)
    assert writer.wait(5) < 0
    assert reader.poll() is None


def test_a_process_that_has_got_the_id_of_one_that_ended_is_left_alone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        end_all({process.pid: "1", os.getpid(): ""}, grace_s=0.1)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
