# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Files that are either there whole or not there at all, and the system calls that this takes."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
import stat
import time
import typing as t
from contextlib import contextmanager

from .errors import CommandFailed, NoSpace, RunbookError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""renameat2(2): `AT_FDCWD` from fcntl.h, `RENAME_EXCHANGE` from linux/fs.h."""

RESERVE_BYTES = 64_000_000
"""Stays free on every disk that is written to. A PostgreSQL server on a disk without any room panics at its next checkpoint, and a program
that is told to stop goes on for a tenth of a second or two."""


def fsync_path(path: str) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut.

    Raises:
        OSError: The file system refused.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(top: str) -> None:
    """`fsync_path` for every file and folder below `top`, `top` and its parent included."""
    for folder, _folders, names in os.walk(top, topdown=False):
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                fsync_path(path)
        fsync_path(folder)
    fsync_path(os.path.dirname(os.path.abspath(top)))


def write_atomically(path: str, data: bytes, mode: int = 0o600, owner: t.Optional[t.Tuple[int, int]] = None) -> None:
    """Write `data` to `path` so that a reader, or a crash, sees the old content or the new, never a part.

    The temporary name is `.<name>.<process id>.partial` in the same folder; `remove_partials` knows it.

    Args:
        path: Where.
        data: What.
        mode: Permissions.
        owner: User and group id that it shall belong to; None for ours.

    Raises:
        NoSpace: The file system is full; the old content is untouched.
        OSError: Anything else that the file system refused.
    """
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            if owner is not None:
                os.chown(temporary, *owner)
            os.chmod(temporary, mode)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise no_space_or(error, path) from error
    fsync_path(folder)


def write_json(path: str, value: t.Any, mode: int = 0o600) -> None:
    """`write_atomically` of `value` as indented JSON with sorted keys and a final newline."""
    write_atomically(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode(), mode)


def no_space_or(error: OSError, path: str) -> Exception:
    """`NoSpace` for a full disk or quota, else `error` itself; to be raised."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(
            "The disk is full",
            where=path,
            why=error.strerror or "no space left on device",
            next_step="free space or choose another folder, then run the procedure again; it cleans up what is half done",
        )
    return error


def no_space_said(error: CommandFailed, path: str) -> Exception:
    """`NoSpace` for a program that failed for want of room, else `error` itself; to be raised."""
    if "no space left" in error.why.lower():
        return no_space_or(OSError(errno.ENOSPC, "No space left on device"), path)
    return error


def free_bytes(path: str) -> int:
    """Bytes that an unprivileged process can still write below `path`, or below its nearest existing parent."""
    probe = os.path.abspath(path)
    while not os.path.exists(probe):
        probe = os.path.dirname(probe)
    return shutil.disk_usage(probe).free


def inode_of(path: str) -> int:
    """Number of the file, folder or link at `path` on its file system; 0 when there is nothing."""
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return 0


def tree_bytes(top: str) -> int:
    """Sum of the sizes in bytes of the regular files below `top`."""
    total = 0
    for folder, _folders, names in os.walk(top):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                total += status.st_size
    return total


def exchange(first: str, second: str) -> None:
    """Let two existing paths on one file system change places in a single step (renameat2, `RENAME_EXCHANGE`).

    Raises:
        RunbookError: The kernel or the file system cannot do it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise RunbookError(
            "Two folders could not change places",
            where=f"{first} and {second}",
            why=os.strerror(code),
            next_step="both must exist on one file system that supports an atomic exchange (ext4, xfs, btrfs, tmpfs)",
        )


def nobody_holds(folder: str) -> bool:
    """Whether no process has a lock on a folder (flock(2)) at this moment; the marker of who works in it, which ends with the process.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: str, wait_s: float = 0.0) -> t.Iterator[bool]:
    """Hold an advisory lock (flock) on the file `path` while the block runs; yields whether it was free within `wait_s` seconds.

    The lock ends with the process, however that ends. The file stays, empty.
    """
    until = time.monotonic() + wait_s

    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free = True
                break
            except BlockingIOError:
                free = False
            if time.monotonic() >= until:
                break
            time.sleep(0.01)
        yield free
    finally:
        os.close(descriptor)


def remove_tree(path: str, wait_s: float = 10.0) -> None:
    """Remove a folder. What a killed run had started may work in it for another moment: that is waited for.

    Raises:
        OSError: It could not be removed within `wait_s` seconds.
    """
    give_up = time.monotonic() + wait_s
    while os.path.lexists(path):
        try:
            shutil.rmtree(path)
        except OSError as error:
            # A file came or went meanwhile.
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST) or time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def require_space(folder: str, needed_bytes: int) -> None:
    """Raise NoSpace unless `needed_bytes`, and the reserve, can be written below `folder`, or below its nearest existing parent."""
    free, wanted = free_bytes(folder), needed_bytes + RESERVE_BYTES
    if free < wanted:
        raise NoSpace(
            "There is too little room",
            where=folder,
            why=f"about {wanted / 1e6:.0f} MB are needed, of which {RESERVE_BYTES / 1e6:.0f} MB stay free; {free / 1e6:.0f} MB are free",
            next_step="free space, prune old sets or choose another folder; nothing was changed",
            facts={"needed_bytes": needed_bytes, "free_bytes": free},
        )


def keep_reserve(folder: str, more_bytes: int = 0) -> None:
    """Raise NoSpace when no more than the reserve is left on the disk of `folder`, or would be after so many bytes more; to be called
    often while something is written."""
    free = free_bytes(folder)
    if free - more_bytes < RESERVE_BYTES:
        raise NoSpace(
            "The disk is almost full, the work was stopped before it was",
            where=folder,
            why=f"{free / 1e6:.0f} MB are free, and {RESERVE_BYTES / 1e6:.0f} MB must stay free for the servers on this disk",
            next_step="free space or choose another folder, then run the procedure again; it cleans up what is half done",
            facts={"free_bytes": free},
        )


def require_folder_writable(folder: str) -> None:
    """Raise RunbookError unless the folder, or its nearest existing parent, can be written to."""
    probe = os.path.abspath(folder)
    while not os.path.exists(probe):
        probe = os.path.dirname(probe)
    if not os.path.isdir(probe) or not os.access(probe, os.W_OK | os.X_OK):
        raise RunbookError(
            "The backup folder cannot be written to",
            where=folder,
            why=f"no permission at {probe}",
            next_step="choose another folder or account",
        )
