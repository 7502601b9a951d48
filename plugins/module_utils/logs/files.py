# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The files of a log: its rotated generations in order, opened before anything is read, so that a rotation takes none away."""

from __future__ import annotations

import glob
import os
import re
import stat
import typing as t
from dataclasses import dataclass

from ..errors import BadInput
from .reading import fingerprint

_PACKED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_GENERATION = re.compile(
    r"(?:[.-](?P<number>\d{1,4})|[.-](?P<date>\d{4}-\d\d-\d\d(?:[T_-]?\d\d[:-]?\d\d(?:[:-]?\d\d)?)?|\d{8}(?:[T_-]?\d{2,6})?|\d{10}))?"
    r"(?P<packed>\.gz|\.zst|\.zstd)?"
)
"""What logrotate (`app.log.1`, `app.log-20261121.gz`), Python's handlers (`app.log.2026-11-21`) and others put behind a log's name."""
_TRIES = 5
_COMPARED_BYTES = 1 << 20
_MOST_FILES = 2000


@dataclass
class OpenFile:
    """A file of a log, held open.

    Attributes:
        path: Where it was found.
        descriptor: The open file.
        size: Its size in bytes when it was opened; no more is read.
        written: Time of its last change, in seconds since 1970.
        packed: `gzip`, `zstd`, or empty.
        identity: Device and number of the file.
        beginning: Its first bytes.
    """

    path: str
    descriptor: int
    size: int
    written: float
    packed: str
    identity: t.Tuple[int, int]
    beginning: bytes

    @property
    def held_path(self) -> str:
        """A path by which other processes of this account open this very file, whatever became of its name."""
        held = f"/proc/{os.getpid()}/fd/{self.descriptor}"
        return held if os.path.exists(held) else self.path

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def base_of(path: str) -> str:
    """The path of the log of which `path` may be a rotated generation."""
    folder, name = os.path.split(path)
    for place in range(1, len(name)):
        if _GENERATION.fullmatch(name[place:]):
            return os.path.join(folder, name[:place])
    return path


def logs_of(patterns: t.Sequence[str], generations: bool) -> t.List[t.List[str]]:
    """The files that the patterns mean, a list for each log, its oldest generation first.

    Args:
        patterns: Paths, which may have wildcards (`**` for folders of any depth).
        generations: Whether a log's rotated generations belong to it.

    Raises:
        BadInput: Nothing is there.
    """
    found: t.Dict[str, t.Set[str]] = {}
    for pattern in patterns:
        pattern = os.path.expanduser(pattern)
        is_glob = glob.has_magic(pattern)
        paths = [path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path)] if is_glob else [pattern]
        for path in sorted(paths)[:_MOST_FILES]:
            base = base_of(path) if generations and is_glob else path
            members = found.setdefault(base, set())
            if os.path.lexists(path):
                members.add(path)
            if generations:
                members |= _siblings(base)
    logs = [_in_order(base, members) for base, members in sorted(found.items())]
    if not any(logs):
        raise BadInput(
            "There is no such log", where=", ".join(patterns), next_step="correct the path in service_logs, or start what writes the log"
        )
    return [log for log in logs if log]


def _siblings(base: str) -> t.Set[str]:
    folder, name = os.path.split(base)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return set()
    return {
        os.path.join(folder, other)
        for other in names
        if other.startswith(name) and other != name and _GENERATION.fullmatch(other[len(name) :])
    }


def _in_order(base: str, members: t.Set[str]) -> t.List[str]:
    def key(path: str) -> t.Tuple[int, str, int]:
        match = _GENERATION.fullmatch(path[len(base) :])
        if path == base or match is None:
            return 2, "", 0
        if match.group("date"):
            return 0, re.sub(r"\D", "", match.group("date")).ljust(14, "0"), 0
        return 1, "", -int(match.group("number") or 0)

    def unpacked(path: str) -> str:
        root, extension = os.path.splitext(path)
        return root if extension in _PACKED else path

    # While a generation is being packed both files are there; the unpacked one is whole.
    return sorted((path for path in members if unpacked(path) == path or unpacked(path) not in members), key=key)


def opened(patterns: t.Sequence[str], generations: bool, since: t.Optional[float]) -> t.List[t.List[OpenFile]]:
    """The logs' files, open; the caller closes them.

    Args:
        patterns: See `logs_of`.
        generations: See `logs_of`.
        since: Files that were written last before this time are left out; None for all.

    Raises:
        BadInput: Nothing is there, or something is no file.
        OSError: A file may not be read.
    """
    for attempt in range(_TRIES):
        logs = logs_of(patterns, generations)
        files: t.List[t.List[OpenFile]] = []
        try:
            moved = _open_all(logs, files, since)
        except BaseException:
            close_all(files)
            raise
        # Until no rotation came in between: or a generation would be missing, or be there twice.
        if (not moved and logs_of(patterns, generations) == logs) or attempt == _TRIES - 1:
            return files
        close_all(files)
    return []


def _open_all(logs: t.Sequence[t.Sequence[str]], files: t.List[t.List[OpenFile]], since: t.Optional[float]) -> bool:
    """Open all; whether a rotation moved some of them meanwhile."""
    seen: t.Set[t.Tuple[int, int]] = set()
    moved = False
    for paths in logs:
        files.append([])
        for path in paths:
            try:
                file = _open(path)
            except FileNotFoundError:
                moved = True
                continue
            if file.identity in seen or (since is not None and file.written < since):
                file.close()
                continue
            seen.add(file.identity)
            files[-1].append(file)
        _leave_out_copies(files[-1])
    return moved or any(_moved(file) for log in files for file in log)


def _leave_out_copies(log: t.List[OpenFile]) -> None:
    """Close and leave out what a rotation (`copytruncate`) is copying from the newest file, which has not been cut yet and has it all."""
    if not log:
        return
    newest = log[-1]
    for file in [one for one in log[:-1] if not one.packed and 0 < one.size <= newest.size and newest.beginning.startswith(one.beginning)]:
        # Logs may begin alike, with a heading: a copy is alike from beginning to end.
        if _same(file.descriptor, newest.descriptor, file.size):
            log.remove(file)
            file.close()


def _same(one: int, other: int, size: int) -> bool:
    """Whether two open files are alike in their first `size` bytes."""
    for position in range(0, size, _COMPARED_BYTES):
        length = min(_COMPARED_BYTES, size - position)
        if os.pread(one, length, position) != os.pread(other, length, position):
            return False
    return True


def _moved(file: OpenFile) -> bool:
    """Whether the file was renamed, or cut, since it was opened."""
    try:
        found = os.stat(file.path)
    except OSError:
        return True
    return (
        (found.st_dev, found.st_ino) != file.identity
        or found.st_size < file.size
        or not fingerprint(file.descriptor).startswith(file.beginning)
    )


def _open(path: str) -> OpenFile:
    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise BadInput("A log is no file", where=path, next_step="name the log itself, or a pattern that finds it")
    packed = _PACKED.get(os.path.splitext(path)[1], "")
    return OpenFile(path, descriptor, found.st_size, found.st_mtime, packed, (found.st_dev, found.st_ino), fingerprint(descriptor))


def close_all(files: t.Iterable[t.Iterable[OpenFile]]) -> None:
    """Close what `opened` gave."""
    for log in files:
        for file in log:
            file.close()


def copy_of(path: str, beginning: bytes, size: int) -> t.Optional[int]:
    """The copy that a rotation made of the file at `path` before it cut it to nothing, as an open file; None when there is none.

    Args:
        path: Path of the file that was cut.
        beginning: How it began.
        size: How long it was at least.
    """
    for other in sorted(_siblings(path)):
        try:
            descriptor = os.open(other, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            continue
        if os.fstat(descriptor).st_size >= size and beginning and fingerprint(descriptor)[: len(beginning)] == beginning:
            return descriptor
        os.close(descriptor)
    return None
