# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What passes through a pipe as a tar archive, read on its way: every member with the SHA-256 of its content.

GNU tar writes and unpacks the archives; this only looks at what passes between it and the compressor, so that a file's fingerprint is
of the very bytes that are kept. The format is ustar with pax headers (POSIX.1-2017, pax, "pax Interchange Format") and GNU tar's sparse
files, version 1.0 (GNU tar manual, "Storing Sparse Files"). `tarfile` of the standard library needs four times the time for small files,
and cannot hand on the bytes it reads.
"""

from __future__ import annotations

import hashlib
import struct
import typing as t

from ..errors import SetDamaged

BLOCK = 512
_READ_BYTES = 1 << 20
_OWNERS = 1000
_HEADER = struct.Struct("100s 24s 12s 12s 8x c 100s 72x 8s 8s 155s 12x")
"""name; mode, owner and group; size; mtime; typeflag; linkname; device's major and minor number; prefix (POSIX.1-2017, pax, "ustar")."""
_USUAL = struct.Struct("124x 12s 20x c 355x 30s 482x 100s 24s 12s 20x c 188x 155s 12x")
"""A pax header (size, typeflag, text) and the header of its file (name, owner, size, typeflag, prefix)."""
_MTIME_BYTES = b"00000000036\0"
_TYPES = dict(
    zip((b"0", b"\0", b"7", b"1", b"2", b"3", b"4", b"5", b"6"), ("file",) * 3 + ("link", "symlink", "char", "block", "folder", "fifo"))
)
"""typeflag of the header -> what it is called here. `link` is a second name of a file that came before."""


class Entry(t.NamedTuple):
    """One member of an archive.

    Attributes:
        name: Its path as it lies in the archive, without `./` in front and `/` at the end; `.` for the top.
        type: `file`, `folder`, `symlink`, `link` (hard link), `fifo`, `char` or `block`.
        mode: Permission bits.
        uid: Number of its owner.
        gid: Number of its group.
        mtime_ns: Time of its last change, nanoseconds since 1970.
        size_bytes: Size of a file; 0 for others.
        content: SHA-256 of a file (hexadecimal), target of a link, `major,minor` of a device; else empty.
        attributes: Digest of its extended attributes and access lists (ACL); empty when it has none.
    """

    name: bytes
    type: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size_bytes: int
    content: str
    attributes: str = ""


class TarReader:
    """Iterates over the members of a tar archive that is read from `source`; every byte read is given to `on_block` first."""

    def __init__(self, source: t.IO[bytes], on_block: t.Optional[t.Callable[[bytes], t.Any]] = None) -> None:
        self._source, self.on_block = source, on_block
        self._buffer, self._at = b"", 0
        self._owners: t.Dict[bytes, t.Tuple[int, int, int]] = {}
        self.read_bytes = 0

    def __iter__(self) -> t.Iterator[Entry]:
        try:
            yield from self._members()
        except (ValueError, KeyError) as error:
            raise _strange(f"a header has no sense: {error}") from None
        self._rest()

    def _members(self) -> t.Iterator[Entry]:
        extended: t.Dict[bytes, bytes] = {}
        while True:
            if not extended:
                yield from self._usual()
            header = _HEADER.unpack(self._take(BLOCK))
            kind = header[4]
            if kind == b"x":  # what is said here is of the next member
                size = _number(header[2])
                extended = _records(self._take(_padded(size)), size)
            elif kind == b"g":  # of all; GNU tar writes none unless asked
                self._take(_padded(_number(header[2])))
            elif kind in _TYPES and header[0][0]:
                yield self._member(header, _TYPES[kind], extended)
                extended = {}
            elif any(field.strip(b"\0") for field in header):
                raise _strange(f"a member of type {kind!r}")
            else:
                return

    def _usual(self) -> t.Iterator[Entry]:
        """The next members, as long as they are what nearly all are: whole in the buffer, files, and only their time in a pax header."""
        buffer, at, owners, sha256 = self._buffer, self._at, self._owners, hashlib.sha256
        view, last = memoryview(buffer), len(buffer) - _USUAL.size
        while at <= last:
            length, extended, said, name, owner, stored, kind, prefix = _USUAL.unpack_from(buffer, at)
            if kind != b"0" or extended != b"x" or length != _MTIME_BYTES or said[:9] != b"30 mtime=" or owner not in owners or prefix[0]:
                return
            size = _number(stored)
            start = at + _USUAL.size
            end = start + _padded(size)
            if end > len(buffer):
                return
            self._at = at = end
            name, (mode, uid, gid) = bare(name.partition(b"\0")[0]), owners[owner]
            yield Entry(name, "file", mode, uid, gid, _nanoseconds(said[9:29]), size, sha256(view[start : start + size]).hexdigest())

    def _member(self, header: t.Tuple[bytes, ...], what: str, extended: t.Mapping[bytes, bytes]) -> Entry:
        name, owner, stored, mtime, _kind, target, major, minor, prefix = header
        content, size = "", 0
        if b"path" in extended:
            name = extended[b"path"]
        else:
            name = name.partition(b"\0")[0]
            if prefix[0]:
                name = prefix.partition(b"\0")[0] + b"/" + name
        if what == "file":
            size = int(extended[b"size"]) if b"size" in extended else _number(stored)
            if b"GNU.sparse.major" in extended:
                name = extended[b"GNU.sparse.name"]
                real = int(extended[b"GNU.sparse.realsize"])
                content, size = self._sparse(size, real), real
            else:
                content = self._content(size)
        elif what in ("symlink", "link"):
            target = extended.get(b"linkpath") or target.partition(b"\0")[0]
            content = (target if what == "symlink" else bare(target)).decode("utf-8", "surrogateescape")
        elif what in ("char", "block"):
            content = f"{_number(major)},{_number(minor)}"
        mode, uid, gid = self._owner(owner)
        return Entry(
            bare(name),
            what,
            mode,
            int(extended[b"uid"]) if b"uid" in extended else uid,
            int(extended[b"gid"]) if b"gid" in extended else gid,
            _nanoseconds(extended[b"mtime"]) if b"mtime" in extended else _number(mtime) * 1_000_000_000,
            size,
            content,
            _attributes(extended) if len(extended) > 1 else "",
        )

    def _owner(self, fields: bytes) -> t.Tuple[int, int, int]:
        """Mode, owner and group; most files of a folder have the same."""
        known = self._owners.get(fields)
        if known is None:
            if len(self._owners) > _OWNERS:
                self._owners.clear()
            known = self._owners[fields] = (_number(fields[:8]) & 0o7777, _number(fields[8:16]), _number(fields[16:]))
        return known

    def _content(self, size: int) -> str:
        """SHA-256 of the next `size` bytes; what pads them is passed by."""
        start, end = self._at, self._at + _padded(size)
        if end <= len(self._buffer):
            self._at = end
            return hashlib.sha256(memoryview(self._buffer)[start : start + size]).hexdigest()
        digest = hashlib.sha256()
        self._pour(size, digest.update)
        self._take(_padded(size) - size)
        return digest.hexdigest()

    def _take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, end = self._at, self._at + count
        if end <= len(self._buffer):
            self._at = end
            return self._buffer[start:end]
        parts = [self._buffer[start:]]
        missing = count - len(parts[0])
        while missing > 0:
            self._fill()
            part = self._buffer[:missing]
            self._at = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _pour(self, count: int, into: t.Callable[[t.Any], t.Any]) -> None:
        """Give the next `count` bytes to `into`, in parts."""
        while count > 0:
            if self._at == len(self._buffer):
                self._fill()
            part = memoryview(self._buffer)[self._at : self._at + count]
            into(part)
            self._at += len(part)
            count -= len(part)

    def _fill(self) -> None:
        block = self._source.read(_READ_BYTES)
        if not block:
            raise _strange("its end is missing")
        if self.on_block is not None:
            self.on_block(block)
        self.read_bytes += len(block)
        self._buffer, self._at = block, 0

    def _rest(self) -> None:
        """What comes behind the archive's end: zeros up to a whole record."""
        while True:
            block = self._source.read(_READ_BYTES)
            if not block:
                return
            if self.on_block is not None:
                self.on_block(block)

    def _sparse(self, stored: int, real: int) -> str:
        """SHA-256 of a sparse file's whole content: holes are read as zeros. The map is text in front of the data, a number a line."""
        left = stored
        text = b""

        def number() -> int:
            nonlocal text, left
            while b"\n" not in text:
                text += self._take(BLOCK)
                left -= BLOCK
            line, _newline, rest = text.partition(b"\n")
            text = rest
            return int(line)

        pieces = [(number(), number()) for _piece in range(number())]
        digest, position = hashlib.sha256(), 0
        for offset, size in pieces:
            _zeros(digest, offset - position)
            self._pour(size, digest.update)
            left -= size
            position = offset + size
        _zeros(digest, real - position)
        self._take(_padded(stored) - stored + left)
        return digest.hexdigest()


def bare(name: bytes) -> bytes:
    """A member's name without what tar adds: `./` in front, `/` at the end."""
    if name[:2] == b"./":
        name = name[2:]
    return name.rstrip(b"/") or b"."


def _padded(size: int) -> int:
    return (size + BLOCK - 1) & -BLOCK


def _number(field: bytes) -> int:
    """A number of a header: octal text, or binary when the first bit is set (GNU tar manual, "Basic Tar Format")."""
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        if not field[0] & 0x80:
            raise
    value = int.from_bytes(field, "big", signed=True)
    return value if field[0] == 0xFF else value + (1 << (8 * len(field) - 1))


def _records(data: bytes, size: int) -> t.Dict[bytes, bytes]:
    """The records `<length> <key>=<value>\\n` of a pax header."""
    if size < 100 and data.startswith(b"%d mtime=" % size):  # all that most files have
        return {b"mtime": data[9 : size - 1]}
    found, at = {}, 0
    while at < size:
        space = data.index(b" ", at)
        end = at + int(data[at:space])
        key, _equals, value = data[space + 1 : end - 1].partition(b"=")
        found[key] = value
        at = end
    return found


def _attributes(records: t.Mapping[bytes, bytes]) -> str:
    """Digest of what GNU tar keeps of extended attributes and ACLs (keys of star, which GNU tar took over)."""
    kept = sorted((key, value) for key, value in records.items() if key.startswith(b"SCHILY."))
    return hashlib.sha256(repr(kept).encode()).hexdigest()[:16] if kept else ""


def _nanoseconds(text: bytes) -> int:
    seconds, _point, part = text.partition(b".")
    return int((seconds or b"0") + part[:9].ljust(9, b"0"))


_ZEROS = bytes(_READ_BYTES)


def _zeros(digest: t.Any, count: int) -> None:
    while count > 0:
        part = min(count, _READ_BYTES)
        digest.update(_ZEROS[:part])
        count -= part


def _strange(what: str) -> SetDamaged:
    return SetDamaged("The archive cannot be read", why=what, next_step="use another set")
