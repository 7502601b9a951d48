# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Keys of a Redis server: what there is, and removing those of a pattern without holding up anybody.

KEYS and DEL make all clients wait until they are done. SCAN looks at a few keys at a time, and UNLINK takes them out and leaves their
memory to another thread (redis.io/commands/unlink). How many at a time follows from how long the last ones took.
"""

from __future__ import annotations

import re
import time
import typing as t
from collections import Counter
from dataclasses import dataclass, replace

from ..errors import BadInput, NotTheSame
from ..progress import Progress
from ..restoring.safety import safety_set
from .backup import BackupRequest, back_up, describe
from .client import Client, Server, text_of
from .content import between, compare, keyspace
from .protocol import ServerError

_SMALLEST_BATCH, _LARGEST_BATCH = 10, 250
_LONG_S = 0.003
"""A batch that took longer is followed by a smaller one: a third of the 10 ms for which nobody may be held up."""
_SHORT_S = 0.001
_SHOWN_PREFIXES = 20
_LONGEST_PREFIX = 40
_MOST_PREFIXES = 10_000
_ID = re.compile(r"[0-9a-fA-F-]{16,}")
"""Sixteen hexadecimal digits and more: an id of a session, or a digest, which may be a secret."""


@dataclass(frozen=True)
class KeysRequest:
    """Which keys are meant.

    Attributes:
        server: The server.
        database: Number of the database.
        pattern: Pattern of their names, as the server's SCAN understands it.
        type: Type of their values; empty for any.
        largest_count: More than so many are not removed.
    """

    server: Server
    database: int = 0
    pattern: str = "*"
    type: str = ""
    largest_count: int = 1_000_000

    def __str__(self) -> str:
        kind = f" of type {self.type}" if self.type else ""
        return f"keys{kind} like {self.pattern} in database {self.database} of {self.server}"


class _Pace:
    """How many keys to look at, or to remove, in one command."""

    def __init__(self) -> None:
        self.batch, self.longest_s = 100, 0.0

    def timed(self, client: Client, *words: t.Any) -> t.Any:
        began = time.perf_counter()
        reply = client.call(*words)
        took = time.perf_counter() - began
        self.longest_s = max(self.longest_s, took)
        if took > _LONG_S:
            self.batch = max(self.batch // 2, _SMALLEST_BATCH)
        elif took < _SHORT_S:
            self.batch = min(self.batch * 2, _LARGEST_BATCH)
        return reply


def _scan(client: Client, request: KeysRequest, pace: _Pace) -> t.Iterator[t.List[bytes]]:
    """The keys, as they are found; one may come twice (redis.io/commands/scan)."""
    kind = ["TYPE", request.type] if request.type else []
    cursor = b"0"
    while True:
        cursor, keys = pace.timed(client, "SCAN", cursor, "MATCH", request.pattern, "COUNT", pace.batch, *kind)
        if keys:
            yield keys
        if cursor == b"0":
            return


def _opened(request: KeysRequest) -> Client:
    if request.type and not request.type.isalnum():
        raise BadInput(f"{request.type!r} is no type of a value", next_step="use string, hash, list, set, zset or stream")
    client = request.server.connect()
    try:
        client.call("SELECT", request.database)
    except BaseException:
        client.close()
        raise
    return client


def information(request: KeysRequest) -> t.Dict[str, t.Any]:
    """What there is: databases, memory, hits, and of the keys that are meant how many, by the beginning of their names and by type.

    Beginnings that only one key has are not told. With more than 10 000 of them at a time, those that few keys have may be told too low.

    Raises:
        RunbookError: The server cannot be asked.
    """
    progress = Progress(f"Counting {request}")
    with _opened(request) as client:
        info = client.info("server", "memory", "stats", "clients")
        databases = keyspace(client)
        prefixes: t.Counter[str] = Counter()
        sampled: t.List[bytes] = []
        found, pace = 0, _Pace()
        for keys in _scan(client, request, pace):
            found += len(keys)
            prefixes.update(map(_prefix, keys))
            if len(prefixes) > _MOST_PREFIXES:
                prefixes = Counter(dict(prefixes.most_common(_MOST_PREFIXES // 2)))
            sampled += keys[: 200 - len(sampled)] if len(sampled) < 200 else []
            progress.say("looking at keys", found, None, "keys")
        types: t.Dict[str, int] = {}
        for reply in client.pipeline([("TYPE", key) for key in sampled]) if sampled else []:
            if not isinstance(reply, ServerError):
                types[text_of(reply)] = types.get(text_of(reply), 0) + 1
    hits, misses = int(info.get("keyspace_hits", 0)), int(info.get("keyspace_misses", 0))
    # What stands in front of a single key may be the better part of its name.
    shared = [(name, count) for name, count in prefixes.items() if count > 1]
    largest = sorted(shared, key=lambda item: (-item[1], item[0]))[:_SHOWN_PREFIXES]
    return {
        "changed": False,
        "matching": found,
        "prefixes": dict(largest),
        "sampled_types": types,
        "databases": {number: dict(one) for number, one in databases.items()},
        "memory": {
            "used_bytes": info.get("used_memory"),
            "maximum_bytes": info.get("maxmemory"),
            "policy": info.get("maxmemory_policy"),
            "fragmentation": info.get("mem_fragmentation_ratio"),
        },
        "hit_ratio": round(hits / (hits + misses), 6) if hits + misses else None,
        "evicted_keys": info.get("evicted_keys"),
        "expired_keys": info.get("expired_keys"),
        "clients": info.get("connected_clients"),
        "uptime_s": info.get("uptime_in_seconds"),
        "longest_command_ms": round(pace.longest_s * 1000, 2),
    }


def _prefix(key: bytes) -> str:
    """The beginning of a name, up to its first colon, ids left out; the rest may be a secret, such as the id of a session."""
    head, colon, _rest = key.partition(b":")
    return _ID.sub("(id)", head.decode("utf-8", "replace"))[:_LONGEST_PREFIX] + ":" if colon else "(without a prefix)"


def clear(request: KeysRequest, copy: t.Optional[BackupRequest] = None, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Remove the keys of a pattern: count them first, take a safety copy if one is wanted, then remove a few at a time.

    Returns:
        `matching`, `removed`, `left` (such as came meanwhile), `longest_command_ms`, `duration_s`, `backup_set` and `plan`.

    Raises:
        BadInput: There are more than may be removed, or the pattern fits everything; nothing was removed.
        NotTheSame: The safety copy does not hold what the server held; nothing was removed.
    """
    if not request.pattern.strip("*?"):
        raise BadInput(
            f"The pattern {request.pattern!r} fits every key",
            where=str(request.server),
            next_step="name a beginning, such as cache:*, or empty the database by the operation flush",
        )
    with _opened(request) as client:
        pace = _Pace()
        matching = _count(client, request, pace)
        if matching > request.largest_count:
            raise BadInput(
                f"{matching} keys fit, more than may be removed; nothing was removed",
                where=str(request),
                why=f"at most {request.largest_count} are allowed",
                next_step="look at them (redis_keys_info), then narrow the pattern or allow more",
                facts={"matching": matching},
            )
        steps = _steps(copy, matching > 0, f"remove {matching} {request}, a few at a time")
        result: t.Dict[str, t.Any] = {"changed": matching > 0, "matching": matching, **_told(steps, matching)}
        if dry_run or not matching:
            return {**result, "removed": 0} if not dry_run else result
        if copy is not None:
            result["backup_set"] = _take_copy(copy, client, request)
        began, pace = time.monotonic(), _Pace()
        removed, progress = 0, Progress(f"Removing {request}")
        for keys in _scan(client, request, pace):
            at = 0
            while at < len(keys):
                part = keys[at : at + pace.batch]
                at += len(part)
                removed += pace.timed(client, "UNLINK", *part)
            progress.say("removing keys", removed, matching, "keys")
        took = time.monotonic() - began
        left = _count(client, request, _Pace())
    return {
        **result,
        "removed": removed,
        "left": left,
        "duration_s": round(took, 3),
        "longest_command_ms": round(pace.longest_s * 1000, 2),
        "notes": [f"{left} keys that fit are there: they came meanwhile"] if left else [],
    }


def _count(client: Client, request: KeysRequest, pace: _Pace) -> int:
    progress = Progress(f"Counting {request}")
    found = 0
    for keys in _scan(client, request, pace):
        found += len(keys)
        progress.say("counting keys", found, None, "keys")
    return found


def _steps(copy: t.Optional[BackupRequest], needed: bool, what: str) -> t.List[str]:
    if not needed:
        return []
    return [*(describe(copy)["plan"] if copy is not None else []), what]


def _told(steps: t.Sequence[str], keys: int) -> t.Dict[str, t.Any]:
    return {"plan": list(steps), "diff": {"before": f"{keys} keys\n", "after": "0 keys\n"}}


def _take_copy(copy: BackupRequest, client: Client, request: KeysRequest) -> t.Dict[str, t.Any]:
    """Take the safety copy, read it again, and compare its keys with those of the database that will lose some; returns its summary."""
    number, none = str(request.database), {"keys": 0, "expires": 0}
    before = keyspace(client).get(number, none)
    taken = safety_set(back_up(copy))
    after = keyspace(client).get(number, none)
    limits = taken.manifest["content"]["databases"].get(number, {})
    copied = {number: {what: limits[what]["to"] if limits else 0 for what in none}}
    differences = compare(between({number: before}, {number: after}), copied, {})["differences"]
    if differences:
        raise NotTheSame(
            "The safety copy does not hold what the server holds",
            where=taken.folder,
            why="; ".join(differences),
            next_step="see that the store's backup is of this server, and run it again if others write; nothing was removed",
        )
    return taken.summary()


def flush(request: KeysRequest, copy: BackupRequest, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Empty a database (FLUSHDB ASYNC), after a safety copy of the whole server.

    Returns:
        `matching` (keys that it had), `removed`, `left`, `backup_set` and `plan`.

    Raises:
        NotTheSame: The safety copy does not hold what the server held; nothing was removed.
    """
    with _opened(replace(request, pattern="*", type="")) as client:
        matching = int(client.call("DBSIZE"))
        steps = _steps(copy, matching > 0, f"empty database {request.database} of {request.server} ({matching} keys)")
        result: t.Dict[str, t.Any] = {"changed": matching > 0, "matching": matching, **_told(steps, matching)}
        if dry_run or not matching:
            return {**result, "removed": 0} if not dry_run else result
        made = _take_copy(copy, client, request)
        began = time.monotonic()
        client.call("FLUSHDB", "ASYNC")
        took = time.monotonic() - began
        left = int(client.call("DBSIZE"))
    return {
        **result,
        "backup_set": made,
        "removed": matching,
        "left": left,
        "duration_s": round(took, 3),
        "longest_command_ms": round(took * 1000, 2),
        "notes": [f"{left} keys are there: they came meanwhile"] if left else [],
    }
