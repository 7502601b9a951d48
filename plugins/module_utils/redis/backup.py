# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Backup of a Redis or Valkey server: one RDB file of this very moment, and the keys of every database to compare a restore with."""

from __future__ import annotations

import datetime
import os
import time
import typing as t
from dataclasses import dataclass

from ..backup_set.hashing import copy_hashed
from ..backup_set.sets import BackupSet, SetWriter, remove_leftovers, utc_now
from ..errors import BadInput, NoSpace, RunbookError
from ..files import keep_reserve, require_folder_writable, require_space
from ..progress import Progress
from .client import Client, Server
from .content import between, keyspace, sample_types
from .rdb import Head, read_head
from .snapshot import Moment, SavedFile, Stream

RDB = "dump.rdb"
"""Name of the file in a set."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OLDEST = 6
_CLOCK_SLACK_S = 1
"""The server notes the second in which it began from a clock that it reads ten times a second."""


@dataclass(frozen=True)
class BackupRequest:
    """What to back up and where to.

    Attributes:
        server: The server.
        store: Name of the store in the profile.
        backup_folder: Folder of the sets.
        method: `rdb` (let the server save, read its file), `stream` (as a replica), or `auto`.
        rdb_file: The server's file as it is seen where `server.place` is; empty to ask the server.
        timeout_s: Seconds for the server's save.
        run_id: Run that this belongs to.
    """

    server: Server
    store: str
    backup_folder: str
    method: str = "auto"
    rdb_file: str = ""
    timeout_s: float = 3600
    run_id: str = ""


@dataclass(frozen=True)
class BackupPlan:
    """What a backup will do; made without changing anything.

    Attributes:
        info: Fields of INFO.
        method: `rdb` or `stream`.
        rdb_file: The server's file; empty for `stream`.
        keys: Keys in all databases.
        needed_bytes: At most so much is expected.
        leftovers: What killed runs left in the backup folder.
    """

    info: t.Mapping[str, t.Any]
    method: str
    rdb_file: str
    keys: int
    needed_bytes: int
    leftovers: t.Sequence[str]

    @property
    def program(self) -> str:
        """`Redis` or `Valkey`, with its version."""
        return f"Valkey {self.info['valkey_version']}" if "valkey_version" in self.info else f"Redis {self.info.get('redis_version', '?')}"


def plan(request: BackupRequest, client: Client) -> BackupPlan:
    """Look at everything that could stop the backup, before anything is written.

    Raises:
        RunbookError: The server is too old or still loads, a file cannot be read, or there is too little room.
    """
    info = client.info("server", "memory", "persistence", "replication")
    if int(str(info.get("redis_version", "0")).split(".", 1)[0]) < _OLDEST:
        raise BadInput(
            f"The server is Redis {info.get('redis_version')}",
            where=str(request.server),
            next_step=f"use Redis {_OLDEST} or newer, or Valkey",
        )
    method, path = _way(request, client, info)
    require_folder_writable(request.backup_folder)
    needed = int(info.get("used_memory_dataset", info["used_memory"]))
    require_space(request.backup_folder, needed)
    return BackupPlan(
        info=info,
        method=method,
        rdb_file=path,
        keys=sum(one["keys"] for one in keyspace(client).values()),
        needed_bytes=needed,
        leftovers=remove_leftovers(request.backup_folder, dry_run=True),
    )


def _way(request: BackupRequest, client: Client, info: t.Mapping[str, t.Any]) -> t.Tuple[str, str]:
    """The method, and the path of the server's file where that is read."""
    if request.method == "stream":
        return "stream", ""
    path = request.rdb_file
    if not path:
        folder, name = client.setting("dir"), client.setting("dbfilename")
        path = os.path.join(folder, name) if folder and name else ""
    place = request.server.place
    readable = bool(path) and (not place.is_host or _is_here(request.server, info, path))
    if readable:
        return "rdb", path
    if request.method == "rdb":
        raise BadInput(
            "The server's RDB file cannot be read from here",
            where=path or str(request.server),
            why="the server does not tell where it is" if not path else "it is on another host, or its folder cannot be entered",
            next_step="name it (rdb_file of the store), or take the method stream",
        )
    return "stream", ""


def _is_here(server: Server, info: t.Mapping[str, t.Any], path: str) -> bool:
    if not server.socket_file and server.host not in _LOOPBACK:
        return False
    try:
        with open(f"/proc/{int(info['process_id'])}/comm", encoding="utf-8", errors="replace") as stream:
            name = stream.read()
    except (OSError, KeyError, ValueError):
        return False
    # The same number may be another process's here, when the server is in a container and only its port is on the loopback address.
    return ("redis" in name or "valkey" in name or "keydb" in name) and os.access(
        path if os.path.exists(path) else os.path.dirname(path), os.R_OK
    )


def describe(request: BackupRequest) -> t.Dict[str, t.Any]:
    """The result of a dry run: everything is looked at, nothing is changed.

    Raises:
        RunbookError: Whatever would stop the backup.
    """
    with request.server.connect() as client:
        ready = plan(request, client)
    steps = [f"remove {name}, left half written by a run that was killed" for name in ready.leftovers]
    how = f"let the server save, and copy {ready.rdb_file}" if ready.method == "rdb" else "read the data as a replica would"
    steps.append(
        f"{how} ({ready.keys} keys, {ready.program} at {request.server}) into a new set in {request.backup_folder}; "
        f"at most {ready.needed_bytes / 1e6:.0f} MB are expected"
    )
    return {"changed": True, "plan": steps, "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)}}


def back_up(request: BackupRequest) -> t.Dict[str, t.Any]:
    """Take a new, sealed set and return the module's result.

    Raises:
        RunbookError: Something failed; nothing is left behind.
    """
    progress = Progress(f"Backing up {request.store}")
    with request.server.connect() as client:
        ready = plan(request, client)
        removed = remove_leftovers(request.backup_folder)
        made = _take(request, ready, client, progress, removed)
    steps = [f"removed {name}, left half written by a run that was killed" for name in removed]
    steps.append(f"backed up {request.store} as {made.id}, {made.size_bytes / 1e6:.1f} MB in {made.manifest['duration_s']:.1f} s")
    return {
        "changed": True,
        "backup_set": made.summary(),
        "duration_s": made.manifest["duration_s"],
        "plan": steps,
        "diff": {"before": "", "after": f"{made.folder}\n"},
    }


def _take(request: BackupRequest, ready: BackupPlan, client: Client, progress: Progress, removed: t.Sequence[str]) -> BackupSet:
    started, clock = utc_now(), time.monotonic()
    with SetWriter(request.backup_folder, request.store, "rdb") as writer:
        target = os.path.join(writer.folder, RDB)

        def look(written_bytes: int) -> None:
            keep_reserve(writer.folder)
            progress.say("copying the file", written_bytes, None, "bytes")

        try:
            if ready.method == "rdb":
                source: t.Union[SavedFile, Stream] = SavedFile(client, ready.rdb_file, request.timeout_s, progress)
            else:
                source = Stream(request.server, request.timeout_s, progress)
            with source:
                moment = source.moment
                entry = copy_hashed(t.cast("t.IO[bytes]", source), target, on_bytes=look)
        except RunbookError as error:
            raise _explained(error, writer.folder) from error
        head = read_head(target)
        _require_this_save(head, moment, ready, request)
        content = between(moment.before, moment.after)
        content["sampled_types"] = sample_types(client, content["databases"])
        info = ready.info
        manifest = {
            "kind": "redis",
            "method": "rdb",
            "store": request.store,
            "run_id": request.run_id,
            "server": {
                "address": str(request.server),
                "program": "valkey" if "valkey_version" in info else "redis",
                "version": str(info.get("valkey_version", info.get("redis_version"))),
                "redis_version": str(info.get("redis_version")),
                "identity": str(info.get("run_id", "")),
                "role": str(info.get("role", "")),
                "databases": int(client.setting("databases") or 16),
            },
            "taken_by": ready.method,
            "started_at": started,
            "consistent_at": _utc(head.begun_at or moment.at),
            "finished_at": utc_now(),
            "duration_s": round(time.monotonic() - clock, 3),
            "rdb": {"path": RDB, "version": head.version, "written_by": head.server_version},
            "used_memory_bytes": int(info["used_memory"]),
            "append_only": bool(info.get("aof_enabled")),
            "content": content,
            "removed_leftovers": list(removed),
        }
        return writer.seal(manifest, {RDB: entry})


def _require_this_save(head: Head, moment: Moment, ready: BackupPlan, request: BackupRequest) -> None:
    if head.begun_at and head.begun_at < moment.at - _CLOCK_SLACK_S:
        raise BadInput(
            "This is not the file that the server has just saved",
            where=ready.rdb_file or str(request.server),
            why=f"it was begun at {_utc(head.begun_at)}, the save at {_utc(moment.at)}",
            next_step="correct rdb_file, container or pod of the store",
        )


def _explained(error: RunbookError, folder: str) -> RunbookError:
    if isinstance(error, NoSpace) and not error.where:
        error.where = folder
    return error


def _utc(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
