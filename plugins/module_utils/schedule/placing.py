# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Files that a schedule owns: those that it writes, and those that it once wrote and no longer needs. Others are never touched."""

from __future__ import annotations

import os
import re
import stat
import typing as t
from dataclasses import dataclass

from ..errors import BadInput
from ..files import fsync_path, write_atomically
from ..state import make_folder

_PARTIAL = re.compile(r"^\.(.+)\.\d+\.partial$")
MARK = "# Made from the profile {} by sre.runbooks.schedule_setup; changes made here are lost at its next run."


@dataclass(frozen=True)
class File:
    """A file as it shall be.

    Attributes:
        path: Where.
        text: What is in it.
        mode: Permissions.
        owner: User id that it shall belong to; None for ours.
    """

    path: str
    text: str
    mode: int = 0o644
    owner: t.Optional[int] = None


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        write: Files that differ, each with its text now (None: it is not there).
        remove: Files that are owned and no longer wanted, each with its text.
    """

    write: t.Sequence[t.Tuple[File, t.Optional[str]]]
    remove: t.Sequence[t.Tuple[str, str]]

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.write or self.remove)

    def diff(self) -> t.List[t.Dict[str, str]]:
        """What changes, for Ansible's diff mode."""
        found = [
            {"before_header": one.path, "after_header": one.path, "before": before or "", "after": one.text} for one, before in self.write
        ]
        return found + [{"before_header": path, "after_header": "no file", "before": text, "after": ""} for path, text in self.remove]


def plan(wanted: t.Sequence[File], there: t.Iterable[str], owned: t.Callable[[str, str], bool]) -> Plan:
    """Compare what is wanted with what is there; changes nothing.

    Args:
        wanted: Files as they shall be.
        there: Paths of files that may be ours.
        owned: Whether the file with this path and text is ours.

    Raises:
        BadInput: Somebody else's file lies where one is to be, or one cannot be read.
    """
    write: t.List[t.Tuple[File, t.Optional[str]]] = []
    for one in wanted:
        text = _read(one.path)
        if text is not None and not owned(one.path, text):
            step = "move it away, or name another place"
            raise BadInput("A file that the schedule did not make lies where one is to be", where=one.path, next_step=step)
        if text != one.text or stat.S_IMODE(os.stat(one.path).st_mode) != one.mode:
            write.append((one, text))
    names = {one.path for one in wanted}
    remove = [
        (path, text) for path in sorted(there) if path not in names for text in [_read(path)] if text is not None and owned(path, text)
    ]
    return Plan(write, remove)


def write(files: t.Iterable[File]) -> None:
    """Write files, each at once or not at all.

    Raises:
        NoSpace: The disk is full.
        OSError: A file cannot be written.
    """
    for one in files:
        folder = os.path.dirname(one.path)
        for path in (os.path.dirname(folder), folder):
            if not os.path.isdir(path):
                make_folder(path)
                if one.owner is not None:
                    os.chown(path, one.owner, -1)
        write_atomically(one.path, one.text.encode(), one.mode)
        if one.owner is not None:
            os.chown(one.path, one.owner, -1)


def remove(paths: t.Iterable[str]) -> None:
    """Remove files that are there.

    Raises:
        OSError: One cannot be removed.
    """
    for path in paths:
        os.unlink(path)
        fsync_path(os.path.dirname(path))


def like(path: str, ours: t.Callable[[str], bool]) -> t.List[str]:
    """The files in the folder of `path` that have such names, those included that a killed run was about to give one."""
    folder = os.path.dirname(path)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names if ours(name) or any(map(ours, _PARTIAL.findall(name)))]


def is_partial(path: str) -> bool:
    """Whether a file was being written when its run was killed (files.write_atomically)."""
    return bool(_PARTIAL.match(os.path.basename(path)))


def can_write(folder: str) -> bool:
    """Whether files can be made in a folder, or in the nearest of its parents that is there."""
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return os.access(folder, os.W_OK | os.X_OK)


def _read(path: str) -> t.Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        step = "give the account the right to it (become), or name another place"
        raise BadInput("A file of the schedule cannot be read", where=path, why=error.strerror or "", next_step=step) from error
