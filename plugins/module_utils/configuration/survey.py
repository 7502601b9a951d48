# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Files and folders as they are: what a rollback point keeps of them, and what it is compared with."""

from __future__ import annotations

import errno
import os
import stat
import typing as t
from dataclasses import asdict, dataclass

from ..backup_set.hashing import hash_file
from ..errors import BadInput

FILE, FOLDER, LINK, ABSENT = "file", "folder", "link", "absent"
MOST_ENTRIES = 10_000
"""More files than this are no configuration."""
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True)
class Entry:
    """One file, folder or symbolic link, or that there is none.

    Attributes:
        path: Its absolute path.
        kind: `file`, `folder`, `link` or `absent`.
        mode: Its permissions; 0 of a link.
        uid: User id that it belongs to.
        gid: Group id that it belongs to.
        target: Where a link leads.
        sha256: SHA-256 of a file's content.
        size_bytes: Size of a file.
        secret: Whether its content is shown to nobody.
    """

    path: str
    kind: str
    mode: int = 0
    uid: int = -1
    gid: int = -1
    target: str = ""
    sha256: str = ""
    size_bytes: int = 0
    secret: bool = False

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For the manifest."""
        return asdict(self)

    def is_like(self, other: "Entry") -> bool:
        """Whether both are the same, whatever is said of who may see them."""
        return {**asdict(self), "secret": False} == {**asdict(other), "secret": False}


def entry_from(told: t.Mapping[str, t.Any]) -> Entry:
    """The entry that a manifest tells of."""
    return Entry(**{name: told[name] for name in Entry.__dataclass_fields__})


def survey(
    roots: t.Iterable[str], secret: t.Collection[str] = (), most_bytes: t.Optional[int] = None
) -> t.Tuple[t.List[Entry], t.List[str]]:
    """What there is at `roots`, everything in folders included.

    A root that is a symbolic link counts with what it leads to; links in folders are kept as links.

    Args:
        roots: Absolute paths.
        secret: Files, and folders with all files in them, whose content is shown to nobody. So is what only its owner may read.
        most_bytes: Sum of the sizes that is still taken for configuration; None for any.

    Returns:
        The entries, by path, and notes on what is no file, folder or link and was left out.

    Raises:
        BadInput: Something cannot be read, or there is too much of it.
    """
    found: t.Dict[str, Entry] = {}
    notes: t.List[str] = []
    size_bytes = 0
    for path in _paths(roots):
        left = None if most_bytes is None else most_bytes - size_bytes
        one = _look(path, secret, notes, left)
        if one is None:
            continue
        found[path] = one
        size_bytes += one.size_bytes
        if len(found) > MOST_ENTRIES:
            raise _too_much(path, f"there are more than {MOST_ENTRIES} files")
    return [found[path] for path in sorted(found)], notes


def _paths(roots: t.Iterable[str]) -> t.Iterator[str]:
    for root in roots:
        path = os.path.abspath(root)
        yield path
        if os.path.islink(path):
            path = os.path.realpath(path)
            yield path
        for folder, folders, names in os.walk(path, onerror=_raise):
            for name in sorted([*folders, *names]):
                yield os.path.join(folder, name)


def _raise(error: OSError) -> None:
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        raise _unreadable(str(error.filename), error)


def _look(path: str, secret: t.Collection[str], notes: t.List[str], left_bytes: t.Optional[int]) -> t.Optional[Entry]:
    try:
        status = os.lstat(path)
        path.encode()
        mode, uid, gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(path)
            target.encode()
            return Entry(path, LINK, uid=uid, gid=gid, target=target)
        if stat.S_ISDIR(status.st_mode):
            return Entry(path, FOLDER, mode, uid, gid)
        if not stat.S_ISREG(status.st_mode):
            notes.append(f"{path} is no file, and was left out")
            return None
        if left_bytes is not None and status.st_size > left_bytes:
            raise _too_much(path, f"with it ({status.st_size / 1e6:.1f} MB) the files are larger than is taken for configuration")
        digest, size = hash_file(path)
        return Entry(path, FILE, mode, uid, gid, sha256=digest, size_bytes=size, secret=not mode & _OTHERS_READ or is_among(path, secret))
    except (FileNotFoundError, NotADirectoryError):
        return Entry(path, ABSENT)
    except UnicodeEncodeError as error:
        where = os.fsencode(path).decode(errors="backslashreplace")
        raise BadInput("A name is no text in UTF-8", where=where, next_step="rename the file, or correct the link") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def is_among(path: str, roots: t.Iterable[str]) -> bool:
    """Whether a path is one of them, or in a folder that is."""
    return any(path == one or path.startswith(one.rstrip("/") + "/") for one in roots)


def _unreadable(path: str, error: OSError) -> BadInput:
    step = "give the account the right to it (become), or leave it out"
    return BadInput("A file cannot be read", where=path, why=error.strerror or "", next_step=step)


def _too_much(path: str, why: str) -> BadInput:
    step = "name the files of configuration alone; data belongs into a backup set"
    return BadInput("This is too much for a rollback point", where=path, why=why, next_step=step)
