# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Put files in their places, or back as they were: what check mode and diff show is what the real run does."""

from __future__ import annotations

import errno
import os
import re
import stat
import typing as t
from dataclasses import dataclass

from ..errors import BadInput
from ..files import write_atomically
from .files import Wanted

_MOST_BYTES = 16 * 1024 * 1024
_PARTIAL = re.compile(r"\.(.+)\.([0-9]+)\.partial\Z")
"""The temporary names of `files.write_atomically`."""


@dataclass(frozen=True)
class Difference:
    """A file as it is and as it shall be.

    Attributes:
        before: Its text; None where there is none.
        mode: Its permissions now; None where there is none.
    """

    wanted: Wanted
    before: t.Optional[str]
    mode: t.Optional[int]

    @property
    def changes(self) -> bool:
        """Whether it must be written. Permissions that somebody gave it stay."""
        return self.before != self.wanted.text


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        folders: Those that are missing.
        files: All files.
        leftovers: Half-written files that killed runs left behind.
    """

    folders: t.Sequence[str]
    files: t.Sequence[Difference]
    leftovers: t.Sequence[str]

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.folders or self.leftovers or any(one.changes for one in self.files))

    def touches(self, kind: str) -> bool:
        """Whether a file of this kind changes."""
        return any(one.changes and one.wanted.kind == kind for one in self.files)

    def diff(self) -> t.List[t.Dict[str, str]]:
        """What changes, for Ansible's diff mode."""
        made = [{"before_header": path, "after_header": path, "before": "", "after": "a folder\n"} for path in self.folders]
        return made + [
            {
                "before_header": one.wanted.path if one.before is not None else "no file",
                "after_header": one.wanted.path,
                "before": one.before or "",
                "after": one.wanted.text,
            }
            for one in self.files
            if one.changes
        ]


def plan(folders: t.Sequence[str], files: t.Sequence[Wanted]) -> Plan:
    """Compare what is wanted with what is there; changes nothing.

    Raises:
        BadInput: Something else than a file or folder lies where one is to be, or it cannot be read.
    """
    for path in folders:
        _see_that_it_can_be_a_folder(path)
    missing = [path for path in folders if not os.path.isdir(path)]
    return Plan(missing, [_difference(one) for one in files], _leftovers(files))


def make_folders(plan_: Plan) -> None:
    """Make the folders that are missing.

    Raises:
        BadInput: A folder cannot be made.
    """
    for path in plan_.folders:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise BadInput(
                "A folder of monitoring cannot be made",
                where=error.filename or path,
                why=error.strerror or str(error),
                next_step="give the account the right to write there (become), or name another folder",
            ) from error


def carry_out(plan_: Plan) -> None:
    """Write the files that differ, each at once or not at all; the folders are there.

    Raises:
        NoSpace: The disk is full.
        OSError: A file cannot be written.
    """
    for path in plan_.leftovers:
        _unlink(path)
    for one in plan_.files:
        if one.changes:
            write_atomically(one.wanted.path, one.wanted.text.encode(), one.wanted.mode if one.mode is None else one.mode)


def take_back(plan_: Plan) -> None:
    """Bring the files back as they were before; new ones go, folders stay.

    Raises:
        OSError: A file cannot be written.
    """
    for one in plan_.files:
        if one.changes and one.before is None:
            _unlink(one.wanted.path)
        elif one.changes and one.before is not None:
            write_atomically(one.wanted.path, one.before.encode("utf-8", "surrogateescape"), one.mode or one.wanted.mode)


def _difference(wanted: Wanted) -> Difference:
    try:
        status = os.stat(wanted.path)
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(
                "Something that is no file lies where one is to be", where=wanted.path, next_step="move it away, or name another file"
            )
        if status.st_size > _MOST_BYTES:
            raise BadInput(
                "The file is too large to be one of monitoring", where=wanted.path, next_step="look what it is, and name another file"
            )
        with open(wanted.path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return Difference(wanted, stream.read(), stat.S_IMODE(status.st_mode))
    except FileNotFoundError:
        return Difference(wanted, None, None)
    except NotADirectoryError as error:
        raise BadInput(
            "A folder of monitoring cannot be used", where=wanted.path, why=str(error.strerror), next_step="name another folder"
        ) from error
    except PermissionError as error:
        raise BadInput(
            "A file of monitoring cannot be read",
            where=wanted.path,
            why=str(error.strerror),
            next_step="give the account the right to it (become), or name another folder",
        ) from error


def _see_that_it_can_be_a_folder(path: str) -> None:
    probe = path
    while not os.path.lexists(probe) and os.path.dirname(probe) != probe:
        probe = os.path.dirname(probe)
    if not os.path.isdir(probe):
        raise BadInput("Something that is no folder lies where one is to be", where=probe, next_step="move it away, or name another folder")
    if probe != path and not os.access(probe, os.W_OK | os.X_OK):
        raise BadInput(
            "A folder of monitoring cannot be made",
            where=path,
            why=f"no right to write in {probe}",
            next_step="give the account the right to write there (become), or name another folder",
        )


def _leftovers(files: t.Sequence[Wanted]) -> t.List[str]:
    """Half-written files of processes that are gone."""
    names: t.Dict[str, t.Set[str]] = {}
    for one in files:
        folder, name = os.path.split(one.path)
        names.setdefault(folder, set()).add(name)
    found = []
    for folder, own in names.items():
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in entries:
            match = _PARTIAL.match(entry)
            if match and match.group(1) in own and not os.path.exists(f"/proc/{match.group(2)}"):
                found.append(os.path.join(folder, entry))
    return sorted(found)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
