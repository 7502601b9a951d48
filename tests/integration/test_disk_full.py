# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that is full before, or becomes full in the middle of, a backup or a restore: small file systems in memory, filled for real."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import typing as t
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.plugins.module_utils.errors import NoSpace, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.files import RESERVE_BYTES
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.backup import back_up
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.base_backup import back_up_physically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore import RestoreRequest, restore_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import FolderRequest, restore_folder
from integration.faults import Operation, load_logged_reference, naming, order, serves
from integration.postgresql_server import PostgresqlServer, running_server
from tools.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.needs_root]
MEGABYTES = 40


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of so many megabytes, mounted while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-test-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        if subprocess.run(["umount", str(folder)], check=False).returncode != 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


class Filler:
    """Takes the room on a disk, and keeps it, as soon as something has happened: once but for `leave` bytes, or again and again all of it.

    The processes that name all of `holding` are held up meanwhile, so that they cannot be done before.

    Attributes:
        filled: Whether it came to that; what has begun is waited for.
    """

    def __init__(self, disk: Path, when: Callable[[], bool], leave: int = 0, holding: tuple[str, ...] = ()) -> None:
        self._path, self._when, self._leave, self._holding = disk / "filler", when, leave, holding
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._begun, self._full = threading.Event(), threading.Event()

    def __enter__(self) -> Filler:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    @property
    def filled(self) -> bool:
        # What ran against an almost full disk may have ended a moment before the last byte of it was taken.
        return self._begun.is_set() and self._full.wait(10)

    def _work(self) -> None:
        while not self._when():
            if self._done.wait(0.002):
                return
        self._begun.set()
        held = naming(*self._holding) if self._holding else {}
        for pid in held:
            os.kill(pid, signal.SIGSTOP)
        try:
            self._fill(list(held))
        finally:
            release(held)

    def _fill(self, held: list[int]) -> None:
        with self._path.open("wb", buffering=0) as stream:
            while not self._done.wait(0.001):
                while (room := free(self._path.parent) - self._leave) > 0 and not self._done.is_set():
                    # Somebody may take a part of it meanwhile: then half of it, and the rest in the next round.
                    for part in (room, max(room // 2, 1)):
                        with contextlib.suppress(OSError):
                            os.posix_fallocate(stream.fileno(), os.fstat(stream.fileno()).st_size, part)
                            break
                self._full.set()
                release(held)
                if self._leave:
                    return


def release(pids: Iterable[int]) -> None:
    """Let processes that were stopped go on."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def free(disk: Path) -> int:
    """Free bytes."""
    return shutil.disk_usage(disk).free


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server whose data lies on a large disk."""
    with running_server() as one:
        one.load_reference("reference", MEGABYTES)
        yield one


@pytest.mark.parametrize("method", ["logical", "physical"])
def test_a_disk_that_becomes_full_in_the_middle_of_a_backup_is_told_in_one_message_and_nothing_is_left(
    method: str, server: PostgresqlServer, tmp_path: Path
) -> None:
    part = "dump" if method == "logical" else "base"
    with small_disk(160) as disk:
        before = free(disk)
        wanted = order(server, "backup", database="reference", backup_folder=str(disk), method=method)
        holding = ("pg_dump" if method == "logical" else "pg_basebackup", str(disk))
        with Filler(disk, lambda: any(path.stat().st_size for path in disk.glob(f".*.partial/{part}/*")), holding=holding) as filler:
            outcome, told = Operation(wanted).finish()
            assert filler.filled
            assert (outcome, told.get("kind")) == ("failed", "NoSpace"), told
            assert told["message"].startswith("The disk ")
            assert [path.name for path in disk.iterdir()] == ["filler"]
        assert free(disk) == before, "nothing that pg_basebackup has started holds a file open"
    back_up(BackupRequest(server.connection, "reference", "reference", str(tmp_path)), method)
    assert [one.problems() for one in list_sets(str(tmp_path))] == [[]]


@pytest.mark.parametrize("method", ["logical", "physical"])
def test_a_backup_for_which_there_is_too_little_room_is_refused_before_it_begins(method: str, server: PostgresqlServer) -> None:
    with small_disk(16) as disk:
        with pytest.raises(NoSpace, match="There is too little room"):
            back_up(BackupRequest(server.connection, "reference", "reference", str(disk)), method)
        assert list(disk.iterdir()) == []


class OnSmallDisk:
    """A server on a small disk, its database, and a set of it that is kept elsewhere."""

    def __init__(self, disk: Path, server: PostgresqlServer, folder: Path) -> None:
        self.disk, self.server = disk, server
        load_logged_reference(server, "reference", MEGABYTES)
        request = BackupRequest(server.connection, "reference", "reference", str(folder))
        self.logical: BackupSet = back_up_logically(request)
        self.physical: BackupSet = back_up_physically(request)
        self.backed_up = server.content("reference")
        server.sql("TRUNCATE response_history", "reference")
        self.live = server.content("reference")

    def has_the_live_database_and_can_restore_it(self) -> None:
        """Now that there is room again: the server comes back, by itself or started anew; nothing is lost."""
        server = self.server
        wait_until("the server has given up or come back by itself", lambda: server.is_gone() or serves(server), 30)
        if server.is_gone():
            server.restart_after_kill()
        assert server.content("reference") == self.live
        restore_logically(RestoreRequest(server.connection, "reference", self.logical, analyze=False))
        assert server.content("reference") == self.backed_up
        assert not [name for name in server.names() if "_restoring_" in name]

    def take(self, left_bytes: int) -> Path:
        """Take all room but so many bytes."""
        path = self.disk / "taken"
        with path.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, free(self.disk) - left_bytes)
        return path


@pytest.fixture
def small(tmp_path: Path) -> Iterator[OnSmallDisk]:
    """The log has a disk of its own, as on servers that are well kept."""
    elsewhere = Path(tempfile.mkdtemp(prefix="sre-runbooks-test-wal-"))
    elsewhere.chmod(0o755)
    try:
        with small_disk(600) as disk, running_server(parent=str(disk), log_folder=elsewhere / "wal") as server:
            one = OnSmallDisk(disk, server, tmp_path)
            one.take(200_000_000)  # what is left to be filled is filled at once
            yield one
    finally:
        shutil.rmtree(elsewhere)


def new_database(server: PostgresqlServer, at_bytes: int = 0) -> Callable[[], bool]:
    """Whether a database has come into being, and has so many bytes."""
    base = server.data / "base"
    known = {path.name for path in base.iterdir()}
    return lambda: any(path.name not in known and bytes_in(path) >= at_bytes for path in base.iterdir())


@pytest.mark.parametrize(
    ("at_bytes", "left_bytes"),
    [(0, 2_000_000), (8_000_000, 2_000_000), (8_000_000, 40_000_000)],
    ids=["while the database is created", "while it is loaded", "but for the reserve"],
)
def test_a_servers_disk_that_becomes_full_in_the_middle_of_a_restore_leaves_the_live_database_serving(
    at_bytes: int, left_bytes: int, small: OnSmallDisk
) -> None:
    server = small.server
    wanted = order(server, "restore", database="reference", set_folder=small.logical.folder)
    log, before = server.folder / "server.log", (server.folder / "server.log").stat().st_size
    with Filler(small.disk, new_database(server, at_bytes), left_bytes, ("pg_restore", small.logical.folder)) as filler:
        outcome, told = Operation(wanted).finish()
        assert filler.filled
        assert (outcome, told.get("kind")) == ("failed", "NoSpace"), told
        assert told["message"].startswith("The disk ")
        assert server.content("reference") == small.live
        left = [name for name in server.names() if name.startswith("reference_")]
        assert not left or left_bytes < RESERVE_BYTES // 10, "what cannot be dropped without a checkpoint stays until there is room"
    said = log.read_text()[before:]
    assert "PANIC" not in said, "the clean-up itself must not stop the server"
    assert "No space left" not in said or left_bytes < RESERVE_BYTES // 10, "the load was stopped before the server felt it"
    restore_logically(RestoreRequest(server.connection, "reference", small.logical, analyze=False))
    assert server.content("reference") == small.backed_up
    assert not [name for name in server.names() if "_restoring_" in name]


def test_a_server_that_cannot_even_start_for_want_of_room_has_its_live_database_unchanged_when_there_is_room_again(
    small: OnSmallDisk,
) -> None:
    server = small.server
    wanted = order(server, "restore", database="reference", set_folder=small.logical.folder)
    with Filler(small.disk, new_database(server)) as filler:
        outcome, told = Operation(wanted).finish()
        assert filler.filled
        assert outcome == "failed", told
    small.has_the_live_database_and_can_restore_it()


def bytes_in(folder: Path) -> int:
    """Bytes of the files in a folder, some of which may go meanwhile."""
    total = 0
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def test_a_disk_that_becomes_full_in_the_middle_of_a_physical_restore_leaves_the_live_server_serving(small: OnSmallDisk) -> None:
    server, before = small.server, free(small.disk)
    wanted = order(server, "restore", set_folder=small.physical.folder)
    unpacking = ("tar --extract", str(server.folder))
    with Filler(small.disk, lambda: any(server.folder.glob("data_restoring_*/base/*")), holding=unpacking) as filler:
        outcome, told = Operation(wanted).finish()
        assert filler.filled
        assert (outcome, told.get("kind")) == ("failed", "NoSpace"), told
        assert server.content("reference") == small.live
        assert not list(server.folder.glob("data_restoring_*"))
    assert abs(free(small.disk) - before) < 1_000_000
    restore_folder(FolderRequest(server.service, small.physical))
    assert server.content("reference") == small.backed_up


@pytest.mark.parametrize("method", ["logical", "physical"])
def test_a_restore_for_which_there_is_too_little_room_is_refused_before_it_begins(method: str, small: OnSmallDisk) -> None:
    server = small.server
    taken, names = small.take(10_000_000), server.names()
    restores: dict[str, Callable[[], object]] = {
        "logical": lambda: restore_logically(RestoreRequest(server.connection, "reference", small.logical)),
        "physical": lambda: restore_folder(FolderRequest(server.service, small.physical)),
    }
    with pytest.raises(NoSpace, match="There is too little room"):
        restores[method]()
    assert server.names() == names
    assert server.content("reference") == small.live
    assert not list(server.folder.glob("data_restoring_*"))
    taken.unlink()


def test_a_server_whose_log_lies_on_the_full_disk_has_its_live_database_unchanged_when_there_is_room_again(tmp_path: Path) -> None:
    with small_disk(700) as disk, running_server(parent=str(disk)) as server:
        small = OnSmallDisk(disk, server, tmp_path)
        wanted: dict[str, t.Any] = order(server, "restore", database="reference", set_folder=small.logical.folder)
        with Filler(disk, new_database(server)) as filler:
            outcome, told = Operation(wanted).finish()
            assert filler.filled
            assert outcome == "failed", told
            write_log = "SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1000000))) FROM generate_series(1, 200)"
            with pytest.raises(RunbookError, match=r"server closed the connection|Connection refused|No space left|database system is"):
                server.sql(write_log)
        small.has_the_live_database_and_can_restore_it()
