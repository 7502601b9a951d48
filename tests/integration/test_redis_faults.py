# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 in the middle of a backup or a restore of a Redis server, and disks that become full: old data or new, never none."""

from __future__ import annotations

import shutil
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.errors import CommandFailed, NoSpace
from ansible_collections.sre.runbooks.plugins.module_utils.redis.backup import BackupRequest, back_up
from ansible_collections.sre.runbooks.plugins.module_utils.redis.discovery import Wishes
from ansible_collections.sre.runbooks.plugins.module_utils.redis.replaced import prune
from ansible_collections.sre.runbooks.plugins.module_utils.redis.restore import RestoreRequest, restore
from integration.faults import FEWER, Operation, Series, Victim, own_process, own_session, programs
from integration.redis_server import RedisServer, running_redis
from integration.test_disk_full import Filler, free, small_disk
from tools.waiting import wait_until

pytestmark = pytest.mark.slow
KEYS = 40_000


class TwoStates:
    """A server whose data is as in one of two sets, so that restoring the other is always the repair of a damage."""

    def __init__(self, redis: RedisServer, folder: str) -> None:
        self.redis = redis
        self._sets: list[BackupSet] = []
        self._contents: list[str] = []
        for keys, prefix in ((KEYS, "cache:"), (KEYS // 2, "other:")):
            redis.empty()
            redis.fill(keys, prefix)
            self._sets.append(read_set(back_up(BackupRequest(redis.server, "cache", folder))["backup_set"]["folder"]))
            self._contents.append(redis.content())
        self._now = 1

    @property
    def damaged(self) -> str:
        """What the server holds before the restore."""
        return self._contents[self._now]

    @property
    def restored(self) -> str:
        """What it holds afterwards."""
        return self._contents[1 - self._now]

    @property
    def set(self) -> BackupSet:
        """The set to restore."""
        return self._sets[1 - self._now]

    def order(self) -> dict[str, object]:
        """The restore, for a process of its own."""
        return self.redis.order("restore", set_folder=self.set.folder)

    def turn(self) -> None:
        """The restored state is the damaged one of the next round; what was replaced is removed."""
        self._now = 1 - self._now
        prune(self.redis.server, Wishes(), 0)


@pytest.fixture(scope="module", params=["saves", "append_only_files"])
def states(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoStates]:
    settings = {"save": "3600 1"} if request.param == "saves" else {"appendonly": "yes"}
    with running_redis(**t.cast(t.Any, settings)) as redis:
        yield TwoStates(redis, str(tmp_path_factory.mktemp("sets")))


def the_server(redis: RedisServer) -> Victim:
    """The live server; not those that a restore tries the set in."""

    def find(operation: Operation) -> list[int]:
        return [pid for pid in redis.processes() if _is_live(pid, redis)] if operation.runs else []

    return find


def the_trial(redis: RedisServer) -> Victim:
    """The servers that a restore tries the set in; not the live one, which it starts again and which is its descendant at first."""
    servers = programs("valkey-server")
    return lambda operation: [pid for pid in servers(operation) if not _is_live(pid, redis)]


def _is_live(pid: int, redis: RedisServer) -> bool:
    """Whether that process is the live server, whose title is its address, and its command line before that."""
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return f":{redis.port}".encode() in title or str(redis.configuration).encode() in title


VICTIMS: dict[str, Callable[[RedisServer], Victim]] = {
    "the operation": lambda redis: own_process,
    "the server that tries the set": the_trial,
    "what exchanges the files": lambda redis: own_session,
    "the live server": the_server,
}


@pytest.mark.parametrize("what", VICTIMS)
def test_a_restore_that_is_killed_leaves_the_old_data_or_the_new_and_the_next_one_completes_or_cleans_up(
    what: str, states: TwoStates, tell: Callable[[str], None]
) -> None:
    redis = states.redis
    name = f"{what} in a restore of Redis with {'append-only files' if 'appendonly' in redis.configuration.read_text() else 'saves'}"
    series = Series(name, VICTIMS[what](redis), FEWER if what == "the operation" else max(FEWER // 2, 1))
    moments = series.moments(Operation(states.order()))
    states.turn()
    exchanged = 0
    for moment in moments:
        with series.round():
            operation = Operation(states.order())
            outcome, told = series.strike(operation, moment)
            wait_until("the process that exchanges the files has ended", operation.has_ended, 30)
            if not redis.serves() and what == "what exchanges the files":
                # The next run knows from the journal how the server was started.
                restore(RestoreRequest(redis.server, states.set, Wishes(data_folder=str(redis.data))))
            elif not redis.serves():
                assert what == "the live server", "the server is gone"
                redis.start()
            live = redis.content()
            assert live == states.restored if outcome == "completed" else live in (states.damaged, states.restored), told
            exchanged += live == states.restored
            restore(RestoreRequest(redis.server, states.set, Wishes(log_file=str(redis.folder / "server.log"))))
            assert redis.content() == states.restored
            assert not [path for pattern in ("restoring_*", ".exchange*") for path in redis.data.glob(pattern)]
            states.turn()
    series.conclude(tell, f"; after {exchanged} of them the server had the new data")


@pytest.mark.parametrize("method", ["rdb", "stream"])
@pytest.mark.parametrize("what", ["the operation", "the live server"])
def test_a_backup_that_is_killed_leaves_no_set_or_a_whole_one(what: str, method: str, tmp_path: Path, tell: Callable[[str], None]) -> None:
    with running_redis(save="3600 1", rdb_key_save_delay="-20") as redis:
        redis.fill(KEYS)
        with redis.client() as client:
            client.call("SAVE")
        before = redis.content()
        wanted = redis.order("backup", backup_folder=str(tmp_path), method=method)
        series = Series(f"{what} in a backup of Redis by {method}", VICTIMS[what](redis), max(FEWER // 2, 1))
        for moment in series.moments(Operation(wanted)):
            with series.round():
                known = {one.id for one in list_sets(str(tmp_path))}
                outcome, told = series.strike(Operation(wanted), moment)
                if not redis.serves():
                    assert what == "the live server"
                    redis.stop()
                    redis.start()
                new = [one for one in list_sets(str(tmp_path)) if one.id not in known]
                assert len(new) == 1 if outcome == "completed" else len(new) <= 1, told
                for one in new:
                    one.require_whole()
                assert outcome != "failed" or "server" in told["message"], told
                assert redis.content() == before
        back_up(BackupRequest(redis.server, "cache", str(tmp_path), method))
        assert not list(tmp_path.glob(".*.partial"))
        series.conclude(tell)


@pytest.mark.needs_root
@pytest.mark.parametrize("method", ["rdb", "stream"])
def test_a_disk_that_becomes_full_in_the_middle_of_a_backup_is_named_and_nothing_is_left(method: str) -> None:
    with running_redis() as redis, small_disk(200) as disk:
        redis.fill(KEYS, size=1000)
        before, room = redis.content(), free(disk)
        wanted = redis.order("backup", backup_folder=str(disk), method=method)
        with Filler(disk, lambda: any(map(has_content, disk.glob(".*.partial/*"))), holding=("redis_operation.py",)) as filler:
            outcome, told = Operation(wanted).finish()
            assert filler.filled
        assert (outcome, told.get("kind")) == ("failed", "NoSpace"), told
        assert str(disk) in told["message"]
        assert list(disk.iterdir()) == [] and free(disk) == room
        assert redis.content() == before


@pytest.mark.needs_root
def test_a_servers_disk_that_becomes_full_in_the_middle_of_a_restore_leaves_the_live_data_serving(tmp_path: Path) -> None:
    with running_redis() as redis:
        redis.fill(KEYS, size=1000)
        one = read_set(back_up(BackupRequest(redis.server, "cache", str(tmp_path)))["backup_set"]["folder"])
        restored = redis.content()
    with small_disk(300) as disk, running_redis(data=disk) as small:
        small.fill(100)
        before, pid = small.content(), small.pid()
        with Filler(disk, lambda: any(map(has_content, disk.glob("restoring_*/*"))), holding=("redis_operation.py",)) as filler:
            outcome, told = Operation(small.order("restore", set_folder=one.folder)).finish()
            assert filler.filled
        assert (outcome, told.get("kind")) == ("failed", "NoSpace"), told
        assert (small.content(), small.pid()) == (before, pid)
        assert not list(disk.glob("restoring_*"))
        restore(RestoreRequest(small.server, one))
        assert small.content() == restored


def has_content(path: Path) -> bool:
    """Whether there is something in a file, which may just be going."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


@pytest.mark.needs_root
def test_a_full_disk_is_told_in_one_message_and_the_live_data_stays(tmp_path: Path) -> None:
    with running_redis() as redis:
        redis.fill(KEYS, size=1000)
        one = read_set(back_up(BackupRequest(redis.server, "cache", str(tmp_path)))["backup_set"]["folder"])
        with small_disk(100) as disk, pytest.raises(NoSpace, match=r"too little room|almost full"):
            back_up(BackupRequest(redis.server, "cache", str(disk)))
        with small_disk(75) as disk, running_redis(data=disk) as small:
            small.fill(100)
            before, pid = small.content(), small.pid()
            with pytest.raises(NoSpace, match="too little room"):
                restore(RestoreRequest(small.server, one))
            assert (small.content(), small.pid()) == (before, pid)
            assert not list(disk.glob("restoring_*"))
        with small_disk(20) as disk, running_redis(data=disk) as small:
            small.fill(KEYS // 2, size=2000)
            before = small.content()
            with pytest.raises(CommandFailed, match="could not save its data"):
                back_up(BackupRequest(small.server, "cache", str(tmp_path / "other")))
            assert not list((tmp_path / "other").glob("*"))
            assert small.content() == before
    shutil.rmtree(tmp_path)


def slow_writer(redis: RedisServer, folder: Path) -> str:
    """A folder with the server's programs, of which the server takes a moment for each key that it writes."""
    folder.mkdir()
    (folder / "redis-check-rdb").symlink_to(redis.program)
    (folder / "redis-server").write_text(f'#!/bin/sh\nexec "{redis.program}" "$@" --rdb-key-save-delay 10\n')
    (folder / "redis-server").chmod(0o755)
    return str(folder)


@pytest.mark.needs_root
def test_a_disk_that_becomes_full_while_append_only_files_are_made_is_told_at_once_and_the_live_data_stays(tmp_path: Path) -> None:
    with running_redis() as redis:
        redis.fill(KEYS // 2, size=1000)
        one = read_set(back_up(BackupRequest(redis.server, "cache", str(tmp_path)))["backup_set"]["folder"])
        restored = redis.content()
    with small_disk(250) as disk, running_redis(data=disk, appendonly="yes") as small:
        small.fill(100)
        before, pid = small.content(), small.pid()
        slow = replace(small.server, place=Place(tool_folder=slow_writer(small, tmp_path / "slow")))
        with Filler(disk, lambda: any(disk.glob("restoring_*/temp-rewriteaof*"))) as filler:
            with pytest.raises(NoSpace, match="disk"):
                restore(RestoreRequest(slow, one, Wishes(timeout_s=20)))
            assert filler.filled
        assert (small.content(), small.pid()) == (before, pid)
        assert not list(disk.glob("restoring_*"))
        restore(RestoreRequest(small.server, one))
        assert small.content() == restored
    shutil.rmtree(tmp_path)
