# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The latest lines of a log file, followed as they come; through rotation, truncation, broken text and very long lines."""

from __future__ import annotations

import glob
import json
import os
import re
import stat
import typing as t
from collections import deque

from ..checks.redaction import MASK, is_secret_name
from ..logs.levels import level_in, level_of
from ..logs.records import dig, json_object
from ..logs.shown import Shown

KEPT_LINES = 200
"""Lines that a new reader gets, and that a slow one can fall behind before some are skipped."""
_BEGIN_BYTES = 64 * 1024
_READ_BYTES = 1024 * 1024
_LONGEST_LINE = 64 * 1024
_SHOWN_CHARACTERS = 1000
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""Control sequences, ECMA-48 section 5.4, and the operating system commands of terminals."""
_TIMES = ("timestamp", "time", "@timestamp", "ts", "asctime", "datetime")
_LEVELS = ("level", "levelname", "severity", "log.level", "lvl")
_MESSAGES = ("message", "msg", "event", "text")
_FIELDS = 20
_IS_GLOB = re.compile(r"[*?\[]")

Line = t.Dict[str, str]


class Tail:
    """Follows one file. `poll` reads what is new; it may be called from any one thread at a time.

    Attributes:
        lines: Number and content of the latest lines; the numbers go up without a gap.
        problem: Why nothing can be read at the moment; empty when all is well.
    """

    def __init__(self, source: t.Mapping[str, str], shown: t.Optional[Shown] = None) -> None:
        self.source = source
        self.lines: "deque[t.Tuple[int, Line]]" = deque(maxlen=KEPT_LINES)
        self.problem = "nothing was read yet"
        self._number = 0
        self._shown = shown or Shown()
        self._stream: t.Optional[t.BinaryIO] = None
        self._identity: t.Tuple[int, int] = (0, 0)
        self._rest = b""
        self._is_dropping = False

    def poll(self) -> None:
        """Read what has been written since."""
        try:
            path = self._path()
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                self._close("it is no regular file")
                return
            if self._stream is not None and (found.st_dev, found.st_ino) != self._identity:
                self._read()  # what was written before the file was rotated away
                self._close("")
            if self._stream is None:
                self._open(path, from_the_beginning=self._identity != (0, 0))
            elif found.st_size < self._stream.tell():
                self._stream.seek(0)
                self._rest, self._is_dropping = b"", False
            self._read()
            self.problem = ""
        except OSError as error:
            self._close(f"it cannot be read: {error.strerror}")

    def since(self, number: int) -> t.Tuple[int, t.List[t.Tuple[int, Line]]]:
        """How many lines after `number` are no longer there, and those that are."""
        there = [(own, line) for own, line in self.lines if own > number]
        first = there[0][0] if there else self._number + 1
        return max(0, first - number - 1), there

    def close(self) -> None:
        """Let go of the file."""
        self._close("closed")

    def _path(self) -> str:
        path = self.source["path"]
        if not _IS_GLOB.search(path) or os.path.exists(path):
            return path
        candidates = [(os.stat(name).st_mtime, name) for name in glob.glob(path)[:1000] if os.path.isfile(name)]
        return max(candidates, default=(0.0, path))[1]

    def _open(self, path: str, *, from_the_beginning: bool) -> None:
        # A named pipe put in its place meanwhile must not hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise OSError(0, "it is no regular file")
        self._stream = os.fdopen(descriptor, "rb", buffering=0)
        self._identity = (found.st_dev, found.st_ino)
        begin = 0 if from_the_beginning else max(0, found.st_size - _BEGIN_BYTES)
        self._stream.seek(begin)
        self._rest, self._is_dropping = b"", begin > 0

    def _close(self, problem: str) -> None:
        self.problem = problem
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _read(self) -> None:
        if self._stream is None:
            return
        left = os.fstat(self._stream.fileno()).st_size - self._stream.tell()
        if left > _READ_BYTES:
            # Nobody can read so much; what is newest counts.
            self._add({"at": "", "level": "", "text": f"... {left - _READ_BYTES} bytes were skipped ..."})
            self._stream.seek(left - _READ_BYTES, os.SEEK_CUR)
            self._rest, self._is_dropping = b"", True
        *whole, self._rest = (self._rest + (self._stream.read(_READ_BYTES) or b"")).split(b"\n")
        for line in whole:
            if self._is_dropping:
                self._is_dropping = False  # the end of a line whose beginning is not there
            elif line.strip():
                self._add(line_of(line, self.source, self._shown))
        if len(self._rest) > _LONGEST_LINE:
            if not self._is_dropping:
                self._add(line_of(self._rest, self.source, self._shown))
            self._rest, self._is_dropping = b"", True

    def _add(self, line: Line) -> None:
        self._number += 1
        self.lines.append((self._number, line))


def line_of(raw: bytes, source: t.Mapping[str, str], shown: Shown) -> Line:
    """A line for the reader: `at`, `level` and `text`, without control sequences and secrets. The page escapes it."""
    text = _ANSI.sub("", raw[:_LONGEST_LINE].decode("utf-8", "replace")).rstrip("\r\n")
    found = json_object(text) if text.lstrip().startswith("{") and source.get("format") != "plain" else None
    if found is None:
        return {"at": "", "level": _word(level_in(text)), "text": shown.line(text, _SHOWN_CHARACTERS)}
    at, level, message = (
        _first(found, (source.get(option, ""), *usual))
        for option, usual in (("time_field", _TIMES), ("level_field", _LEVELS), ("message_field", _MESSAGES))
    )
    rest = [
        f"{key}={MASK if is_secret_name(key) and isinstance(value, str) else _scalar(value)}"
        for key, value in list(found.items())[:_FIELDS]
        if key not in (at[0], level[0], message[0])
    ]
    said = " ".join([*([_scalar(message[1])] if message[0] else []), *rest])
    return {"at": shown.line(_scalar(at[1]), 40), "level": _word(level_of(level[1])), "text": shown.line(said, _SHOWN_CHARACTERS)}


def _first(document: t.Mapping[str, t.Any], names: t.Iterable[str]) -> t.Tuple[str, t.Any]:
    for name in filter(None, names):
        value = dig(document, name)
        if value is not None:
            return name, value
    return "", ""


def _scalar(value: t.Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _word(level: t.Optional[str]) -> str:
    return re.sub(r"[^A-Z0-9_-]", "", (level or "").upper())[:10]
