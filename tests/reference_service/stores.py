# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two stores behind the service: PostgreSQL and Valkey. Both may go away and come back at any time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .faults import Faults
from .metrics import Metrics
from .settings import Settings

CACHES = ("query_cache", "embedding_cache", "parse_cache")
_CACHE_PREFIX = "reference:cache:"
_STATE_PREFIX = "reference:state:"
_PROBE = "SELECT 1 FROM cases CROSS JOIN documents CROSS JOIN response_history LIMIT 0"
_PAUSE_S = 0.05
_BATCH = 1000
_USERS = 1000
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_PASSING = (
    ConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection that is cut while it is being made ends with
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # "is not currently accepting connections"
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)


class ServiceUnavailableError(Exception):
    """Something that the service needs does not answer; `component` says what."""

    def __init__(self, component: str, why: str) -> None:
        super().__init__(f"{component}: {why}")
        self.component, self.why = component, why


class StoreUnavailableError(ServiceUnavailableError):
    """The database or the cache does not answer. That is no fault of the tool that asked it, so no circuit opens for it."""


class Database:
    """The service's database. Connections are made when they are needed, so that it may be restarted, renamed or swapped meanwhile."""

    def __init__(self, settings: Settings, faults: Faults, metrics: Metrics) -> None:
        self._settings, self._faults, self._metrics = settings, faults, metrics
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Make the pool, which connects to nothing yet."""
        known = self._settings
        self._pool = await asyncpg.create_pool(
            host=known.database_host,
            port=known.database_port,
            database=known.database_name,
            user=known.database_user,
            password=known.database_password,
            min_size=0,
            max_size=10,
            max_inactive_connection_lifetime=60,
            server_settings={"application_name": f"reference-{known.colour}"},
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.terminate()

    async def probe(self) -> None:
        """Ask whether the tables that the service lives on are there and may be used.

        Raises:
            StoreUnavailableError: They are not, or the database does not answer.
        """
        await self._fetch(_PROBE, (), self._settings.probe_timeout_s)

    async def fetch(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """Rows of a query. It may be sent twice when the connection is lost: it must be one that may.

        Raises:
            StoreUnavailableError: The database cannot be asked.
        """
        return await self._fetch(sql, arguments, self._settings.database_timeout_s)

    async def _fetch(self, sql: str, arguments: tuple[object, ...], timeout_s: float) -> list[dict[str, Any]]:
        if self._faults.lost_database:
            raise StoreUnavailableError("database", "connection lost (injected fault)")
        deadline = time.monotonic() + timeout_s
        with self._metrics.component("database"):
            while True:
                try:
                    return await self._attempt(sql, arguments, deadline - time.monotonic())
                except _LOST as error:
                    # A server that starts again, or a database that takes another's place, is back within this time.
                    if not isinstance(error, _PASSING) or time.monotonic() + _PAUSE_S >= deadline:
                        why = str(error) or f"no answer within {timeout_s:g} s"
                        raise StoreUnavailableError("database", f"{type(error).__name__}: {why}") from error
                await asyncio.sleep(_PAUSE_S)

    async def _attempt(self, sql: str, arguments: tuple[object, ...], timeout_s: float) -> list[dict[str, Any]]:
        if self._pool is None:
            raise StoreUnavailableError("database", "the service is not started")
        connection = await self._pool.acquire(timeout=timeout_s)
        try:
            return [dict(row) for row in await connection.fetch(sql, *arguments, timeout=timeout_s)]
        finally:
            # A server that hangs does not answer a cancellation either; after this time the connection is cut.
            await self._pool.release(connection, timeout=0.5)


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
            # Lost connections are tried once more; a cache that is away must not hold up those who can do without it.
            retry=Retry(NoBackoff(), 1),
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
                raise StoreUnavailableError("cache", f"{type(error).__name__}: {error}") from error

    async def get(self, cache: str, key: str) -> Any:
        """What is kept under `key`; None when there is nothing, or the cache is away: then the answer is worked out again."""
        with self._metrics.component("cache"):
            try:
                kept = await self._client.get(f"{_CACHE_PREFIX}{cache}:{key}")
            except (RedisError, OSError):
                kept = None
        self.hits, self.misses = self.hits + (kept is not None), self.misses + (kept is None)
        self._metrics.cache_lookups.labels(cache, "miss" if kept is None else "hit").inc()
        return None if kept is None else json.loads(kept)

    async def put(self, cache: str, key: str, value: object) -> None:
        """Keep `value`; a cache that is away keeps nothing."""
        try:
            await self._client.set(f"{_CACHE_PREFIX}{cache}:{key}", json.dumps(value), ex=self._ttl_s)
        except (RedisError, OSError):
            return

    async def note_user(self, user: str) -> None:
        """State: when a user was last seen, for the latest of them."""
        key = f"{_STATE_PREFIX}last_seen"
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                pipeline.zadd(key, {user: time.time()})
                pipeline.zremrangebyrank(key, 0, -_USERS - 1)
                await pipeline.execute()
        except (RedisError, OSError):
            return

    async def clear(self, caches: tuple[str, ...] = CACHES) -> dict[str, int]:
        """Forget the answers, batch by batch: the state in the same database stays. Returns how many were forgotten in each cache.

        Raises:
            StoreUnavailableError: The cache is away.
        """
        cleared = dict.fromkeys(caches, 0)
        try:
            for cache in caches:
                async for keys in self._batches(cache):
                    cleared[cache] += int(await self._client.unlink(*keys))
        except (RedisError, OSError) as error:
            raise StoreUnavailableError("cache", f"{type(error).__name__}: {error}") from error
        self.hits = self.misses = 0
        return cleared

    async def count(self) -> dict[str, int]:
        """Answers kept in each cache.

        Raises:
            StoreUnavailableError: The cache is away.
        """
        try:
            return {cache: sum([len(keys) async for keys in self._batches(cache)]) for cache in CACHES}
        except (RedisError, OSError) as error:
            raise StoreUnavailableError("cache", f"{type(error).__name__}: {error}") from error

    async def _batches(self, cache: str) -> AsyncIterator[list[str]]:
        cursor = -1
        while cursor:
            cursor, keys = await self._client.scan(max(cursor, 0), match=f"{_CACHE_PREFIX}{cache}:*", count=_BATCH)
            if keys:
                yield [str(key) for key in keys]

    @property
    def hit_ratio(self) -> float | None:
        """Hits of all look-ups since the start or the last clearing, from 0 to 1; None before the first look-up."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else None
