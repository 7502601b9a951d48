# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The lines of a container's log as the engine sends them, and which of them are new. Reads what it is given, a portion at a time.

A bookmark is the last line that was exported: its time to the nanosecond, stream, length and CRC-32, and how many lines like it there
were by then. New is what comes after that one in the engine's log, which only grows at its end and loses at its beginning. So neither
equal times nor times out of order (two streams, a clock that was set back) matter. The engine is asked for what is not older than an
hour before the bookmark; if that does not hold it, for everything; if that neither, it was rotated away, and everything is new: a gap.
"""

from __future__ import annotations

import calendar
import re
import time
import typing as t
import zlib
from dataclasses import dataclass, field

from ..errors import CommandFailed

STDOUT = 1
_FAULT = 3
"""Stream of the engine's own words, where it fails while it reads a log (pkg/stdcopy, `Systemerr`)."""
_HEAD, _STAMP = 8, 30
_STAMPED = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")
_PART = 16384
"""The engine cuts longer lines into parts of so many bytes, which have the time of the first (daemon/logger/copier.go)."""
LONGEST = 64 * _PART
"""A line of more bytes becomes several, so that a log without any end of line needs no more memory than others."""
SLACK_S = 3600
"""A clock that is set back by less between two runs, and streams that wait for each other, hide no line."""
_MOST_CUT = 8

Identity = t.Tuple[str, int, int, int]
"""Time, stream, length in bytes and CRC-32 of a line: what is kept of it."""
Position = t.Tuple[str, int, int, int, int]
"""An identity, and how many lines of it there are up to here."""


class Line(t.NamedTuple):
    """A line of a log.

    Attributes:
        stamp: When the engine got it, `2026-03-01T03:15:00.123456789Z`; the order of these texts is that of the times.
        stream: 1 for standard output, 2 for standard error.
        text: It, without its end.
        cut: Whether it is the last of its stream, and has no end: what comes later may be read before it.
    """

    stamp: bytes
    stream: int
    text: bytes
    cut: bool = False

    @property
    def identity(self) -> Identity:
        """What is kept of it."""
        return self.stamp.decode(), self.stream, len(self.text), zlib.crc32(self.text)


@dataclass
class Bookmark:
    """Up to where a container's log is exported.

    Attributes:
        at: The last line; None when there is none yet.
        newest: The newest time of all; empty when there is none.
        cut: Last lines without an end that were exported, too, which may come after other lines when they are read again: the last of
            either stream, and some that the engine has rotated away.
    """

    at: t.Optional[Position] = None
    newest: str = ""
    cut: t.List[Identity] = field(default_factory=list)

    def move(self, found: "Found") -> None:
        """To a line that is exported now, or was when it had no end."""
        if found.position is not None:
            self.at = found.position
            self.cut = [one for one in self.cut if one != found.line.identity]
        elif found.line.cut:
            self.cut = [*self.cut, found.line.identity][-_MOST_CUT:]
        stamp = found.line.stamp.decode()
        if stamp > self.newest:
            self.newest = stamp


class Found(t.NamedTuple):
    """A line behind the bookmark.

    Attributes:
        line: It.
        position: None for one without an end.
        is_new: Whether it is to be exported. One that was, when it had no end and nothing was behind it, only moves the bookmark.
    """

    line: Line
    position: t.Optional[Position]
    is_new: bool = True


class Window(t.NamedTuple):
    """Which lines the engine is asked for: seconds since 1970 of the first and the last; None for no limit."""

    since: t.Optional[float] = None
    until: t.Optional[float] = None


def lines_of(portions: t.Iterable[bytes], terminal: bool, ended: t.Callable[[str], bool]) -> t.Iterator[Line]:
    """The lines of a log that was asked for with times.

    Args:
        portions: As the engine sends them: in frames, or bare where the container has a terminal (Engine API, "Stream format").
        terminal: Whether it has.
        ended: Whether a line of that time, which has no end yet, gets none any more, since its process has ended.

    Raises:
        CommandFailed: The engine could not read the log, or sends something else.
    """
    if terminal:
        yield from _bare(portions)
        return
    unfinished: t.Dict[int, t.Tuple[bytes, bytearray]] = {}
    for stream, content in _frames(portions):
        if not _STAMPED.match(content):
            raise CommandFailed("The Docker Engine cannot read the log", why=_words(stream, content))
        stamp, has_end = content[:_STAMP], content.endswith(b"\n")
        former = unfinished.pop(stream, None)
        if former is None and has_end:
            yield Line(stamp, stream, content[_STAMP + 1 : -1])
            continue
        if former is not None and former[0] != stamp:
            yield Line(former[0], stream, bytes(former[1]))  # its process has ended in the middle of it
            former = None
        text = bytearray() if former is None else former[1]
        text += content[_STAMP + 1 : -1 if has_end else None]
        if has_end or len(text) >= LONGEST:
            yield Line(stamp, stream, bytes(text))
        else:
            unfinished[stream] = (stamp, text)
    for stream, (stamp, text) in sorted(unfinished.items()):
        if ended(stamp.decode()):
            yield Line(stamp, stream, bytes(text), cut=True)


def _words(stream: int, content: bytes) -> str:
    """The engine's own words; never those of a log."""
    return content[:500].decode(errors="replace").strip() if stream == _FAULT else "a line without its time came"


def _frames(portions: t.Iterable[bytes]) -> t.Iterator[t.Tuple[int, bytes]]:
    """Stream and content of each frame; a last one that is not whole is left out."""
    left = b""
    for portion in portions:
        data, at = left + portion, 0
        while at + _HEAD <= len(data):
            end = at + _HEAD + int.from_bytes(data[at + 4 : at + _HEAD], "big")
            if end > len(data):
                break
            yield data[at], data[at + _HEAD : end]
            at = end
        left = data[at:]


def _bare(portions: t.Iterable[bytes]) -> t.Iterator[Line]:
    """The lines of a container with a terminal. In a long line the time stands before each part. One without an end is left out: what
    comes next would be joined to it."""
    left = b""
    for portion in portions:
        *whole, left = (left + portion).split(b"\n")
        for line in whole:
            yield from map(_of_terminal, _pieces(line))
        *pieces, left = _pieces(left)
        yield from map(_of_terminal, pieces)


def _pieces(line: bytes) -> t.List[bytes]:
    """A line as it is, or, where it is too long, cut between two parts of it."""
    longest, pieces = LONGEST // _PART * (_STAMP + 1 + _PART), []
    while len(line) > longest + _STAMP:
        stamp = b"" if _STAMPED.match(line, longest) else line[: _STAMP + 1]
        pieces.append(line[:longest])
        line = stamp + line[longest:]
    return [*pieces, line]


def _of_terminal(line: bytes) -> Line:
    if not _STAMPED.match(line):
        raise CommandFailed("The Docker Engine cannot read the log", why=_words(STDOUT, line))
    text = line[_STAMP + 1 :].replace(line[: _STAMP + 1], b"")
    return Line(line[:_STAMP], STDOUT, text[:-1] if text.endswith(b"\r") else text)


def new_lines(read: t.Callable[[Window], t.Iterable[Line]], mark: Bookmark, now: float, on_gap: t.Callable[[], None]) -> t.Iterator[Found]:
    """The lines behind a bookmark, which is not moved.

    Args:
        read: Reads the log within a window; lines later than its end may be left out from the first of them on.
        mark: The bookmark.
        now: The present; lines that come later are left to the next run, so that logs that are merged end at one moment.
        on_gap: Called when the bookmark's line is not in the log any more.
    """
    if mark.at is None:
        yield from _counted(read(Window(until=now)), mark.cut)
        return
    # Where the clock was set back, lines of the future come before the bookmark.
    windows = [Window()]
    if seconds_of(mark.newest) < now:
        windows.insert(0, Window(since=float(seconds_of(mark.at[0]) - SLACK_S), until=now))
    seen = 0
    for window in windows:
        counted, seen = _counted(read(window), mark.cut), 0
        for found in counted:
            if found.position is not None and found.position[:4] == mark.at[:4]:
                seen = found.position[4]
                if seen >= mark.at[4]:
                    yield from counted
                    return
    if not seen:
        on_gap()
    # Of lines that are alike some were rotated away, or the bookmark's line itself.
    passed = not seen
    for found in _counted(read(Window()), mark.cut):
        if passed:
            yield found
        elif found.position == (*mark.at[:4], seen):
            passed = True


def _counted(lines: t.Iterable[Line], cut: t.Sequence[Identity]) -> t.Iterator[Found]:
    """Lines with their positions, but for those without an end that were exported. The times of one stream only grow, so that
    lines that are alike follow each other in it."""
    alike: t.Dict[int, t.Tuple[bytes, t.Dict[Identity, int]]] = {}
    for line in lines:
        identity = line.identity
        if line.cut:
            if identity not in cut:
                yield Found(line, None)
            continue
        stamp, counts = alike.get(line.stream, (b"", {}))
        if stamp != line.stamp:
            counts = {}
            alike[line.stream] = (line.stamp, counts)
        counts[identity] = counts.get(identity, 0) + 1
        yield Found(line, (*identity, counts[identity]), identity not in cut)


def seconds_of(stamp: str) -> int:
    """Whole seconds since 1970 of a time as the engine writes it."""
    return calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))


class Days:
    """The file of a line: that of its day, or whatever strftime(3) makes of its time in the time zone of this host."""

    def __init__(self, write_to: str) -> None:
        self._write_to, self._second, self._path = write_to, b"", ""

    def path(self, stamp: bytes) -> str:
        """Where a line of that time goes."""
        second = stamp[:19]
        if second != self._second:
            self._second = second
            self._path = time.strftime(self._write_to, time.localtime(seconds_of(second.decode())))
        return self._path
