# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files are there whole or not at all, whoever is killed and however full the disk is."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import NoSpace, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.files import (
    exchange,
    free_bytes,
    locked,
    no_space_or,
    require_folder_writable,
    require_space,
    tree_bytes,
    write_atomically,
    write_json,
)

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_content_and_mode_are_as_asked_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_atomically(str(path), b"1")
    write_json(str(path), {"b": "é", "a": 1}, 0o640)
    assert path.read_text() == '{\n  "a": 1,\n  "b": "é"\n}\n'
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("step", ["fsync", "rename", "chmod"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_whatever_step_fails_the_old_content_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError if code == errno.EIO else NoSpace):
        write_atomically(str(path), b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_write_that_the_kernel_cuts_short_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[0][1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(str(path), b"n" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_reader_never_sees_half_of_it_even_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    code = (
        "import sys\n"
        "from ansible_collections.sre.runbooks.plugins.module_utils.files import write_atomically\n"
        "while True:\n"
        "    for letter in b'ab':\n"
        "        write_atomically(sys.argv[1], bytes([letter]) * 300_000)\n"
    )
    for _attempt in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], env=ENVIRONMENT)
        try:
            deadline = time.monotonic() + 10
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            for _look in range(40):
                content = path.read_bytes()
                assert len(content) == 300_000 and len(set(content)) == 1
        finally:
            process.kill()
            process.wait()
        content = path.read_bytes()
        assert len(content) == 300_000 and len(set(content)) == 1


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".x.{os.getpid()}.partial").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        write_atomically(str(tmp_path / "x"), b"new")
    assert victim.read_text() == "mine"


@given(st.sampled_from([*errno.errorcode]))
def test_only_a_full_disk_is_called_full(code: int) -> None:
    error = OSError(code, os.strerror(code))
    full = code in (errno.ENOSPC, errno.EDQUOT)
    assert isinstance(no_space_or(error, "/x"), NoSpace) == full
    assert full or no_space_or(error, "/x") is error


def test_two_folders_change_places_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "live" / "old").touch()
    exchange(str(tmp_path / "live"), str(tmp_path / "new"))
    assert os.listdir(tmp_path / "new") == ["old"]
    with pytest.raises(RunbookError, match="No such file"):
        exchange(str(tmp_path / "live"), str(tmp_path / "absent"))
    assert sorted(os.listdir(tmp_path)) == ["live", "new"]


def test_a_lock_is_held_by_one_and_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    code = (
        "import sys, time\n"
        "from ansible_collections.sre.runbooks.plugins.module_utils.files import locked\n"
        "with locked(sys.argv[1]) as free:\n"
        "    print(free, flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with locked(str(path)) as free:
            assert not free
        began = time.monotonic()
        with locked(str(path), wait_s=0.2) as free:
            assert not free
        assert time.monotonic() - began >= 0.2
    finally:
        process.kill()
        process.wait()
    with locked(str(path)) as free:
        assert free


def test_room_is_measured_where_the_files_will_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"x" * 5)
    (tmp_path / "sub" / "link").symlink_to("/etc/passwd")
    assert tree_bytes(str(tmp_path)) == 15
    assert free_bytes(str(tmp_path / "not" / "there")) == pytest.approx(free_bytes(str(tmp_path)), rel=0.1)
    require_space(str(tmp_path / "not" / "there"), 1)
    with pytest.raises(
        NoSpace, match=r"There is too little room \(.*not/there\): about 1000000000064 MB are needed, of which 64 MB stay free"
    ):
        require_space(str(tmp_path / "not" / "there"), 10**18)
    require_folder_writable(str(tmp_path / "not" / "there"))
    with pytest.raises(RunbookError, match="cannot be written to"):
        require_folder_writable(str(tmp_path / "a" / "below"))
