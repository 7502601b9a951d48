# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A set of files, unpacked into folders and compared there, file by file, with the list of its contents."""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
import typing as t
from contextlib import contextmanager
from functools import partial

from ..backup_set.sets import BackupSet
from ..errors import BadInput, SetDamaged
from ..restoring.scratch_folders import remove_scratch_folders, scratch_folder
from .archive import contents_lines, reading, unpack
from .contents import Comparison, compare, compare_links, count_below, entry_of, is_file
from .sink import Worker
from .tar_stream import Entry
from .tools import Tools

_SHORT = 60


class SourcePath(t.NamedTuple):
    """One path of a set.

    Attributes:
        path: Where it was.
        member: Name of a single file in its archive: where the path is a link, that of what it led to.
        is_folder: Whether it was a folder.
        size_bytes: Sum of its files' sizes.
        parts: Its archives, in the order in which they are unpacked: `archive`, `contents`, `encrypted`.
    """

    path: str
    member: str
    is_folder: bool
    size_bytes: int
    parts: t.Sequence[t.Mapping[str, t.Any]]


def paths_of(one: BackupSet) -> t.List[SourcePath]:
    """The paths of a set of files.

    Raises:
        BadInput: It is a set of another kind.
        SetDamaged: Its manifest cannot be read.
    """
    if one.damage:
        raise SetDamaged(f"The backup set {one.id} is damaged", where=one.folder, why="; ".join(one.damage), next_step="use another set")
    if one.manifest.get("kind") not in ("files", "volume") or one.manifest.get("method") != "archive":
        raise BadInput(f"{one.id} is no set of files", where=one.folder, next_step="choose a set of a store of files, or of a volume")
    return [
        SourcePath(
            path["path"],
            path.get("member") or os.path.basename(path["path"]),
            path["type"] == "folder",
            int(path["size_bytes"]),
            path["parts"],
        )
        for path in one.manifest["content"]["paths"]
    ]


def is_encrypted(sources: t.Sequence[SourcePath]) -> bool:
    """Whether any part of them is."""
    return any(part["encrypted"] for source in sources for part in source.parts)


@contextmanager
def key_for(tools: Tools, sources: t.Sequence[SourcePath]) -> t.Iterator[str]:
    """Make the private key known while the block runs; yields the folder of the key ring, which only GnuPG needs."""
    if not is_encrypted(sources):
        yield ""
        return
    if tools.encryption is None:
        raise BadInput("The set holds encrypted files, and no key is named", next_step="give backup_encryption with its identity_file")
    # GnuPG's agent has a socket in it, whose path may have 107 bytes (unix(7)).
    home = tempfile.gettempdir() if len(tempfile.gettempdir()) < _SHORT else "/tmp"  # noqa: S108 - the folder made in it is private
    remove_scratch_folders(home)
    with scratch_folder(home) as folder:
        try:
            tools.encryption.import_key(folder)
            yield folder
        finally:
            tools.encryption.forget_key(folder)


class There:
    """What is unpacked by now, for those who wait for it."""

    def __init__(self) -> None:
        self._upto, self._given_up = (0, 0), False
        self._changed = threading.Condition()

    def reached(self, part: int, members: int) -> None:
        """So many members of an archive are there, and all those before it."""
        with self._changed:
            self._upto = (part, members)
            self._changed.notify_all()

    def give_up(self) -> None:
        """No more will come."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def wait_for(self, part: int, members: int) -> None:
        """Until so many members of an archive are there.

        Raises:
            InterruptedError: They will not come.
        """
        if self._upto < (part, members) or self._given_up:
            with self._changed:
                self._changed.wait_for(lambda: self._given_up or self._upto >= (part, members))
                if self._given_up:
                    raise InterruptedError("unpacking was given up")


def unpack_source(tools: Tools, one: BackupSet, source: SourcePath, key_folder: str, into: str, there: There) -> None:
    """Unpack one path of a set into an empty folder, and have it on disk.

    Raises:
        CommandFailed: A program failed, for example because the private key is another one.
        NoSpace: The disk is nearly full.
        OSError: It could not be written to the disk.
    """
    for number, part in enumerate(source.parts):
        unpack(tools, one.path(part["archive"]), part["encrypted"], key_folder, into, partial(there.reached, number))
        there.reached(number + 1, 0)
    descriptor = os.open(into, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), into)
    finally:
        os.close(descriptor)


@contextmanager
def comparing(tools: Tools, one: BackupSet, source: SourcePath, key_folder: str, folder: str, into: Comparison) -> t.Iterator[There]:
    """Read what is unpacked while the block runs, in the same way as it was backed up, and hold it against the list.

    Each file is read as soon as it is there, its bytes still in memory; folders and links when all is.
    """
    there = There()
    work = Worker(lambda: _compare_source(tools, one, source, key_folder, folder, into, there))
    try:
        yield there
    except BaseException:
        there.give_up()
        work.join()
        raise
    work.result()


def _compare_source(tools: Tools, one: BackupSet, source: SourcePath, key_folder: str, folder: str, into: Comparison, there: There) -> None:
    owners, top, before = os.geteuid() == 0, os.fsencode(folder), into.tally.total

    def lines(part: t.Mapping[str, t.Any]) -> t.Iterator[bytes]:
        return contents_lines(tools, one.path(part["contents"]), part["encrypted"], key_folder)

    # Names that stand in a later archive, too: name -> number of the last one. Later archives are small.
    later = {entry_of(text).name: number for number, part in enumerate(source.parts) if number > 0 for text in lines(part)}

    def listed(files: bool) -> t.Iterator[Entry]:
        for number, part in enumerate(source.parts):
            for position, text in enumerate(lines(part), 1):
                if is_file(text) == files:
                    there.wait_for(*((number, position) if files else (len(source.parts), 0)))
                    entry = entry_of(text)
                    if later.get(entry.name, number) == number:
                        yield entry

    def expected() -> t.Iterator[Entry]:
        yield from listed(files=True)
        yield from (entry for entry in listed(files=False) if entry.type != "link")

    with reading(tools, top, (entry.name for entry in expected())) as (reader, _told):
        compare(expected(), iter(reader), into, owners=owners)
    compare_links((entry for entry in listed(files=False) if entry.type == "link"), top, into)
    wanted = into.tally.total - before + (0 if source.is_folder else 1)
    found = count_below(top)
    if found != wanted:
        into.differs(f"{found - wanted:+d} names in {source.path} against the list")
    if not owners and "owners and groups, which only root can put back" not in into.unknown:
        into.unknown.append("owners and groups, which only root can put back")
