# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A log file becomes its compressed form, or stays as it is: nothing of it is lost, whatever happens on the way.

The compressed form is written under a temporary name, made durable, unpacked again and compared; then it gets its name, and only then
the log file goes. What a killed run leaves is a temporary file, which the next run removes, or both forms, of which it removes the first
after it has compared them.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
import typing as t
import zlib
from datetime import datetime, timezone

from ..errors import RunbookError
from ..files import fsync_path, keep_reserve, no_space_or
from .log_writers import Watch, unwritten

_CHUNK = 1 << 20
_LEVEL = 6


class Stays(Exception):
    """The file stays as it is; the text says why."""


def target_of(path: str, status: os.stat_result) -> str:
    """Where the compressed form of a file goes: beside it with `.gz`. Where another file has that name, the time of the last write
    goes into it, before the last suffix.

    Raises:
        Stays: Something else has that name, too.
    """
    plain = f"{path}.gz"
    if not os.path.lexists(plain) or is_compressed_form(plain, path):
        return plain
    base, suffix = os.path.splitext(path)
    dated = f"{base}.{datetime.fromtimestamp(status.st_mtime, timezone.utc):%Y%m%dT%H%M%SZ}{suffix}.gz"
    if not os.path.lexists(dated) or is_compressed_form(dated, path):
        return dated
    raise Stays(f"{dated} is there, and holds something else")


def is_compressed_form(packed: str, path: str) -> bool:
    """Whether a file holds, compressed, exactly what another one holds."""
    if not stat.S_ISREG(os.lstat(packed).st_mode):
        return False
    try:
        with gzip.open(packed, "rb") as left, open(path, "rb") as right:
            while True:
                first = left.read(_CHUNK)
                if first != right.read(len(first) or 1):
                    return False
                if not first:
                    return True
    except (OSError, EOFError, zlib.error):
        return False


def compress(path: str, on_bytes: t.Callable[[int], None] = lambda _done: None) -> t.Tuple[str, int]:
    """Replace a log file by its compressed form, with the same owner, mode and time. Returns that one's path and size in bytes.

    Raises:
        Stays: It changed meanwhile, or has no free name.
        Written: A process writes to it.
        NoSpace: The disk is full, or would be but for the reserve; the log file is as it was.
        RunbookError: What was written cannot be read again; the log file is as it was.
    """
    with unwritten(path) as watch:
        before = os.fstat(watch.descriptor)
        target = target_of(path, before)
        if not os.path.lexists(target):
            _write_beside(path, target, watch, before, on_bytes)
        watch.check()
        if not is_unchanged(path, watch, before):
            raise Stays("it was written to while it was compressed; the next run takes it")
        os.unlink(path)
    fsync_path(os.path.dirname(path))
    return target, os.stat(target).st_size


def is_unchanged(path: str, watch: Watch, before: os.stat_result) -> bool:
    """Whether a name still stands for the file that was opened, and that is as it was."""

    def picture(status: os.stat_result) -> t.Tuple[int, ...]:
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    try:
        return picture(os.lstat(path)) == picture(os.fstat(watch.descriptor)) == picture(before)
    except FileNotFoundError:
        return False


def _write_beside(path: str, target: str, watch: Watch, before: os.stat_result, on_bytes: t.Callable[[int], None]) -> None:
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.gz.{os.getpid()}.partial")
    try:
        try:
            digest, length = _pack(watch, temporary, name, before, on_bytes)
            _verify(temporary, digest, length, watch)
            if not is_unchanged(path, watch, before):
                raise Stays("it was written to while it was compressed; the next run takes it")
            _give_name(temporary, target)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)
    except FileExistsError:
        raise Stays(f"{target} came meanwhile") from None
    except OSError as error:
        raise no_space_or(error, path) from error
    fsync_path(folder)


def _give_name(temporary: str, target: str) -> None:
    try:
        # Unlike a rename this fails where somebody else has made a file of that name meanwhile.
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK) or os.path.lexists(target):
            raise
        os.rename(temporary, target)  # a file system without hard links


def _pack(watch: Watch, temporary: str, name: str, before: os.stat_result, on_bytes: t.Callable[[int], None]) -> t.Tuple[str, int]:
    """Write the compressed form; returns SHA-256 and number of the bytes that were read."""
    digest, done = hashlib.sha256(), 0
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.GzipFile(name, "wb", _LEVEL, raw, int(before.st_mtime)) as packed:
            while True:
                data = os.pread(watch.descriptor, _CHUNK, done)
                if not data:
                    break
                watch.check()
                keep_reserve(os.path.dirname(temporary))
                digest.update(data)
                packed.write(data)
                done += len(data)
                on_bytes(done)
        raw.flush()
        if (os.fstat(descriptor).st_uid, os.fstat(descriptor).st_gid) != (before.st_uid, before.st_gid):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
        os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.fsync(descriptor)
    return digest.hexdigest(), done


def _verify(packed: str, digest: str, length: int, watch: Watch) -> None:
    found, done, why = hashlib.sha256(), 0, ""
    try:
        with gzip.open(packed, "rb") as stream:
            for data in iter(lambda: stream.read(_CHUNK), b""):
                watch.check()
                found.update(data)
                done += len(data)
    except (OSError, EOFError, zlib.error) as error:
        why = str(error)
    if why or (found.hexdigest(), done) != (digest, length):
        raise RunbookError(
            "A compressed log file cannot be read again as it was",
            where=packed,
            why=why or f"{done} bytes came out of it, {length} went in",
            next_step="check the disk; the log file itself was not touched",
        )
