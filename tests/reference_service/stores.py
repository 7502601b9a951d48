# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two stores behind the service: PostgreSQL and Valkey. Both may go away and come back at any time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import redis.asyncio as redis
from redis.exceptions import RedisError

from .faults import Faults
from .metrics import Metrics
from .settings import Settings

CACHES = ("query_cache", "embedding_cache", "parse_cache")
_CACHE_PREFIX = "reference:cache:"
_STATE_PREFIX = "reference:state:"
_LOST = (OSError, asyncio.TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class ServiceUnavailableError(Exception):
    """Something that the service needs does not answer; `component` says what."""

    def __init__(self, component: str, why: str) -> None:
        super().__init__(f"{component}: {why}")
        self.component, self.why = component, why


class Database:
    """The service's database. Connections are made when they are needed, so that it may be restarted, renamed or swapped meanwhile."""

    def __init__(self, settings: Settings, faults: Faults, metrics: Metrics) -> None:
        self._settings, self._faults, self._metrics = settings, faults, metrics
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Make the pool, which connects to nothing yet."""
        known = self._settings
        self._pool = asyncpg.create_pool(
            host=known.database_host,
            port=known.database_port,
            database=known.database_name,
            user=known.database_user,
            password=known.database_password,
            min_size=0,
            max_size=10,
            timeout=known.database_timeout_s,
            command_timeout=known.database_timeout_s,
            max_inactive_connection_lifetime=60,
            server_settings={"application_name": f"reference-{known.colour}"},
        )
        await self._pool

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.terminate()

    async def fetch(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """Rows of a query.

        Raises:
            ServiceUnavailableError: The database cannot be asked.
        """
        if self._faults.lost_database:
            raise ServiceUnavailableError("database", "connection lost (injected fault)")
        assert self._pool is not None
        with self._metrics.component("database"):
            try:
                # A connection that died since its last use shows itself only now: the second attempt has a fresh one.
                try:
                    rows = await self._pool.fetch(sql, *arguments)
                except (asyncpg.ConnectionDoesNotExistError, asyncpg.AdminShutdownError, ConnectionResetError):
                    rows = await self._pool.fetch(sql, *arguments)
            except _LOST as error:
                raise ServiceUnavailableError("database", f"{type(error).__name__}: {error}".rstrip(": ")) from error
        return [dict(row) for row in rows]


class Cache:
    """Answers kept for a while, and a little state that must not be lost with them."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._ttl_s, self._metrics = settings.cache_ttl_s, metrics
        self.hits = self.misses = 0
        self._client = redis.Redis(
            host=settings.cache_host,
            port=settings.cache_port,
            password=settings.cache_password or None,
            socket_timeout=settings.cache_timeout_s,
            socket_connect_timeout=settings.cache_timeout_s,
            decode_responses=True,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Ask whether it is there.

        Raises:
            ServiceUnavailableError: It is not.
        """
        with self._metrics.component("cache"):
            try:
                await self._client.ping()
            except (RedisError, OSError) as error:
                raise ServiceUnavailableError("cache", f"{type(error).__name__}: {error}") from error

    async def get(self, cache: str, key: str) -> Any:
        """What is kept under `key`; None when there is nothing, or the cache is away: then the answer is worked out again."""
        with self._metrics.component("cache"):
            try:
                kept = await self._client.get(f"{_CACHE_PREFIX}{cache}:{key}")
            except (RedisError, OSError):
                kept = None
        self.hits, self.misses = self.hits + (kept is not None), self.misses + (kept is None)
        return None if kept is None else json.loads(kept)

    async def put(self, cache: str, key: str, value: object) -> None:
        """Keep `value`; a cache that is away keeps nothing."""
        try:
            await self._client.set(f"{_CACHE_PREFIX}{cache}:{key}", json.dumps(value), ex=self._ttl_s)
        except (RedisError, OSError):
            return

    async def note_user(self, user: str, when: str) -> None:
        """State: when a user was last seen."""
        try:
            await self._client.hset(f"{_STATE_PREFIX}last_seen", user, when)
        except (RedisError, OSError):
            return

    async def clear(self, caches: tuple[str, ...] = CACHES) -> dict[str, int]:
        """Forget the answers, key by key: the state in the same database stays. Returns how many were forgotten in each cache.

        Raises:
            ServiceUnavailableError: The cache is away.
        """
        try:
            cleared = {}
            for cache in caches:
                keys = [key async for key in self._client.scan_iter(f"{_CACHE_PREFIX}{cache}:*", count=1000)]
                cleared[cache] = int(await self._client.unlink(*keys)) if keys else 0
            return cleared
        except (RedisError, OSError) as error:
            raise ServiceUnavailableError("cache", f"{type(error).__name__}: {error}") from error

    @property
    def hit_ratio(self) -> float:
        """Hits of all look-ups since the start, from 0 to 1."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else 0.0
