# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Bringing a snapshot off the server: in blocks, hashed on the way, synchronised to disk, and compared with what the server says of it."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ..errors import SetDamaged, Unreachable
from ..files import keep_reserve, no_space_or, require_space
from ..progress import Progress
from .server import Server, Snapshot

_ATTEMPTS = 3
_RESERVE_EVERY_BYTES = 64 << 20


def fetch(server: Server, snapshot: Snapshot, path: str, progress: Progress) -> t.Dict[str, t.Any]:
    """Write a snapshot to a new file. A connection that breaks is tried again as long as the server is there.

    Args:
        server: The server.
        snapshot: The snapshot there.
        path: File to make.
        progress: Told of the bytes that came.

    Returns:
        `size_bytes`, `sha256`, `server_checksum` (empty where the server says none).

    Raises:
        SetDamaged: What arrived is not what the server made; the file is removed.
        NoSpace: The disk is, or would be, full.
        RunbookError: The server is gone.
    """
    require_space(os.path.dirname(path), snapshot.size_bytes)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            entry = _download(server, snapshot, path, progress)
            break
        except Unreachable:
            os.unlink(path)
            if attempt == _ATTEMPTS:
                raise
            server.version()
    problem = ""
    if snapshot.checksum and entry["sha256"] != snapshot.checksum:
        problem = f"its SHA-256 is {entry['sha256'][:16]}..., the server says {snapshot.checksum[:16]}..."
    elif entry["size_bytes"] != snapshot.size_bytes:
        problem = f"{entry['size_bytes']} bytes came, the server says {snapshot.size_bytes}"
    if problem:
        os.unlink(path)
        raise SetDamaged(
            "The snapshot that arrived is not the one that the server made",
            where=f"{snapshot.name} of {server}",
            why=problem,
            next_step="look at the server's disk and the network in between, then take the backup again; nothing was kept",
        )
    return {**entry, "server_checksum": snapshot.checksum}


def _download(server: Server, snapshot: Snapshot, path: str, progress: Progress) -> t.Dict[str, t.Any]:
    digest, done, looked = hashlib.sha256(), 0, 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(block: memoryview) -> None:
        nonlocal done, looked
        digest.update(block)
        done += len(block)
        try:
            while block:
                block = block[os.write(descriptor, block) :]
        except OSError as error:
            raise no_space_or(error, path) from error
        if done - looked >= _RESERVE_EVERY_BYTES:
            looked = done
            keep_reserve(os.path.dirname(path))
        progress.say(f"fetching {snapshot.name}", done, snapshot.size_bytes, "bytes")

    try:
        server.download(snapshot, write)
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise no_space_or(error, path) from error
    finally:
        os.close(descriptor)
    return {"size_bytes": done, "sha256": digest.hexdigest()}
