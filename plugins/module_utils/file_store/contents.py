# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The list of what an archive holds, one JSON array a line: the fingerprint by which a restore is compared, file by file."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as _quoted

from .tar_stream import Entry

SHOWN = 20
"""So many names are told one by one in messages and manifests."""


def shown(name: bytes) -> str:
    """A file name as text for people; bytes that are no UTF-8 are shown as escapes."""
    return name.decode("utf-8", "backslashreplace")


def line(entry: Entry) -> bytes:
    """One line of the list. Names that are no UTF-8 survive as lone surrogates (PEP 383)."""
    name, kind, mode, uid, gid, mtime_ns, size, content, attributes = entry
    said = f'"{content}"' if kind == "file" else _quoted(content)
    text = _quoted(name.decode("utf-8", "surrogateescape"))
    return f'[{text}, "{kind}", {mode}, {uid}, {gid}, {mtime_ns}, {size}, {said}, "{attributes}"]\n'.encode()


def entry_of(text: bytes) -> Entry:
    """A line of the list, read again."""
    name, *rest = json.loads(text)
    return Entry(name.encode("utf-8", "surrogateescape"), *rest)


def is_file(text: bytes) -> bool:
    """Whether a line is of a file with content. Within a name, the quotes would have a backslash before them."""
    return b'", "file", ' in text


@dataclass
class Tally:
    """How much a list holds."""

    files: int = 0
    folders: int = 0
    links: int = 0
    others: int = 0
    size_bytes: int = 0

    def add(self, entry: Entry) -> None:
        """Count one more."""
        if entry.type == "file":
            self.files += 1
            self.size_bytes += entry.size_bytes
        elif entry.type == "folder":
            self.folders += 1
        elif entry.type in ("link", "symlink"):
            self.links += 1
        else:
            self.others += 1

    @property
    def total(self) -> int:
        """All of them."""
        return self.files + self.folders + self.links + self.others

    def told(self) -> t.Dict[str, int]:
        """As it stands in manifests and results."""
        return {
            "files": self.files,
            "folders": self.folders,
            "links": self.links,
            "others": self.others,
            "size_bytes": self.size_bytes,
        }


@dataclass
class Comparison:
    """What became of comparing restored files with the list.

    Attributes:
        tally: What was compared.
        differences: The first of them, in sentences.
        count: How many there are in all.
        unknown: What could not be compared.
    """

    tally: Tally = field(default_factory=Tally)
    differences: t.List[str] = field(default_factory=list)
    count: int = 0
    unknown: t.List[str] = field(default_factory=list)

    def differs(self, sentence: str) -> None:
        """Note a difference."""
        self.count += 1
        if self.count <= SHOWN:
            self.differences.append(sentence)

    def told(self) -> t.Dict[str, t.Any]:
        """As results have it."""
        more = [f"and {self.count - SHOWN} more"] if self.count > SHOWN else []
        return {
            "same": self.count == 0,
            "differences": [*self.differences, *more],
            "unknown": self.unknown,
            "compared": self.tally.told(),
        }


def compare(expected: t.Iterator[Entry], found: t.Iterator[Entry], into: Comparison, *, owners: bool) -> None:
    """Hold what is there against the list; both are in the list's order, so that neither is kept in memory.

    Args:
        expected: The list.
        found: What is there; what is missing is left out.
        into: Where the finding is noted.
        owners: Whether owners are compared.
    """
    there = next(found, None)
    for wanted in expected:
        into.tally.add(wanted)
        if there is None or there.name != wanted.name:
            into.differs(f"{shown(wanted.name)} is missing")
            continue
        if there != wanted:
            different = [
                f"{word} {_value(word, was)} became {_value(word, now)}"
                for word, was, now in zip(_WORDS, wanted[1:], there[1:])
                if was != now and (owners or word not in ("owner", "group"))
            ]
            if different:
                into.differs(f"{shown(wanted.name)}: {', '.join(different)}")
        there = next(found, None)
    while there is not None:
        into.differs(f"{shown(there.name)} does not belong there")
        there = next(found, None)


def compare_links(expected: t.Iterable[Entry], folder: bytes, into: Comparison) -> None:
    """See that names which shall be further names of one file are that; all else of them is the file's."""
    for wanted in expected:
        into.tally.add(wanted)
        names = (wanted.name, wanted.content.encode("utf-8", "surrogateescape"))
        try:
            one, other = (os.lstat(os.path.join(folder, name)) for name in names)
        except FileNotFoundError:
            into.differs(f"{shown(wanted.name)} is missing")
            continue
        if not os.path.samestat(one, other):
            into.differs(f"{shown(wanted.name)}: it is no longer the same file as {shown(names[1])}")


_WORDS = ("type", "mode", "owner", "group", "time", "size", "content", "attributes")


def _value(word: str, value: t.Any) -> str:
    if word == "mode":
        return f"{value:04o}"
    if word in ("content", "attributes"):
        return f"{value[:12]}…" if len(value) > 12 else (ascii(value) if value else "none")
    return str(value)


def count_below(folder: bytes) -> int:
    """How many names a folder holds, itself included, at any depth."""
    total, waiting = 1, [folder]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            for entry in found:
                total += 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return total
