# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks on a Redis store: back up, prove, lose, restore, undo, prune, look at keys and remove them."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.playbook_runs import Finished, Profile
from integration.redis_server import RedisServer, running_redis


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis(save="3600 1") as server:
        yield server


class RedisProfile(Profile):
    """An inventory with one Redis store."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        super().__init__(folder, t.cast(t.Any, _Nothing()))
        self.store = {
            "kind": "redis",
            "name": "cache",
            "host": "127.0.0.1",
            "port": redis.port,
            "password": redis.password,
            "tool_folder": redis.tools,
            "server_log_file": str(redis.folder / "server.log"),
            "rto_s": 900,
            "rpo_s": 3600,
        }

    def well(self, playbook: str, *options: str) -> Finished:
        """Run a playbook that must succeed."""
        done = self.run(playbook, *options)
        assert done.status == 0, done.output
        return done


class _Nothing:
    """Stands where a profile of PostgreSQL would have its server."""

    port, password, tools, data, folder = 0, "", "", Path(), Path()


def test_a_redis_store_goes_through_all_procedures_and_its_password_is_nowhere(redis: RedisServer, tmp_path: Path) -> None:
    profile = RedisProfile(tmp_path, redis)
    redis.fill(300)
    before = redis.content()
    profile.well("backup", "--check", "--diff")
    assert not profile.sets()
    profile.well("backup")
    profile.well("restore_drill")
    assert len(profile.sets()) == 1
    redis.empty()
    damaged = redis.content()
    refused = profile.run("restore")
    assert refused.status != 0
    assert "confirm=cache" in refused.message
    profile.well("restore", "--check", "--diff", "-e", "confirm=cache")
    assert redis.content() == damaged
    profile.well("restore", "-e", "confirm=cache")
    assert redis.content() == before
    record = profile.records()[-1]
    assert 0 < record["measurements"]["rto_s"]["value"] < 60
    profile.well("restore_undo", "-e", "confirm=cache")
    assert redis.content() == damaged
    profile.well("restore_prune", "-e", "confirm=cache", "-e", "restore_keep_replaced=0")
    assert not list(redis.data.glob("undone_*"))
    for path in [*profile.state.rglob("*"), profile.logs, *profile.backups.rglob("*.json")]:
        assert not path.is_file() or redis.password.encode() not in path.read_bytes(), path


def test_keys_are_looked_at_without_confirmation_and_removed_only_with_it(redis: RedisServer, tmp_path: Path) -> None:
    profile = RedisProfile(tmp_path, redis)
    redis.empty()
    redis.fill(300)
    profile.well("redis_keys", "-e", "cache_pattern=cache:*")
    assert redis.keyspace()["0"]["keys"] == 317
    removing = ("redis_keys", "-e", "cache_pattern=cache:*", "-e", "cache_operation=clear")
    assert profile.run(*removing).status != 0
    profile.well(*removing, "--check", "--diff")
    assert redis.keyspace()["0"]["keys"] == 317
    profile.well(*removing, "-e", "confirm=cache")
    assert redis.keyspace()["0"]["keys"] == 17
    assert len(profile.sets()) == 1, "a safety copy was taken"
