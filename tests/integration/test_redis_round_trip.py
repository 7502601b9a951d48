# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup, rehearsal, restore and undo of a Redis-compatible server: what comes back is what was there, value for value."""

from __future__ import annotations

import os
import shutil
import threading
import time
import typing as t
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set import operations
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.hashing import hash_file
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.errors import (
    BadInput,
    CommandFailed,
    NotTheSame,
    RunbookError,
    SetDamaged,
    ToolMissing,
    Unreachable,
    WrongTarget,
)
from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress
from ansible_collections.sre.runbooks.plugins.module_utils.redis.backup import BackupRequest, back_up, describe
from ansible_collections.sre.runbooks.plugins.module_utils.redis.discovery import Wishes
from ansible_collections.sre.runbooks.plugins.module_utils.redis.rehearsal import rehearse, tool_problems
from ansible_collections.sre.runbooks.plugins.module_utils.redis.replaced import prune, undo
from ansible_collections.sre.runbooks.plugins.module_utils.redis.restore import RestoreRequest, restore
from ansible_collections.sre.runbooks.plugins.module_utils.redis.restore import describe as describe_restore
from ansible_collections.sre.runbooks.plugins.module_utils.redis.snapshot import SavedFile
from integration.playbook_runs import picture
from integration.redis_server import RedisServer, redis6_folder, running_redis
from tools.waiting import wait_until

PERSISTENCE: dict[str, dict[str, str]] = {
    "nothing": {},
    "saves": {"save": "3600 1"},
    "append_only_files": {"appendonly": "yes"},
    "append_only_files_of_other_names": {"appendonly": "yes", "appendfilename": "own.aof", "appenddirname": "owndir"},
}


@pytest.fixture(scope="module", params=[*PERSISTENCE, "redis_6_saves", "redis_6_append_only_files"])
def redis(request: pytest.FixtureRequest, cache: Path) -> Iterator[RedisServer]:
    with running_redis(
        redis6_folder(cache) if request.param.startswith("redis_6_") else "",
        **t.cast(t.Any, PERSISTENCE[request.param.replace("redis_6_", "")]),
    ) as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


def taken(server: RedisServer, folder: Path, method: str = "auto") -> BackupSet:
    """A set of it as it is now."""
    return read_set(back_up(BackupRequest(server.server, "cache", str(folder), method))["backup_set"]["folder"])


@pytest.mark.parametrize("method", ["rdb", "stream"])
def test_what_is_restored_is_what_was_backed_up_and_an_undo_brings_back_what_was_there(
    method: str, redis: RedisServer, tmp_path: Path
) -> None:
    redis.empty()
    redis.fill()
    redis.fill(50, database=3)
    before = redis.content()
    one = taken(redis, tmp_path, method)
    assert one.manifest["taken_by"] == method
    assert one.manifest["content"]["exact"]
    assert one.manifest["content"]["databases"]["3"]["keys"] == {"from": 66, "to": 66}
    redis.empty()
    damaged = redis.content()
    result = restore(RestoreRequest(redis.server, one))
    assert result["comparison"]["same"]
    assert result["comparison"]["compared"]["keys"] == 2016 + 66 + 1
    assert redis.content() == before
    assert Path(result["kept_as"]).is_dir()
    undone = undo(redis.server, Wishes())
    assert redis.content() == damaged
    assert prune(redis.server, Wishes(), 0)["dropped"] == [undone["kept_as"]]
    assert not prune(redis.server, Wishes(), 0)["changed"]


def test_the_restored_data_outlives_the_next_restart_of_the_server(redis: RedisServer, tmp_path: Path) -> None:
    redis.empty()
    redis.fill(100)
    before, one = redis.content(), taken(redis, tmp_path)
    redis.empty()
    restore(RestoreRequest(redis.server, one))
    redis.stop()
    redis.start()
    assert redis.content() == before


def test_a_server_that_does_not_run_and_has_lost_its_data_is_restored(redis: RedisServer, tmp_path: Path) -> None:
    redis.empty()
    redis.fill(100)
    before, one = redis.content(), taken(redis, tmp_path)
    redis.stop()
    for entry in redis.data.iterdir():
        entry.rename(tmp_path / entry.name)
    start = ["sh", "-c", f'"{redis.program}" "{redis.configuration}" --daemonize yes >/dev/null']
    wishes = Wishes(data_folder=str(redis.data), start_command=start)
    names = redis.configuration.read_text()
    if "appendfilename" in names:
        with pytest.raises((NotTheSame, CommandFailed)):  # nothing says that its files have other names, so it loads nothing: that is seen
            restore(RestoreRequest(redis.server, one, wishes))
        redis.stop()
        redis.start()
        restore(RestoreRequest(redis.server, one))  # one that runs tells their names
    else:
        restore(RestoreRequest(redis.server, one, wishes))
    assert redis.content() == before


def test_keys_that_have_expired_since_are_no_difference(plain: RedisServer, tmp_path: Path) -> None:
    plain.empty()
    with plain.client() as client:
        client.call("SET", "soon gone", "x", "PX", 300)
        client.call("SET", "stays", "x")
    one = taken(plain, tmp_path)
    assert one.manifest["content"]["databases"]["0"] == {"keys": {"from": 3, "to": 3}, "expires": {"from": 1, "to": 1}}
    time.sleep(0.4)
    assert rehearse(one, plain.server.place)["comparison"]["same"]
    assert restore(RestoreRequest(plain.server, one))["comparison"]["same"]
    assert plain.keyspace() == {"0": {"keys": 2, "expires": 0}}


def test_a_set_all_of_whose_keys_have_expired_since_is_restored_whatever_the_server_begins_with(redis: RedisServer, tmp_path: Path) -> None:
    with redis.client() as client:
        client.call("FLUSHALL")
        client.pipeline([("SET", f"session:{number}", "x", "PX", 500) for number in range(5000)])
    one = taken(redis, tmp_path)
    assert one.manifest["content"]["databases"]["0"]["keys"]["to"] == 5000
    time.sleep(0.5)
    redis.empty()
    assert restore(RestoreRequest(redis.server, one))["comparison"]["same"]
    assert redis.keyspace().get("0", {"keys": 0})["keys"] < 5000


def test_a_backup_while_others_write_is_consistent_and_says_how_exact_it_is(plain: RedisServer, tmp_path: Path) -> None:
    plain.empty()
    plain.fill(3000)
    stop = threading.Event()

    def write() -> None:
        with plain.client() as client:
            number = 0
            while not stop.is_set():
                client.pipeline([("SET", f"new:{number}", "x"), ("INCR", "counter")])
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        sets = [taken(plain, tmp_path, method) for method in ("rdb", "stream", "rdb", "stream")]
    finally:
        stop.set()
        writer.join()
    for one in sets:
        assert rehearse(one, plain.server.place)["comparison"]["same"]
        assert one.state == "proven"


def test_the_file_is_read_while_the_server_writes_it_whatever_killed_saves_have_left_there(plain: RedisServer) -> None:
    plain.empty()
    plain.fill(3000)
    (plain.data / "temp-1.rdb").write_bytes(b"REDIS0011 left by a save that was killed")
    with plain.client() as client:
        client.call("CONFIG", "SET", "rdb-key-save-delay", 300)  # microseconds a key
        try:
            with SavedFile(client, str(plain.data / "dump.rdb"), 60, Progress("saving")) as source:
                read = [source.read()]
                assert client.info("persistence")["rdb_bgsave_in_progress"] == 1
                client.call("CONFIG", "SET", "rdb-key-save-delay", 0)
                read += iter(source.read, b"")
        finally:
            client.call("CONFIG", "SET", "rdb-key-save-delay", 0)
            (plain.data / "temp-1.rdb").unlink()
    assert len(read) > 1
    assert b"".join(read) == (plain.data / "dump.rdb").read_bytes()


def test_a_file_that_another_save_has_replaced_while_it_was_read_is_no_backup(plain: RedisServer) -> None:
    plain.empty()
    plain.fill(100)
    file = plain.data / "dump.rdb"
    with plain.client() as client, SavedFile(client, str(file), 60, Progress("saving")) as source:
        read = [source.read()]
        wait_until("the save has ended", lambda: not client.info("persistence")["rdb_bgsave_in_progress"], 20)
        shutil.copy(file, plain.data / "other")
        os.replace(plain.data / "other", file)
        with pytest.raises(RunbookError, match="another one than was read"):
            read += iter(source.read, b"")


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(plain: RedisServer, tmp_path: Path) -> None:
    plain.empty()
    one = taken(plain, tmp_path / "sets")
    (plain.data / "before_20200101T000000Z").mkdir(exist_ok=True)
    (plain.data / ".restore.lock").unlink(missing_ok=True)
    before, content = picture(plain.data, tmp_path), plain.content()
    assert "let the server save" in describe(BackupRequest(plain.server, "cache", str(tmp_path / "sets")))["plan"][-1]
    assert "stop the server" in describe_restore(RestoreRequest(plain.server, one))["plan"][-1]
    assert prune(plain.server, Wishes(), 0, dry_run=True)["changed"]
    assert (picture(plain.data, tmp_path), plain.content()) == (before, content)
    assert not (plain.data / ".restore.lock").exists()


@pytest.mark.parametrize("damage", ["flipped byte", "cut", "flipped byte that the manifest does not know"])
def test_a_damaged_set_is_refused_before_the_live_server_is_touched(damage: str, plain: RedisServer, tmp_path: Path) -> None:
    plain.empty()
    plain.fill(500)
    one = taken(plain, tmp_path)
    path = Path(one.path("dump.rdb"))
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if damage.endswith("know"):
        one.manifest["files"][0]["sha256"] = hash_file(str(path))[0]
        assert tool_problems(one, plain.tools)
    before, pid = plain.content(), plain.pid()
    with pytest.raises(SetDamaged):
        restore(RestoreRequest(plain.server, one))
    assert (plain.content(), plain.pid()) == (before, pid)
    assert not list(plain.data.glob("restoring_*"))
    with pytest.raises(SetDamaged):
        rehearse(one, plain.server.place)
    assert one.state == "failed"


def test_programs_that_are_older_than_a_set_or_missing_say_nothing_about_it(plain: RedisServer, tmp_path: Path, cache: Path) -> None:
    one = taken(plain, tmp_path)
    version = one.manifest["rdb"]["version"]
    for tools, why in ((redis6_folder(cache), f"cannot read RDB files of version {version}"), (str(tmp_path), "is missing")):
        verified = operations.verify(one, tool_check=partial(tool_problems, tool_folder=tools))["backup_set"]
        assert verified["state"] == "verified"
        assert "no tool of the store has looked at it" in verified["proofs"][-1]["detail"]
        with pytest.raises(ToolMissing, match=why):
            rehearse(one, Place(tool_folder=tools))
        assert one.state == "verified"
    # A checker of the set's version beside a server that is older.
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed/redis-server").symlink_to(f"{redis6_folder(cache)}/redis-server")
    (tmp_path / "mixed/redis-check-rdb").symlink_to(plain.program)
    with pytest.raises(ToolMissing, match=f"redis-server cannot read RDB files of version {version}"):
        rehearse(one, Place(tool_folder=str(tmp_path / "mixed")))
    assert one.state == "verified"


def test_a_server_that_is_killed_while_it_loads_a_set_says_nothing_about_the_set(plain: RedisServer, tmp_path: Path) -> None:
    one = taken(plain, tmp_path / "sets")
    (tmp_path / "redis-check-rdb").symlink_to(plain.program)
    killed = tmp_path / "redis-server"
    killed.write_text(
        f'#!/bin/bash\n"{plain.program}" - --key-load-delay 100000 <&0 > >(tee "{tmp_path}/log") 2>&1 &\n'
        f'until grep -q "RDB produced by" "{tmp_path}/log"; do sleep 0.01; done\nkill -9 $! $$\n'
    )
    killed.chmod(0o755)
    with pytest.raises(CommandFailed, match="the set may be in order"):
        rehearse(one, Place(tool_folder=str(tmp_path)))
    assert one.state == "written"


def test_a_set_with_other_keys_than_its_manifest_says_is_not_restored(plain: RedisServer, tmp_path: Path) -> None:
    plain.empty()
    plain.fill(100)
    one = taken(plain, tmp_path)
    one.manifest["content"]["databases"]["0"]["keys"] = {"from": 500, "to": 500}
    pid = plain.pid()
    with pytest.raises(NotTheSame, match=r"11[67] keys instead of 500"):
        restore(RestoreRequest(plain.server, one))
    assert plain.pid() == pid
    with pytest.raises(NotTheSame):
        rehearse(one, plain.server.place)
    assert one.state == "failed"


def test_a_server_that_does_not_start_on_the_restored_files_gets_its_former_ones_back(plain: RedisServer, tmp_path: Path) -> None:
    plain.empty()
    plain.fill(100)
    one = taken(plain, tmp_path)
    plain.empty()
    before = plain.content()
    # It starts only when the file is small: the restored one is not.
    script = f'[ "$(stat -c %s "{plain.data}/dump.rdb")" -lt 1000 ] && "{plain.program}" "{plain.configuration}" --daemonize yes >/dev/null'
    with pytest.raises(Exception, match="failed"):
        restore(RestoreRequest(plain.server, one, Wishes(start_command=["sh", "-c", script])))
    assert plain.content() == before
    assert not list(plain.data.glob(".exchange*"))


def test_a_server_that_was_started_by_its_bare_name_is_started_by_the_programs_path(tmp_path: Path) -> None:
    with running_redis() as redis:
        redis.stop()
        redis.start("valkey-server")
        redis.fill(50)
        before, one = redis.content(), taken(redis, tmp_path)
        redis.empty()
        restore(RestoreRequest(redis.server, one))
        assert redis.content() == before


def test_a_server_that_cannot_be_started_at_all_is_said_not_to_run(tmp_path: Path) -> None:
    with running_redis() as redis:
        redis.fill(50)
        before, one = redis.content(), taken(redis, tmp_path)
        with pytest.raises(RunbookError, match="the server does not run, and has its former files"):
            restore(RestoreRequest(redis.server, one, Wishes(start_command=["false"])))
        assert not redis.serves()
        redis.start()
        assert redis.content() == before


def test_the_wrong_server_password_file_or_role_is_told_in_one_message(plain: RedisServer, tmp_path: Path) -> None:
    one = taken(plain, tmp_path)
    with pytest.raises(Unreachable, match="WRONGPASS") as refused:
        back_up(BackupRequest(replace(plain.server, password="wrong-secret"), "cache", str(tmp_path)))
    assert "wrong-secret" not in refused.value.message
    with pytest.raises(Unreachable, match="cannot be reached"):
        back_up(BackupRequest(replace(plain.server, port=1), "cache", str(tmp_path)))
    old = tmp_path / "old.rdb"
    old.write_bytes(Path(one.path("dump.rdb")).read_bytes())
    time.sleep(2.1)
    with pytest.raises(BadInput, match="not the file that the server has just saved"):
        back_up(BackupRequest(plain.server, "cache", str(tmp_path / "sets"), "rdb", str(old)))
    with pytest.raises(BadInput, match=r"not where it was looked for.*Next: correct rdb_file"):
        back_up(BackupRequest(plain.server, "cache", str(tmp_path / "sets"), "rdb", str(tmp_path / "nowhere.rdb")))
    unreadable = tmp_path / "unreadable.rdb"
    unreadable.symlink_to(unreadable)  # which not even root can read
    with pytest.raises(BadInput, match=r"The saved file cannot be read.*Next: let the account of the run read it, or take the method"):
        back_up(BackupRequest(plain.server, "cache", str(tmp_path / "sets"), "rdb", str(unreadable)))
    assert not list((tmp_path / "sets").glob(".*.partial"))
    with (
        running_redis(replicaof=f"127.0.0.1 {plain.port}", masterauth=plain.password) as replica,
        pytest.raises(WrongTarget, match="replica"),
    ):
        restore(RestoreRequest(replica.server, one))
    with pytest.raises(BadInput, match="pod"):
        restore(RestoreRequest(replace(plain.server, port=1, place=Place(pod="cache-0")), one))


def test_a_server_without_rights_to_save_is_backed_up_as_to_a_replica(plain: RedisServer, tmp_path: Path) -> None:
    with plain.client() as client:
        client.call("ACL", "SETUSER", "backup", "on", ">only-this", "~*", "+@all", "-bgsave", "-config")
    limited = replace(plain.server, user="backup", password="only-this")
    one = read_set(back_up(BackupRequest(limited, "cache", str(tmp_path)))["backup_set"]["folder"])
    assert one.manifest["taken_by"] == "stream"
    with pytest.raises(BadInput, match="does not tell where it is"):
        back_up(BackupRequest(limited, "cache", str(tmp_path), "rdb"))
