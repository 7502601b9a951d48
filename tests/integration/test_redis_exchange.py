# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that change places under a server, or a program, that replaces its files itself: nobody's data is lost, whoever dies when."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import NotTheSame, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.file_store import swap
from ansible_collections.sre.runbooks.plugins.module_utils.redis.backup import BackupRequest, back_up
from ansible_collections.sre.runbooks.plugins.module_utils.redis.discovery import Wishes, find
from ansible_collections.sre.runbooks.plugins.module_utils.redis.exchange import complete_interrupted
from ansible_collections.sre.runbooks.plugins.module_utils.redis.replaced import undo
from ansible_collections.sre.runbooks.plugins.module_utils.redis.restore import RestoreRequest, restore
from integration.redis_server import RedisServer, running_redis

DIE = 'kill -9 "$PPID"\n'
"""The start command is a child of the process that exchanges the files."""

LATER = "data that came since, on which the server cannot start"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A server that saves its data when it is stopped."""
    with running_redis(save="3600 1") as server:
        yield server


@pytest.fixture
def one(redis: RedisServer, tmp_path: Path) -> BackupSet:
    """A set of the server, which has something else now."""
    redis.empty()
    redis.fill(200)
    made = read_set(back_up(BackupRequest(redis.server, "cache", str(tmp_path)))["backup_set"]["folder"])
    redis.empty()
    return made


def starting(redis: RedisServer, folder: Path, first: str, later: str = "") -> Wishes:
    """A start command that starts the server with more settings the first time, and ends with other words the first time than later."""
    script = (
        f'! grep -qs "{LATER}" "{redis.data}/dump.rdb" || exit 1\n'
        f'seen="{folder}/started"; more=""; [ -e "$seen" ] || more="{first if first.startswith("--") else ""}"\n'
        f'"{redis.program}" "{redis.configuration}" --daemonize yes $more >/dev/null\n'
        f'if [ -e "$seen" ]; then :\n{later}else touch "$seen"\n{"" if first.startswith("--") else first}fi\n'
    )
    return Wishes(start_command=["sh", "-c", script])


def test_a_server_that_loads_something_else_and_saves_it_gets_its_former_data_back(
    redis: RedisServer, one: BackupSet, tmp_path: Path
) -> None:
    before = redis.content()
    with pytest.raises(NotTheSame, match="the server has its former data"):
        restore(RestoreRequest(redis.server, one, starting(redis, tmp_path, "--appendonly yes")))
    assert redis.content() == before


def test_a_return_to_the_former_data_that_is_killed_is_completed_by_the_next_run(
    redis: RedisServer, one: BackupSet, tmp_path: Path
) -> None:
    before = redis.content()
    with pytest.raises(RunbookError, match="interrupted"):
        restore(RestoreRequest(redis.server, one, starting(redis, tmp_path, "--appendonly yes", DIE)))
    redis.server.wait_until_it_serves(10).close()
    with redis.client() as client:
        client.call("SAVE")
    complete_interrupted(find(redis.server, Wishes()).service)
    assert redis.content() == before


def test_an_exchange_that_died_while_the_server_loaded_is_known_after_the_server_has_saved(
    redis: RedisServer, one: BackupSet, tmp_path: Path
) -> None:
    before, earlier = redis.content(), set(redis.data.glob("before_*"))
    with pytest.raises(RunbookError, match="interrupted"):
        restore(RestoreRequest(redis.server, one, starting(redis, tmp_path, DIE)))
    redis.server.wait_until_it_serves(10).close()
    assert redis.content() != before
    with redis.client() as client:
        client.call("SET", "since then", "there is more")
        client.call("SAVE")
    since = redis.content()
    redis.stop()
    redis.start()  # and loads another number of keys than was restored
    again = restore(RestoreRequest(redis.server, one))
    assert any("completed the exchange" in note for note in again["notes"])
    (first,) = set(redis.data.glob("before_*")) - earlier - {Path(again["kept_as"])}
    undo(redis.server, Wishes(), again["kept_as"])
    assert redis.content() == since
    undo(redis.server, Wishes(), first.name)
    assert redis.content() == before


def test_data_that_came_after_an_exchange_that_died_is_kept_when_the_server_cannot_start_on_it(
    redis: RedisServer, one: BackupSet, tmp_path: Path
) -> None:
    before = redis.content()
    with pytest.raises(RunbookError, match="interrupted"):
        restore(RestoreRequest(redis.server, one, starting(redis, tmp_path, DIE)))
    redis.server.wait_until_it_serves(10).close()
    service = find(redis.server, Wishes()).service
    redis.stop()
    (redis.data / "dump.rdb").write_text(LATER)
    with pytest.raises(RunbookError, match="failed"):
        complete_interrupted(service)
    assert redis.content() == before
    assert [path for path in redis.data.glob("undone_*/dump.rdb") if path.read_bytes() == LATER.encode()]


@pytest.mark.needs_root
def test_a_server_whose_files_cannot_change_places_goes_on_with_those_that_it_has(tmp_path: Path) -> None:
    with running_redis(appendonly="yes") as redis:
        redis.fill(50)
        before = redis.content()
        one = read_set(back_up(BackupRequest(redis.server, "cache", str(tmp_path)))["backup_set"]["folder"])
        fixed = redis.data / "appendonlydir"
        subprocess.run(["mount", "--bind", fixed, fixed], check=True)  # what is mounted cannot be renamed (EBUSY, rename(2))
        try:
            with pytest.raises(RunbookError, match="the server has its former data"):
                restore(RestoreRequest(redis.server, one))
            assert redis.content() == before
            assert not (redis.data / ".exchange.json").exists()
        finally:
            redis.stop()
            subprocess.run(["umount", fixed], check=True)


def test_an_exchange_of_a_file_that_a_program_replaced_since_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, other, kept = tmp_path / "conf", tmp_path / ".conf_restoring", tmp_path / ".conf_before"
    live.write_text("former")
    other.write_text("restored")
    monkeypatch.setattr(swap, "fsync_path", lambda _path: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RunbookError, match="interrupted"):
        swap.exchange_paths([swap.Member(str(live), str(other), str(kept))])
    monkeypatch.undo()
    (tmp_path / "new").write_text("restored, and changed since")
    (tmp_path / "new").rename(live)
    assert "completed" in swap.complete_interrupted([str(live)])[0]
    assert (live.read_text(), kept.read_text()) == ("restored, and changed since", "former")
