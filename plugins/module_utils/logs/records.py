# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One line of a log, read by itself: what every faster way of reading must agree with."""

from __future__ import annotations

import json
import re
import typing as t

from .levels import level_in, level_of
from .model import LEVEL, MESSAGE, TYPE, Source
from .options import scalar_text
from .search import TooSlow, Watch
from .times import TimeReader

_DECODER = json.JSONDecoder(strict=False, parse_constant=lambda _name: None)
_NUMBER = re.compile(r"-?\d{1,300}(?:\.\d{1,300})?(?:[eE][-+]?\d{1,4})?")
_ERROR_NAME = re.compile(r"(?<![\w$])(?:[\w$]{1,80}\.){0,10}([A-Z][\w$]{0,80}(?:Error|Exception|Timeout))(?![\w$])")
_SEARCHED = 65536
"""How much of a plain line is searched for fields."""


def json_object(text: str) -> t.Optional[t.Dict[str, t.Any]]:
    """The JSON object that is the whole of `text`; None when it is none. Control characters in texts are let pass, as `jq` does."""
    if not text.startswith("{"):
        return None
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not text[end:].strip(" \t\r\n") else None


def dig(document: t.Mapping[str, t.Any], name: str) -> t.Any:
    """The value of a member, or, by a name with dots, of a member of a member; None when there is none."""
    value = document.get(name)
    if value is not None:
        return value
    position = name.find(".")
    while position >= 0:
        inner = document.get(name[:position])
        if isinstance(inner, dict):
            value = dig(inner, name[position + 1 :])
            if value is not None:
                return value
        position = name.find(".", position + 1)
    return None


def number_of(value: t.Any) -> t.Optional[float]:
    """The finite number that a value is, or that its text is; None for others."""
    if isinstance(value, str):
        if _NUMBER.fullmatch(value.strip()[:700]) is None:
            return None
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if abs(number) != float("inf") else None


class Record:
    """A line.

    Attributes:
        text: The line, without what a container engine or the journal wraps around it.
        members: The JSON object that it is; None for a plain line.
        time: Its own time; None when it has none.
        broken: Whether it should have been JSON and is not.
    """

    __slots__ = ("_level", "_reader", "broken", "members", "text", "time")

    def __init__(self, reader: "RecordReader", text: str, members: t.Optional[t.Dict[str, t.Any]], broken: bool = False) -> None:
        self._reader = reader
        self.text = text
        self.members = members
        self.broken = broken
        self.time: t.Optional[float] = None
        self._level: t.Optional[str] = ""

    @property
    def level(self) -> t.Optional[str]:
        """Its level, one of those of `levels` or the log's own word; None when it names none."""
        if self._level == "":
            if self.members is None:
                self._level = level_in(self.text)
            else:
                self._level = level_of(self._member(LEVEL))
        return self._level

    @level.setter
    def level(self, level: t.Optional[str]) -> None:
        self._level = level

    def value(self, name: str) -> t.Any:
        """The value of the field `name`, of any JSON type; None when it has none."""
        if name == LEVEL:
            return self.level
        if self.members is None:
            # Of half a JSON object no value is whole for sure; other lines among JSON ones are plain.
            return None if self.broken and self.text.startswith("{") else self._reader.plain_value(self.text, name)
        return self._member(name)

    def scalar(self, name: str) -> t.Optional[str]:
        """The value as text; None when there is none, or when it is a list or an object."""
        return scalar_text(self.value(name))

    def number(self, name: str) -> t.Optional[float]:
        """The value as a number; None when it is none."""
        return number_of(self.value(name))

    def _member(self, name: str) -> t.Any:
        for candidate in self._reader.source.names_of(name):
            value = dig(self.members or {}, candidate)
            if value is not None:
                return value
        return None


class RecordReader:
    """Reads the lines of one log.

    Args:
        source: How the log is written; its format must not be `auto`.
        watch: Ends searches that take too long.
        newest: Time about which the log was written last.
        stamped: Whether each line begins with a time that the container engine put there.
    """

    def __init__(self, source: Source, watch: Watch, *, newest: t.Optional[float] = None, stamped: bool = False) -> None:
        self.source = source
        self.stamped = stamped
        self.times = TimeReader(source.time_zone, newest)
        self.wrapped = stamped or source.format in ("docker", "journal")
        self._watch = watch
        self._fields = {name: re.compile(expression) for name, expression in source.fields.items()}
        self.too_slow: t.Set[str] = set()
        """Fields whose regular expression was given up."""

    def read(self, line: bytes) -> t.Optional[Record]:
        """The record in a line without its end; None for an empty line, and for a part of a longer one that follows."""
        return self.read_text(line.decode("utf-8", "replace"))

    def read_text(self, text: str) -> t.Optional[Record]:
        """The same for a line that is decoded."""
        # A file that was cut to nothing while its writer went on begins with as many zeros as it was long.
        text = text.lstrip("\0")
        if not text or text.isspace():
            return None
        if self.stamped:
            stamp, _blank, rest = text.partition(" ")
            found = self.times.at(stamp, 0)
            if found is not None:
                return self._timed(self.payload(rest), found[0]) if rest else None
        return self.payload(text)

    def payload(self, text: str, expect: str = "") -> Record:
        """The record that the program itself wrote."""
        members = json_object(text)
        if members is None:
            record = Record(self, text, None, broken=(expect or self.source.format) == "json")
            found = self.times.search(text)
            record.time = found[0] if found else None
            return record
        record = Record(self, text, members)
        for name in self.source.time_fields:
            value = dig(members, name)
            if value is not None:
                record.time = self.times.value(value)
                break
        return record

    @staticmethod
    def _timed(record: Record, when: float) -> Record:
        record.time = when
        return record

    def plain_value(self, text: str, name: str) -> t.Optional[str]:
        """What a plain line says of the field `name`: by the source's own expression, else after `name=` or `name:`."""
        if name in self.too_slow:
            return None
        if name == MESSAGE and name not in self._fields:
            return text
        pattern = self._fields.get(name)
        if pattern is None:
            pattern = self._fields[name] = _ERROR_NAME if name == TYPE else _assignment(name)
        try:
            match = self._watch.search(pattern, text[:_SEARCHED])
        except TooSlow:
            self.too_slow.add(name)
            return None
        value = match.group(1) if match else None
        return value.strip("\"'") if value else None


def _assignment(name: str) -> "t.Pattern[str]":
    return re.compile(rf"""(?<![\w.]){re.escape(name)}["']?\s{{0,3}}[=:]\s{{0,3}}("[^"]{{0,500}}"|[^\s,;"'}}\])]{{1,500}})""")
