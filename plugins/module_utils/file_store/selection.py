# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which files of a folder go into a set, and which of these go in encrypted."""

from __future__ import annotations

import fnmatch
import os
import re
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput


@dataclass(frozen=True)
class Selection:
    """Patterns over paths below a source.

    A pattern without a slash is held against every part of a path (`*.tmp`, `cache`), one with a slash, be it in front, against the path
    below the source (`data/*.log`, `/only-at-the-top`; `*` there stops at no slash). What lies in a folder that fits, fits, too.

    Attributes:
        include: Only files that fit one of these; empty for all.
        exclude: Files and whole folders that stay out.
        encrypt: Files that go in encrypted.
    """

    include: t.Sequence[str] = ()
    exclude: t.Sequence[str] = ()
    encrypt: t.Sequence[str] = ()


@dataclass
class Walk:
    """A walk over a source; after `names` has ended the rest is known.

    Attributes:
        top: The folder, or the one file, that is walked.
        folder: Where names are relative to: the folder itself, or the one that holds the file.
        secret: Names of the files that go in encrypted; few.
        sockets: How many sockets were passed by: they cannot be kept.
    """

    top: bytes
    selection: Selection
    without: t.Sequence[str] = ()
    secret: t.List[bytes] = field(default_factory=list)
    sockets: int = 0
    folder: bytes = b""
    is_folder: bool = True

    def __post_init__(self) -> None:
        self.is_folder = os.path.isdir(self.top)
        self.folder = self.top if self.is_folder else os.path.dirname(self.top)
        self._include = _matcher(self.selection.include)
        self._exclude = _matcher(self.selection.exclude)
        self._encrypt = _matcher(self.selection.encrypt)
        self._without = frozenset(os.fsencode(os.path.realpath(path)) for path in self.without)

    def names(self) -> t.Iterator[bytes]:
        """Names that go in as they are, a folder before what is in it; the secret ones are noted in `secret` instead.

        Raises:
            OSError: A folder cannot be read, other than because it is gone.
        """
        if not self.is_folder:
            name = os.path.basename(self.top)
            if self._encrypt is not None and self._encrypt(name):
                self.secret.append(name)
            else:
                yield name
            return
        yield b"."
        yield from self._below(self.top, b"")

    def _below(self, folder: bytes, prefix: bytes) -> t.Iterator[bytes]:
        include, exclude, encrypt = self._include, self._exclude, self._encrypt
        try:
            found = os.scandir(folder)
        except FileNotFoundError:
            return  # tar says so, too
        folders = []
        with found as entries:
            for entry in entries:
                name = prefix + entry.name
                if exclude is not None and exclude(name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if self._without and os.path.realpath(entry.path) in self._without:
                        continue
                    folders.append((entry.path, name))
                elif include is not None and not include(name):
                    continue
                elif encrypt is not None and encrypt(name):
                    self.secret.append(name)
                else:
                    yield name
        for path, name in folders:
            yield name
            yield from self._below(path, name + b"/")


def ancestors(names: t.Iterable[bytes], is_folder: bool = True) -> t.List[bytes]:
    """The folders that lead to the names, the top first: an archive that has them sets their times right when it is unpacked last."""
    found = {b"."} if is_folder else set()
    for name in names:
        while b"/" in name:
            name = name.rpartition(b"/")[0]
            found.add(name)
    return sorted(found, key=lambda name: (name != b".", name))


def _matcher(patterns: t.Sequence[str]) -> t.Optional[t.Callable[[bytes], bool]]:
    """A function that tells whether a path fits one of the patterns, itself or by a folder that it lies in; None for no patterns."""
    of_parts: t.List[str] = []
    of_paths: t.List[str] = []
    for pattern in patterns:
        trimmed = pattern.strip("/")
        if not trimmed:
            raise BadInput(f"The pattern {pattern!r} says nothing", next_step="correct include, exclude and encrypt of the store")
        expression = re.sub(r"\\[Zz]$", "", fnmatch.translate(trimmed))
        (of_paths if "/" in pattern.rstrip("/") else of_parts).append(f"(?:{expression})")
    if not patterns:
        return None
    part = re.compile(os.fsencode(f"(?:{'|'.join(of_parts)})\\Z")) if of_parts else None
    path = re.compile(os.fsencode(f"(?:{'|'.join(of_paths)})(?:/.*)?\\Z"), re.DOTALL) if of_paths else None

    def fits(name: bytes) -> bool:
        if path is not None and path.match(name):
            return True
        return part is not None and any(part.match(one) for one in name.split(b"/"))

    return fits
