# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Lines are appended to files of others so that each is there once, wherever the run is killed and whatever others do with the files.

Before anything is appended, a promise goes into the state folder: the lines themselves, at which size of which file they begin, and the
bookmarks behind them. Only when that is on the disk are they appended, and only when they are on the disk does the next promise take its
place. After a kill, or a full disk, the next run compares the files with the promise and appends what is missing. So nothing is ever cut
off, and the engine need not have these lines any more. What the promise does not explain belongs to others:

- Where something else follows, somebody has appended to the file; of ours the whole lines that are there count, and the rest comes behind.
- Where the file is another one, smaller, or gone, it was rotated, compressed or removed between the kill and now. Whether it took our
  lines with it cannot be told. They are appended to the new one, which may say them twice, rather than lose them; a note says so.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import re
import stat
import typing as t

from ..errors import BadInput, RunbookError
from ..files import fsync_path, keep_reserve, no_space_or, write_atomically
from .export_state import Part, State

FILE_MODE, FOLDER_MODE = 0o640, 0o750
_STEP = 1 << 20
_DIRECTIVE = re.compile(r"%[-_0^#]?[A-Za-z]")


def part_of(path: str, lines: bytes) -> t.Tuple[Part, bytes]:
    """The promise of lines for a file as it is now, with an end of line before them where it has none at its end."""
    try:
        with _opened(path) as stream:
            status = os.fstat(stream.fileno())
            if status.st_size and os.pread(stream.fileno(), 1, status.st_size - 1) != b"\n":
                lines = b"\n" + lines
            return Part(path, status.st_ino, status.st_size, len(lines)), lines
    except FileNotFoundError:
        return Part(path, 0, 0, len(lines)), lines


def missing(part: Part, lines: bytes) -> t.Tuple[bytes, str]:
    """What of a promise is not in its file yet. With a sentence where the promise does not tell that any more: then it is whole lines,
    which need a promise of their own."""
    try:
        with _opened(part.path) as stream:
            status = os.fstat(stream.fileno())
            if status.st_size < part.size or (part.inode and status.st_ino != part.inode):
                return lines, _doubt(part.path)
            there = os.pread(stream.fileno(), part.length, part.size)
            same = next((at for at, (one, other) in enumerate(zip(there, lines)) if one != other), len(there))
            if same == part.length or same == status.st_size - part.size:
                return lines[same:], ""
            rest = lines[lines.rfind(b"\n", 0, same) + 1 :]
            return rest, f"Somebody else has written to {part.path}, too; that stays as it is"
    except FileNotFoundError:
        return lines, _doubt(part.path) if part.inode else ""


def _doubt(path: str) -> str:
    return f"{path} was replaced or removed after a run was stopped; the last lines of that run are in the new file, and maybe in the old"


class Writer:
    """Appends lines to files by promises.

    Args:
        path: Where the state is kept.
        state: What is there; its bookmarks are moved by the caller, as lines are added.
        write_to: The pattern of the files, as for strftime(3).
    """

    def __init__(self, path: str, state: State, write_to: str) -> None:
        self.path, self.state, self._write_to = path, state, write_to
        self.changed = False
        self.notes: t.List[str] = []
        self._kept = state.encoded()

    def redeem(self, check_mode: bool) -> t.Dict[str, bytes]:
        """Append what a stopped run has promised and not written, or only tell: the lines by file."""
        redeemed, promise = {}, []
        for part, lines in self.state.promised():
            rest, note = missing(part, lines)
            if note:
                self.notes.append(note)
                part, lines = part_of(part.path, rest)
                rest = lines
            promise.append((part, lines))
            if rest:
                redeemed[part.path] = rest
        if redeemed and not check_mode:
            self._carry_out(promise, redeemed)
            self.close()
        return redeemed

    def add(self, lines: t.Mapping[str, t.Any]) -> None:
        """Append lines, by file; the bookmarks of the state are behind them."""
        promise = [part_of(path, bytes(content)) for path, content in lines.items()]
        self._carry_out(promise, {part.path: content for part, content in promise})

    def close(self) -> None:
        """All promises are kept: only the bookmarks stay."""
        self.state.parts, self.state.data = [], b""
        self._keep()

    def _carry_out(self, promise: t.Sequence[t.Tuple[Part, bytes]], lines: t.Mapping[str, bytes]) -> None:
        """Append lines once what explains them is on the disk."""
        self.state.parts, self.state.data = [part for part, _content in promise], b"".join(content for _part, content in promise)
        for path in lines:
            keep_reserve(os.path.dirname(path), 2 * len(self.state.data))
        self._keep()
        for path, content in lines.items():
            self._append(path, content)

    def _keep(self) -> None:
        encoded = self.state.encoded()
        if encoded != self._kept:
            keep_reserve(os.path.dirname(self.path), 2 * len(self.state.data))
            write_atomically(self.path, encoded)
            self._kept = encoded

    def _append(self, path: str, lines: bytes) -> None:
        try:
            try:
                stream = _opened(path, os.O_RDWR | os.O_APPEND)
            except FileNotFoundError:
                make_folder(os.path.dirname(path))
                stream = self._made(path)
            with stream:
                left = memoryview(lines)
                while left:
                    self.changed = True
                    left = left[os.write(stream.fileno(), left[:_STEP]) :]
                os.fsync(stream.fileno())
        except OSError as error:
            raise no_space_or(error, path) from error

    def _made(self, path: str) -> t.BinaryIO:
        """A new file, with owner and mode of the newest of its kind; where it is the first, readable for the group of its folder."""
        folder = os.path.dirname(path)
        like = _newest_like(folder, self._write_to)
        status = like or os.stat(folder)
        stream = _opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()) and os.geteuid() == 0:
            os.fchown(stream.fileno(), status.st_uid, status.st_gid)
        os.fchmod(stream.fileno(), stat.S_IMODE(like.st_mode) if like else FILE_MODE)
        fsync_path(folder)
        return stream


def _newest_like(folder: str, write_to: str) -> t.Optional[os.stat_result]:
    pattern = _likes_of(os.path.basename(write_to))
    with os.scandir(folder) as entries:
        alike = [one for one in entries if fnmatch.fnmatchcase(one.name, pattern) and one.is_file(follow_symlinks=False)]
        return max((one.stat(follow_symlinks=False) for one in alike), key=lambda status: status.st_mtime, default=None)


def _likes_of(write_to: str) -> str:
    """What the names of all its files fit (fnmatch)."""
    return _DIRECTIVE.sub("*", glob.escape(write_to))


def _opened(path: str, flags: int = os.O_RDONLY) -> t.BinaryIO:
    """A regular file with one name. The folder may belong to an account that we have more rights than: no link of its leads elsewhere."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_log(path) from error
        raise
    stream = os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "r+b", 0)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        stream.close()
        raise _no_log(path)
    return t.cast(t.BinaryIO, stream)


def _no_log(path: str) -> RunbookError:
    step = "remove or rename what is there"
    return BadInput("The file of a log is a link, a folder or something else that is no file of its own", where=path, next_step=step)


def make_folder(folder: str) -> None:
    """Make a folder with its parents, readable for a group; one that is there stays as it is."""
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=FOLDER_MODE, exist_ok=True)
        os.chmod(folder, FOLDER_MODE)
        fsync_path(os.path.dirname(folder))


def require_writable(path: str) -> None:
    """See that a file can be written, or made.

    Raises:
        BadInput: It cannot; nothing was changed.
    """
    probe, wanted = path, os.W_OK
    try:
        _opened(path).close()
    except (FileNotFoundError, NotADirectoryError):
        wanted = os.W_OK | os.X_OK
        while not os.path.lexists(probe):
            probe = os.path.dirname(probe)
    except PermissionError:
        pass
    if not os.access(probe, wanted) or (probe != path and not os.path.isdir(probe)):
        step = "let the procedure run as an account that may (become: true), or correct write_to"
        raise BadInput("The log cannot be written to its file", where=path, why=f"no permission at {probe}", next_step=step)


def point(link: str, path: str, check_mode: bool, write_to: str = "") -> t.Tuple[bool, str]:
    """Let a link show the file that is written to now: whether that is a change, and a sentence where somebody else's file stays. Ours is
    a link to a file of the same folder, or to one that fits the pattern."""
    folder, name = os.path.split(link)
    wanted = os.path.relpath(path, folder)
    if os.path.lexists(link):
        former = os.readlink(link) if os.path.islink(link) else ""
        shown = os.path.normpath(os.path.join(folder, former))
        is_ours = os.path.dirname(shown) == os.path.dirname(path) or fnmatch.fnmatchcase(shown, _likes_of(write_to))
        if not former or not is_ours:
            return False, f"{link} is no link to a file of {os.path.dirname(path)}, and stays as it is"
        if former == wanted:
            return False, ""
    if not check_mode:
        make_folder(folder)
        temporary = os.path.join(folder, f".{name}.partial")
        if os.path.lexists(temporary) and (os.path.islink(temporary) or not os.path.isdir(temporary)):
            os.unlink(temporary)  # a killed run has left it
        os.symlink(wanted, temporary)
        os.rename(temporary, link)
        fsync_path(folder)
    return True, ""
