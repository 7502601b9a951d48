# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of a Redis server are counted and removed without holding up its clients; caches are cleared with a look at the effect."""

from __future__ import annotations

import http.server
import json
import os
import secrets
import statistics
import threading
import time
import tracemalloc
import typing as t
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, NotTheSame
from ansible_collections.sre.runbooks.plugins.module_utils.http_cache.clear import ENDPOINT
from ansible_collections.sre.runbooks.plugins.module_utils.http_cache.clear import clear as clear_caches
from ansible_collections.sre.runbooks.plugins.module_utils.redis.backup import BackupRequest
from ansible_collections.sre.runbooks.plugins.module_utils.redis.keys import KeysRequest, clear, flush, information
from ansible_collections.sre.runbooks.plugins.module_utils.redis.restore import RestoreRequest, restore
from integration.redis_server import RedisServer, running_redis
from integration.test_redis_playbooks import RedisProfile


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


def test_keys_are_counted_by_the_beginnings_of_their_names_and_whole_names_are_not_shown(redis: RedisServer) -> None:
    redis.empty()
    redis.fill(500)
    told = information(KeysRequest(redis.server))
    assert told["matching"] == 517
    assert told["prefixes"]["cache:"] == 500
    assert told["prefixes"]["session:"] == 10
    assert "only this" not in json.dumps(told)
    assert information(KeysRequest(redis.server, pattern="session:*"))["matching"] == 10
    assert information(KeysRequest(redis.server, type="hash"))["matching"] == 1


def test_ids_in_names_are_not_shown_and_beginnings_of_single_keys_neither(redis: RedisServer) -> None:
    redis.empty()
    ids = [secrets.token_hex(16) for _number in range(3000)] + [str(uuid.uuid4()) for _number in range(3000)]
    tokens = [secrets.token_urlsafe(12) for _number in range(3000)]
    with redis.client() as client:
        client.pipeline([("SET", f"{one}:{field}", "x") for one in ids for field in ("data", "seen")])
        client.pipeline([("SET", f"{one}:data", "x") for one in tokens])
        client.pipeline([("SET", f"cache:{number}", "x") for number in range(3000)])
    told = information(KeysRequest(redis.server))
    assert told["prefixes"] == {"(id):": 12_000, "cache:": 3000}


def test_the_beginnings_of_many_names_take_little_memory_and_the_frequent_ones_are_counted(redis: RedisServer) -> None:
    redis.empty()
    with redis.client() as client:
        client.call("EVAL", "for i=1,60000 do redis.call('SET', i..':data', '') end; for i=1,9000 do redis.call('SET','c:'..i,'') end", 0)
    tracemalloc.start()
    told = information(KeysRequest(redis.server))
    _now, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told["matching"] == 69_001
    assert told["prefixes"] == {"c:": 9000}
    assert most_bytes < 4_000_000, most_bytes


def test_only_what_fits_is_removed_and_a_copy_is_there_to_go_back_to(redis: RedisServer, tmp_path: Path) -> None:
    redis.empty()
    redis.fill(500)
    before = redis.content()
    request, copy = KeysRequest(redis.server, pattern="cache:*"), BackupRequest(redis.server, "cache", str(tmp_path))
    assert clear(request, copy, dry_run=True)["matching"] == 500
    assert redis.content() == before
    with pytest.raises(BadInput, match="500 keys fit, more than may be removed"):
        clear(KeysRequest(redis.server, pattern="cache:*", largest_count=499), copy)
    for pattern in ("*", "", "**", "?*"):
        with pytest.raises(BadInput, match="fits every key"):
            clear(KeysRequest(redis.server, pattern=pattern), copy)
    assert redis.content() == before
    done = clear(request, copy)
    assert (done["removed"], done["left"]) == (500, 0)
    assert redis.keyspace()["0"]["keys"] == 17
    again = clear(request, copy)
    assert not again["changed"]
    assert "backup_set" not in again
    restore(RestoreRequest(redis.server, read_set(done["backup_set"]["folder"])))
    assert redis.content() == before


def test_a_database_is_emptied_only_after_a_safety_copy(redis: RedisServer, tmp_path: Path) -> None:
    redis.empty()
    redis.fill(100, database=2)
    before = redis.content()
    with redis.client() as client:
        client.call("ACL", "SETUSER", "nocopy", "on", ">pw", "~*", "+@all", "-bgsave", "-config", "-sync", "-psync")
    limited = replace(redis.server, user="nocopy", password="pw")
    with pytest.raises(CommandFailed):
        flush(KeysRequest(limited, 2), BackupRequest(limited, "cache", str(tmp_path)))
    assert redis.content() == before
    done = flush(KeysRequest(redis.server, 2), BackupRequest(redis.server, "cache", str(tmp_path)))
    assert done["removed"] == 116
    assert set(redis.keyspace()) == {"0"}
    restore(RestoreRequest(redis.server, read_set(done["backup_set"]["folder"])))
    assert redis.content() == before


def test_nothing_is_removed_when_the_safety_copy_is_of_another_server(redis: RedisServer, tmp_path: Path) -> None:
    redis.empty()
    redis.fill(100, database=2)
    before = redis.content()
    with running_redis() as other:
        copy = BackupRequest(other.server, "cache", str(tmp_path))
        with pytest.raises(NotTheSame, match="database 2 has 0 keys instead of 116"):
            flush(KeysRequest(redis.server, 2), copy)
        with pytest.raises(NotTheSame, match="nothing was removed"):
            clear(KeysRequest(redis.server, 2, "cache:*"), copy)
    assert redis.content() == before


class Prober(threading.Thread):
    """Asks the server again and again, and notes how long each answer took, in milliseconds."""

    def __init__(self, redis: RedisServer) -> None:
        super().__init__()
        self._client, self._done = redis.client(), threading.Event()
        self.took_ms: list[float] = []

    def run(self) -> None:
        while not self._done.is_set():
            began = time.perf_counter()
            self._client.call("PING")
            self.took_ms.append((time.perf_counter() - began) * 1000)
            time.sleep(0.0005)

    def end(self) -> list[float]:
        self._done.set()
        self.join()
        self._client.close()
        return self.took_ms


@pytest.mark.slow
def test_a_million_keys_are_removed_and_no_command_blocks_the_server_for_10_ms(redis: RedisServer, tell: Callable[[str], None]) -> None:
    redis.empty()
    with redis.client() as client:
        client.wait_at_most(120)
        for part in range(10):
            first = part * 100_000
            client.call(
                "EVAL", "for i=1,100000 do redis.call('SET','query_cache:'..(ARGV[1]+i),'an answer that is kept '..i) end", 0, first
            )
        client.call("SET", "state", "stays")
        client.call("CONFIG", "SET", "slowlog-log-slower-than", 10_000)
        client.call("SLOWLOG", "RESET")
        client.call("CONFIG", "RESETSTAT")
        # How long others on a busy machine keep the server from working says nothing about how long it blocks its clients.
        try:
            os.sched_setscheduler(redis.pid(), os.SCHED_FIFO, os.sched_param(1))
            has_priority = True
        except PermissionError:
            has_priority = False
        prober = Prober(redis)
        prober.start()
        done = clear(KeysRequest(redis.server, pattern="query_cache:*"))
        took_ms = prober.end()
        slow = [entry for entry in client.call("SLOWLOG", "GET", 100) if entry[3][0].upper() not in (b"CONFIG", b"BGSAVE")]
        blocked = {name: fields["usec_per_call"] for name, fields in client.info("commandstats").items() if name in _OURS}
    assert done["removed"] == 1_000_000
    assert redis.keyspace()["0"]["keys"] == 2
    took_ms.sort()
    tell(
        f"1,000,000 keys removed by pattern in {done['duration_s']:.1f} s; {len(slow)} commands took the server 10 ms"
        f"{'' if has_priority else ' (it may not have priority here, so that is not judged)'}; mean "
        f"{', '.join(f'{name[8:].upper()} {value / 1000:.2f} ms' for name, value in sorted(blocked.items()))}; another client waited "
        f"{statistics.median(took_ms):.2f} ms (median of {len(took_ms)}), "
        f"{took_ms[int(len(took_ms) * 0.999)]:.1f} ms (99.9 %), {took_ms[-1]:.1f} ms (longest)"
    )
    assert not slow or not has_priority


_OURS = ("cmdstat_scan", "cmdstat_unlink")


class Caches(http.server.ThreadingHTTPServer):
    """A service with a cache: DELETE /cache/clear, GET /cache/stats.

    Attributes:
        keys: How many answers it keeps.
        works: Whether clearing has an effect.
    """

    def __init__(self) -> None:
        self.keys, self.works, self.asked = 5, True, 0
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Caches

    def do_GET(self) -> None:
        self._answer(200, {"keys": self.server.keys, "hit_ratio": 0.5 if self.server.keys else None})

    def do_DELETE(self) -> None:
        self.server.asked += 1
        if self.server.works:
            self.server.keys = 0
        self._answer(200 if self.path.startswith("/cache/clear") else 404, {"cleared": 5})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@pytest.fixture
def caches() -> Iterator[Caches]:
    with Caches() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def entry(server: Caches, **more: t.Any) -> dict[str, t.Any]:
    """An entry of cache_endpoints, with the defaults of the module."""
    address = f"http://127.0.0.1:{server.server_address[1]}"
    usual = {name: option.get("default") for name, option in ENDPOINT.items()}
    here = {"name": "answers", "url": f"{address}/cache/clear?name=a", "stats_url": f"{address}/cache/stats", "settle_s": 0.3}
    return {**usual, **here, "conditions": ["after.keys == `0`"], "observe": {"hit_ratio": "after.hit_ratio"}, **more}


def test_a_cache_is_cleared_and_its_figures_say_so(caches: Caches) -> None:
    planned = clear_caches([entry(caches)], dry_run=True)
    assert planned["changed"]
    assert caches.asked == 0
    done = clear_caches([entry(caches)])
    assert "failed" not in done
    assert (done["caches"][0]["before"]["keys"], done["caches"][0]["after"]["keys"]) == (5, 0)


@pytest.mark.parametrize("fault", ["no effect", "refused", "gone", "command fails"])
def test_a_cache_that_is_not_clear_afterwards_fails_and_is_named_and_the_others_are_cleared(fault: str, caches: Caches) -> None:
    faults: dict[str, dict[str, t.Any]] = {
        "no effect": {"conditions": ["after.keys < `0`"]},
        "refused": {"url": entry(caches)["url"].replace("clear", "nothing")},
        "gone": {"url": "http://127.0.0.1:1/cache/clear"},
        "command fails": {"url": None, "command": ["false"]},
    }
    done = clear_caches([entry(caches, name="bad", **faults[fault]), entry(caches)])
    assert done["failed"]
    assert "bad: " in done["msg"]
    assert "answers: " not in done["msg"]
    assert caches.keys == 0


def test_what_is_wrong_with_the_list_of_caches_is_told_before_any_is_cleared(caches: Caches) -> None:
    for endpoints, names in (
        ([], []),
        ([entry(caches)], ["other"]),
        ([entry(caches), entry(caches, name="both", command=["true"])], []),
        ([entry(caches), entry(caches, name="unseen", stats_url=None)], []),
        ([entry(caches), entry(caches, name="wrong", conditions=["after.("])], []),
    ):
        with pytest.raises(BadInput, match="Next: "):
            clear_caches(endpoints, names)
    assert caches.asked == 0


def test_the_playbook_clears_the_caches_of_the_profile_and_fails_with_the_name_of_one_that_is_not_clear(
    caches: Caches, redis: RedisServer, tmp_path: Path
) -> None:
    profile = RedisProfile(tmp_path, redis)
    mine = {key: entry(caches)[key] for key in ("name", "url", "stats_url", "conditions", "observe", "settle_s")}
    profile.variables.update(service_name="answers service", cache_endpoints=[mine])
    profile.well("cache_clear", "--check", "--diff")
    assert caches.asked == 0
    profile.well("cache_clear")
    assert (caches.asked, caches.keys) == (1, 0)
    assert profile.records()[-1]["status"] == "succeeded"
    caches.keys, caches.works = 5, False
    failed = profile.run("cache_clear")
    assert failed.status != 0
    assert "answers: " in failed.message
    assert profile.records()[-1]["status"] == "failed"
