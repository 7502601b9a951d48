# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What an export of logs keeps between two runs: bookmarks, and the promise of lines that are about to be appended."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass, field

from ..errors import BadInput
from .export_lines import Bookmark, seconds_of

_FORMAT = 1
_IDENTITY = (str, int, int, int)
"""Of what a line is known by, and of a promise."""


@dataclass(frozen=True)
class Part:
    """Lines that belong at the end of a file.

    Attributes:
        path: The file.
        inode: Its number; 0 when there was none.
        size: Its bytes before.
        length: Bytes of these lines.
    """

    path: str
    inode: int
    size: int
    length: int


@dataclass
class State:
    """What is kept between two runs.

    Attributes:
        marks: Bookmarks by the identity of the container.
        names: Its name, likewise.
        newest: The file of the newest line.
        parts: Where the lines of the promise belong.
        data: These lines, one part after the other.
        gaps: What no run has told yet, since each was stopped.
    """

    marks: t.Dict[str, Bookmark] = field(default_factory=dict)
    names: t.Dict[str, str] = field(default_factory=dict)
    newest: str = ""
    parts: t.List[Part] = field(default_factory=list)
    data: bytes = b""
    gaps: t.List[str] = field(default_factory=list)

    def encoded(self) -> bytes:
        """For the disk: a line of JSON, then the lines of the promise."""
        told = {
            "format": _FORMAT,
            "marks": {key: {**asdict(mark), "name": self.names.get(key, "")} for key, mark in self.marks.items()},
            "newest": self.newest,
            "parts": [asdict(part) for part in self.parts],
            "gaps": self.gaps,
        }
        return json.dumps(told, sort_keys=True).encode() + b"\n" + self.data

    def promised(self) -> t.Iterator[t.Tuple[Part, bytes]]:
        """The parts, each with its lines."""
        at = 0
        for part in self.parts:
            yield part, self.data[at : at + part.length]
            at += part.length


def read_state(path: str) -> State:
    """What the last run has left there; nothing where there was none.

    Raises:
        BadInput: The file is damaged.
    """
    try:
        with open(path, "rb") as stream:
            head, data = stream.readline(), stream.read()
    except FileNotFoundError:
        return State()
    try:
        told = json.loads(head)
        parts = [Part(*_shaped([part[key] for key in ("path", "inode", "size", "length")], *_IDENTITY)) for part in told["parts"]]
        marks = {key: _mark(one) for key, one in told["marks"].items()}
        newest, *gaps = _shaped([told["newest"], *told.get("gaps", [])])
        names = {key: str(one["name"]) for key, one in told["marks"].items()}
        if told["format"] != _FORMAT or sum(part.length for part in parts) != len(data):
            raise ValueError(f"format {told['format']}, {len(data)} bytes")
        return State(marks, names, newest, parts, data, gaps)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            "The bookmarks of an export of logs cannot be read",
            where=path,
            why=str(error),
            next_step="remove the file; then everything that the engine still has is exported again",
        ) from error


def _mark(one: t.Mapping[str, t.Any]) -> Bookmark:
    at = None if one["at"] is None else _shaped(one["at"], *_IDENTITY, int)
    (newest,) = _shaped([one["newest"]])
    for stamp in filter(None, [newest, at and at[0]]):
        seconds_of(stamp)
    return Bookmark(at, newest, [_shaped(cut, *_IDENTITY) for cut in one["cut"]])


def _shaped(values: t.Sequence[t.Any], *kinds: type) -> t.Any:
    """Values as a tuple.

    Raises:
        ValueError: They are not of these types; without any, not all texts.
    """
    if [type(value) for value in values] != list(kinds or (str for _value in values)):
        raise ValueError(f"{len(values)} values of other types than were kept")
    return tuple(values)
