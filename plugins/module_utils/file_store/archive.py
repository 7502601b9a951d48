# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Archives of files: GNU tar reads and unpacks, zstd or gzip compresses, age or GnuPG encrypts, all through pipes."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import time
import typing as t
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ..command import Command, end
from ..errors import BadInput, SetDamaged
from ..files import keep_reserve
from ..pipeline import Pipeline
from .contents import Tally, line
from .encryption import SUFFIX
from .messages import Told, read_messages
from .sink import Worker, compressing, widen
from .tar_stream import TarReader
from .tools import Tools

_RESERVE_EVERY_BYTES = 64 << 20
_LINES_BYTES = 64 << 10
_LINES_EVERY_S = 0.02
"""Reading every line as it comes would wake us for each file."""


@dataclass
class Packed:
    """An archive that was written.

    Attributes:
        tally: What it holds.
        told: What tar said of single files.
        archive: File of the set that has the files.
        contents: File of the set that has the list.
        linked: Names that share a file with another one: changed name -> all its names (filled for retries).
    """

    tally: Tally
    told: Told
    archive: str
    contents: str
    linked: t.Dict[bytes, t.List[bytes]] = field(default_factory=dict)


def pack(
    tools: Tools,
    folder: bytes,
    names: t.Iterable[bytes],
    set_folder: str,
    name: str,
    *,
    compression: str,
    secret: bool = False,
    on_bytes: t.Optional[t.Callable[[int], None]] = None,
) -> Packed:
    """Put files into an archive of a set, with the list of its contents beside it.

    Args:
        tools: The programs.
        folder: Where the names are relative to.
        names: What goes in, a folder before what is in it.
        set_folder: Folder of the set.
        name: Path of the archive in the set, without its endings.
        compression: In the words of a profile.
        secret: Whether it is encrypted, and the list with it.
        on_bytes: Called with the bytes that have been read so far.

    Raises:
        CommandFailed: tar could not read a file, or another program failed.
        NoSpace: The disk is full, or nearly so.
    """
    ending = tools.compressing(compression)[1] + (SUFFIX[tools.encryption.tool] if secret and tools.encryption else "")
    archive, contents = f"{name}.tar{ending}", f"{name}.contents{ending}"
    os.makedirs(os.path.dirname(os.path.join(set_folder, name)), mode=0o700, exist_ok=True)
    tally, linked = Tally(), _Linked()
    archive_sink = compressing(tools, compression, os.path.join(set_folder, archive), secret)
    contents_sink = compressing(tools, compression, os.path.join(set_folder, contents), secret)
    with archive_sink as to_archive, contents_sink as to_contents, reading(tools, folder, names) as (reader, told):
        lines: t.List[bytes] = []
        reader.on_block = _watched(to_archive, set_folder)
        for entry in reader:
            tally.add(entry)
            linked.add(entry.type, entry.name, entry.content)
            lines.append(line(entry))
            if len(lines) >= 1000:
                to_contents.write(b"".join(lines))
                lines.clear()
                if on_bytes is not None:
                    on_bytes(reader.read_bytes)
        to_contents.write(b"".join(lines))
    return Packed(tally, told, archive, contents, linked.of(told.changed))


class _Linked:
    """Which names are links to one file: those alone, which are few."""

    def __init__(self) -> None:
        self._first: t.Dict[bytes, t.List[bytes]] = {}

    def add(self, kind: str, name: bytes, content: str) -> None:
        if kind == "link":
            self._first.setdefault(content.encode("utf-8", "surrogateescape"), []).append(name)

    def of(self, names: t.Iterable[bytes]) -> t.Dict[bytes, t.List[bytes]]:
        found = {}
        for name in names:
            for first, others in self._first.items():
                if name == first or name in others:
                    found[name] = [first, *others]
        return found


def _watched(sink: t.IO[bytes], folder: str) -> t.Callable[[bytes], None]:
    """Writing to a sink as long as the disk of a folder is not nearly full."""
    since = _RESERVE_EVERY_BYTES

    def write(block: bytes) -> None:
        nonlocal since
        since += len(block)
        if since >= _RESERVE_EVERY_BYTES:
            keep_reserve(folder)
            since = 0
        sink.write(block)

    return write


@contextmanager
def reading(tools: Tools, folder: bytes, names: t.Iterable[bytes]) -> t.Iterator[t.Tuple[TarReader, Told]]:
    """Let tar read files and give a reader of its archive; what it said of single files is known when the block has ended.

    Raises:
        CommandFailed: tar failed, or could not read a file that is there.
    """
    command = tools.creating(folder)
    with tempfile.TemporaryFile() as said:
        process = command.start(stdin=subprocess.PIPE, stderr=said)
        told = Told()
        try:
            source, sink = t.cast("t.IO[bytes]", process.stdout), t.cast("t.IO[bytes]", process.stdin)
            widen(source)
            feeder = Worker(lambda: _feed(names, sink))
            try:
                yield TarReader(source), told
            except SetDamaged:
                # An archive without its end: why tar ended says more, unless it is still at work.
                with suppress(subprocess.TimeoutExpired):
                    process.wait(1)
                if process.poll() is not None:
                    _finish(command, process, feeder, said, told)
                raise
            _finish(command, process, feeder, said, told)
        finally:
            end(process)


def _finish(command: Command, process: t.Any, feeder: Worker, said: t.IO[bytes], told: Told) -> None:
    status = process.wait()
    said.seek(0)
    now, complaints = read_messages(said.read())
    told.changed, told.vanished, told.others = now.changed, now.vanished, now.others
    if status not in (0, 1, 2) or complaints:
        error = command.failure(status, "\n".join(complaints[:5]))
        error.next_step = "let the procedure run as root (become: true), or exclude what it may not read" if complaints else ""
        raise error
    if feeder.error is not None:
        raise feeder.error


def _feed(names: t.Iterable[bytes], sink: t.IO[bytes]) -> None:
    """Write the names, in large pieces."""
    try:
        piece: t.List[bytes] = []
        for name in names:
            piece.append(name)
            if len(piece) >= 500:
                sink.write(b"\0".join(piece) + b"\0")
                piece.clear()
        if piece:
            sink.write(b"\0".join(piece) + b"\0")
    except BrokenPipeError:
        pass  # tar has ended; its status says why
    finally:
        try:
            sink.close()
        except BrokenPipeError:
            pass


@contextmanager
def opened(tools: Tools, path: str, encrypted: bool, key_folder: str, *last: Command) -> t.Iterator[Pipeline]:
    """A file of a set, decrypted and decompressed; with `last`, piped into that program."""
    commands = [tools.decompressing(path), *last]
    if encrypted:
        if tools.encryption is None:
            raise BadInput("The set holds encrypted files, and no key is named", next_step="give backup_encryption with its identity_file")
        commands.insert(0, tools.encryption.decrypting(key_folder))
    with open(path, "rb") as stream, Pipeline(*commands, stdin=stream) as pipes:
        yield pipes


def unpack(tools: Tools, path: str, encrypted: bool, key_folder: str, into: str, on_members: t.Callable[[int], None]) -> None:
    """Unpack an archive of a set into a folder.

    Args:
        tools: The programs.
        path: The archive.
        encrypted: Whether it is.
        key_folder: Folder of the key ring, which only GnuPG needs.
        into: The folder.
        on_members: Called with the number of members that are there by now, those apart whose last touch comes at the end: folders
            and symbolic links (GNU tar manual, "Directory Modification Times and Permissions").

    Raises:
        CommandFailed: A program failed.
        NoSpace: The disk is nearly full.
    """

    def follow(lines: io.BufferedReader) -> None:
        begun = 0
        while True:
            some = lines.read1(_LINES_BYTES)
            if not some:
                return
            begun += some.count(b"\n")
            on_members(begun - 1)  # tar tells of a member before it unpacks it
            time.sleep(_LINES_EVERY_S)

    with opened(tools, path, encrypted, key_folder, tools.unpacking(into)) as pipes:
        follower = Worker(lambda: follow(t.cast("io.BufferedReader", pipes.stdout)))
        pipes.watch(lambda: keep_reserve(into), 0.1)
        follower.result()
    keep_reserve(into)  # what was unpacked between two looks counts, too


def copy(tools: Tools, folder: bytes, names: t.Iterable[bytes], into: str) -> Told:
    """Copy files from one folder into another with all that tar keeps; what changes or goes meanwhile is told, as in a backup.

    Raises:
        CommandFailed: A program failed, or could not read a file that is there.
        NoSpace: The disk is nearly full.
    """
    unpacking = Pipeline(tools.unpacking(into), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    with unpacking, reading(tools, folder, names) as (reader, told):
        reader.on_block = _watched(unpacking.stdin, into)
        for _entry in reader:
            pass
    return told


def contents_lines(tools: Tools, path: str, encrypted: bool, key_folder: str) -> t.Iterator[bytes]:
    """The lines of a list of contents."""
    with opened(tools, path, encrypted, key_folder) as pipes:
        yield from pipes.stdout
