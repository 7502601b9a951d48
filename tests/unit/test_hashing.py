# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checksums taken while others write, and compared afterwards."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.checking import check_files, damaged
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.hashing import FollowingHasher, copy_hashed, hash_file, parallel
from ansible_collections.sre.runbooks.plugins.module_utils.errors import NoSpace, RunbookError


def expected(content: bytes) -> dict[str, object]:
    return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_stream_is_written_and_hashed_at_once(tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    seen: list[int] = []
    path = tmp_path / "x"
    assert copy_hashed(io.BytesIO(content), str(path), on_bytes=seen.append) == expected(content)
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert seen[-1] == len(content)
    assert hash_file(str(path)) == (expected(content)["sha256"], len(content))
    with pytest.raises(FileExistsError):
        copy_hashed(io.BytesIO(b""), str(path))
    assert path.read_bytes() == content


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_called_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, mode=0o777: real("/dev/full", os.O_WRONLY))
    with pytest.raises(NoSpace, match="The disk is full"):
        copy_hashed(io.BytesIO(b"x" * 100), str(tmp_path / "x"))


def test_files_are_hashed_while_they_grow_whatever_appears_when(tmp_path: Path) -> None:
    contents = {f"sub{number % 3}/file{number}": os.urandom(200_000 * (number % 4)) for number in range(12)}

    def write(name: str, content: bytes) -> None:
        path = tmp_path / "dump" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as stream:
            for start in range(0, len(content), 40_000):
                stream.write(content[start : start + 40_000])
                time.sleep(0.004)

    with FollowingHasher(str(tmp_path / "dump")) as hasher:
        threads = [threading.Thread(target=write, args=item) for item in contents.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert hasher.finish() == {name: expected(content) for name, content in sorted(contents.items())}
    assert hasher.written_bytes == sum(len(content) for content in contents.values())


def test_a_file_that_gets_its_name_last_and_one_that_is_completed_at_its_front(tmp_path: Path) -> None:
    with FollowingHasher(str(tmp_path), rewritten=["pg_wal.tar"]) as hasher:
        (tmp_path / "backup_manifest.tmp").write_bytes(b"manifest")
        (tmp_path / "pg_wal.tar").write_bytes(b"????rest")
        time.sleep(0.15)
        with (tmp_path / "pg_wal.tar").open("r+b") as stream:
            stream.write(b"head")
        (tmp_path / "backup_manifest.tmp").rename(tmp_path / "backup_manifest")
        assert hasher.finish() == {"backup_manifest": expected(b"manifest"), "pg_wal.tar": expected(b"headrest")}


def test_a_file_that_vanishes_between_being_listed_and_being_opened_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda top: ((folder, folders, ["gone", *names]) for folder, folders, names in walk(top)))
    with FollowingHasher(str(tmp_path)) as hasher:
        (tmp_path / "kept").write_bytes(b"x")
        time.sleep(0.15)
        assert hasher.finish() == {"kept": expected(b"x")}


def test_more_files_are_followed_than_a_process_may_open(tmp_path: Path) -> None:
    """A database has a file for each table in its dump, and may have thousands."""
    for number in range(200):
        (tmp_path / f"{number}.dat").write_bytes(b"x")
    program = f"""
import os, resource, time
from {FollowingHasher.__module__} import FollowingHasher
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20,) * 2)
with FollowingHasher({str(tmp_path)!r}) as hasher:
    time.sleep(0.15)
    print(len(hasher.finish()))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("200\n", "")


def test_a_file_that_shrinks_is_an_error(tmp_path: Path) -> None:
    with FollowingHasher(str(tmp_path)) as hasher:
        (tmp_path / "x").write_bytes(b"x" * 1000)
        time.sleep(0.15)
        os.truncate(tmp_path / "x", 10)
        with pytest.raises(RunbookError, match="changed its size"):
            hasher.finish()


def test_every_kind_of_difference_is_told_by_the_file_s_name(tmp_path: Path) -> None:
    contents = {"same": b"1", "longer": b"2", "other": b"3", "absent": b"4", "folder": b"5", "link": b"6"}
    files = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        files.append({"path": name, **expected(content)})
    assert check_files(str(tmp_path), files) == []
    (tmp_path / "longer").write_bytes(b"22")
    (tmp_path / "other").write_bytes(b"0")
    (tmp_path / "absent").unlink()
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "new").write_bytes(b"")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("same")
    problems = check_files(str(tmp_path), files, jobs=4)
    for start in ("longer has 2 bytes", "other has another content", "absent is missing", "folder ", "link ", "folder/new does not belong"):
        assert len([problem for problem in problems if problem.startswith(start)]) >= 1, (start, problems)
    assert not [problem for problem in problems if problem.startswith("same")]
    message = damaged(str(tmp_path), [f"file {number} is missing" for number in range(9)]).message
    assert "file 4 is missing; and 4 more" in message


@given(st.lists(st.integers(), max_size=30), st.integers(1, 8))
def test_work_in_threads_comes_back_in_order(numbers: list[int], jobs: int) -> None:
    assert parallel([lambda n=number: n * 2 for number in numbers], jobs) == [number * 2 for number in numbers]  # type: ignore[misc]


def test_the_first_error_is_raised_when_all_have_ended() -> None:
    ended: list[int] = []

    def work(number: int) -> None:
        if number == 1:
            raise ValueError("one")
        time.sleep(0.05)
        ended.append(number)

    with pytest.raises(ValueError, match="one"):
        parallel([lambda n=number: work(n) for number in range(2)], 2)  # type: ignore[misc]
    assert ended == [0]
    assert parallel([], 3) == []
