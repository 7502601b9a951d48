# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""SHA-256 of files while they are being written, and later again to see that they are still the same.

Dumps compressed with zstd or lz4 carry no checksum of their content, and a flipped bit restores other rows without any error.
So every file is hashed as its bytes come into being: from a pipe on their way, or, where a tool writes the files itself, by
following each file as it grows, while its bytes are still in memory.
"""

from __future__ import annotations

import hashlib
import io
import os
import queue
import stat
import threading
import typing as t
from functools import partial

from ..errors import RunbookError
from ..files import fsync_path, no_space_or

BLOCK_BYTES = 1 << 20
_POLL_S = 0.05


def copy_hashed(
    source: t.IO[bytes], path: str, mode: int = 0o600, on_bytes: t.Optional[t.Callable[[int], None]] = None
) -> t.Dict[str, t.Any]:
    """Write a stream to a new file, hashing on the way, and fsync it.

    Args:
        source: Read to its end.
        path: File to make; it must not exist.
        mode: Its permissions.
        on_bytes: Called with the number of bytes written so far.

    Returns:
        `size_bytes` and `sha256`.

    Raises:
        NoSpace: The disk is full.
    """
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as target:
            while True:
                block = source.read(BLOCK_BYTES)
                if not block:
                    break
                digest.update(block)
                view = memoryview(block)
                while view:
                    view = view[target.write(view) :]
                size += len(block)
                if on_bytes is not None:
                    on_bytes(size)
            os.fsync(target.fileno())
    except OSError as error:
        raise no_space_or(error, path) from error
    return {"size_bytes": size, "sha256": digest.hexdigest()}


def hash_file(path: str, *also: t.Any) -> t.Tuple[str, int]:
    """SHA-256 (hexadecimal) and size in bytes of a file, read without keeping it in memory.

    Args:
        path: The file.
        also: Further hash objects of hashlib, which are fed the same bytes.
    """
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        size = feed(stream, bytearray(BLOCK_BYTES), digest, *also)
    return digest.hexdigest(), size


def feed(stream: io.FileIO, block: bytearray, *digests: t.Any) -> int:
    """Read a stream to its present end, by way of `block`, into hash objects; returns how many bytes that were."""
    size = 0
    while True:
        count = stream.readinto(block)
        if not count:
            return size
        for digest in digests:
            digest.update(memoryview(block)[:count])
        size += count


def new_md5() -> t.Any:
    """MD5, by which object stores tell what they hold (RFC 1321); it stands beside SHA-256 and protects nothing by itself."""
    return hashlib.new("md5", usedforsecurity=False)


def hash_md5(path: str) -> str:
    """MD5 (hexadecimal) of a file."""
    digest = new_md5()
    hash_file(path, digest)
    return str(digest.hexdigest())


class _Growing:
    """A file that is read as far as it goes. It is open only meanwhile: a dump has a file for each table, and a process may open 1024."""

    def __init__(self, path: str, inode: int) -> None:
        self.path, self.inode = path, inode
        self.digest, self.size = hashlib.sha256(), 0

    def advance(self, block: bytearray) -> int:
        with open(self.path, "rb", buffering=0) as stream:
            stream.seek(self.size)
            read = feed(stream, block, self.digest)
        self.size += read
        return read


class FollowingHasher:
    """Hashes all files below a folder while another program writes them front to back.

    `pg_dump -Fd` and `pg_basebackup -Ft` only ever append. A file that did not grow front to back would show another size, or
    another content, at the first verification of the set.

    Attributes:
        written_bytes: How many bytes have been seen so far, for progress.
    """

    def __init__(self, folder: str, rewritten: t.Sequence[str] = ()) -> None:
        """Args:
        folder: What to follow; it may come into being later.
        rewritten: Names of files that are not written front to back: they are read once, at the end.
        """
        self._folder = folder
        self._rewritten = frozenset(rewritten)
        self._files: t.Dict[str, _Growing] = {}
        self._done = threading.Event()
        self._error: t.Optional[BaseException] = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.written_bytes = 0

    def __enter__(self) -> "FollowingHasher":
        self._thread.start()
        return self

    def __exit__(self, *_error: t.Any) -> None:
        self._done.set()
        self._thread.join()

    def finish(self) -> t.Dict[str, t.Dict[str, t.Any]]:
        """When the writer has ended: hash the rest, fsync every file, and return path -> `size_bytes`, `sha256`.

        Raises:
            RunbookError: A file shrank or vanished while it was followed.
            NoSpace: The disk is full.
        """
        self._done.set()
        self._thread.join()
        if self._error is not None:
            raise RunbookError("Hashing the backup failed", where=self._folder, why=str(self._error))
        self._forget_renamed()
        self._rewritten = frozenset()
        self._scan(bytearray(BLOCK_BYTES))
        results = {}
        for path, growing in sorted(self._files.items()):
            status = os.stat(os.path.join(self._folder, path))
            if status.st_size != growing.size:
                raise RunbookError("A file changed its size while it was backed up", where=os.path.join(self._folder, path))
            results[path] = {"size_bytes": growing.size, "sha256": growing.digest.hexdigest()}
        self._fsync()
        return results

    def _forget_renamed(self) -> None:
        # A tool may give a file its name last (pg_basebackup: backup_manifest.tmp); it is then read anew under that name.
        for path, growing in list(self._files.items()):
            try:
                same = os.stat(growing.path).st_ino == growing.inode
            except FileNotFoundError:
                same = False
            if not same:
                del self._files[path]

    def _fsync(self) -> None:
        try:
            parallel([partial(fsync_path, growing.path) for growing in self._files.values()], jobs=4)
        except OSError as error:
            raise no_space_or(error, self._folder) from error

    def _follow(self) -> None:
        block = bytearray(BLOCK_BYTES)
        try:
            while not self._done.wait(_POLL_S):
                self._scan(block)
        except BaseException as error:  # handed to finish()
            self._error = error

    def _scan(self, block: bytearray) -> None:
        for top, _folders, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(top, name)
                relative = os.path.relpath(path, self._folder)
                try:
                    status = os.lstat(path)
                    if name in self._rewritten or not stat.S_ISREG(status.st_mode):
                        continue
                    growing = self._files.setdefault(relative, _Growing(path, status.st_ino))
                    if status.st_size > growing.size:
                        self.written_bytes += growing.advance(block)
                except FileNotFoundError:  # renamed since the folder was listed; seen under its new name next time
                    continue


def parallel(tasks: t.Sequence[t.Callable[[], t.Any]], jobs: int) -> t.List[t.Any]:
    """Run functions in `jobs` threads and return their results in order; the first error is raised after all have ended."""
    results: t.List[t.Any] = [None] * len(tasks)
    errors: t.List[BaseException] = []
    waiting: "queue.SimpleQueue[t.Tuple[int, t.Callable[[], t.Any]]]" = queue.SimpleQueue()
    for number, task in enumerate(tasks):
        waiting.put((number, task))

    def work() -> None:
        while not errors:
            try:
                number, task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results[number] = task()
            except BaseException as error:  # raised below, in the caller's thread
                errors.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _number in range(max(1, min(jobs, len(tasks))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
