# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Shapes of JSON lines: a program writes most of its lines with the same members in the same order.

A shape is the whole of such a line as a regular expression for bytes: every name, brace, comma and blank as it stands, every value
as the grammar of JSON (RFC 8259) allows it for the kinds that were seen there. A line that fits is valid JSON by construction, its
members are known, none occurs twice, and the wanted values come out of the same match. What does not fit is decoded.

Texts are matched as "no quotation mark", which is right for lines without a backslash alone; the form for lines with one spells out
the escapes. Either could run across the end of a line: the caller counts lines to be sure that none did.
"""

from __future__ import annotations

import re
import sys
import typing as t

_ONCE = b"+" if sys.version_info >= (3, 11) else b""
"""Makes a repetition possessive, where Python knows that (re, "Changed in version 3.11"): what was taken is never given back."""
_TEXT = rb'"[^"]*' + _ONCE + rb'"'
_ESCAPED_TEXT = rb'"[^"\\]*' + _ONCE + rb'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*' + _ONCE + rb')*"'
_INTEGER = rb"-?(?:0|[1-9][0-9]{0,17}" + _ONCE + rb")"
_FRACTION = rb"\.[0-9]{1,40}" + _ONCE
_ANY_NUMBER = _INTEGER + rb"(?:" + _FRACTION + rb")?(?:[eE][-+]?[0-9]{1,3})?"
_WORD = rb"true|false|null"
_TOKEN = re.compile(
    rb'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<number>-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][-+]?[0-9]+)?)|(?P<word>true|false|null)'
)
_BLANK = re.compile(rb"[ \t]*")
_MOST_MEMBERS = 200
_MOST_DEPTH = 8

TEXT, INTEGER, FRACTION, NUMBER, WORD, LIST = "text", "integer", "fraction", "number", "word", "list"


class _Unfit(Exception):
    """A line of which no shape can be made."""


class Outline:
    """The outline of one line: what stands between its values, and their names and kinds.

    Attributes:
        parts: Bytes that stand between values, one more than there are values.
        names: Names of the values, with dots for members of members.
        objects: Names of the members that are objects.
        kinds: Kinds of values seen at each place.
        forms: For each value the form of a time, where all values seen had the same.
        samples: The values of the line itself, as they stand.
        seen: How many lines had it.
        escaped: How many of them had a backslash.
    """

    def __init__(
        self, parts: t.Tuple[bytes, ...], names: t.Tuple[str, ...], kinds: t.List[str], samples: t.List[bytes], objects: t.FrozenSet[str]
    ) -> None:
        self.parts = parts
        self.names = names
        self.objects = objects
        self.kinds: t.List[t.Set[str]] = [{kind} for kind in kinds]
        self.forms: t.List[t.Optional[TimeForm]] = [_form(sample) for sample in samples]
        self.samples = samples
        self.seen = 1
        self.escaped = int(any(b"\\" in sample for sample in samples))

    def widen(self, other: "Outline") -> None:
        """Take in the kinds of another line with the same outline."""
        self.seen += other.seen
        self.escaped += other.escaped
        for place, kinds in enumerate(other.kinds):
            self.kinds[place] |= kinds
            form = self.forms[place]
            self.forms[place] = form.both(other.forms[place]) if form is not None else None


def outline_of(line: bytes) -> t.Optional[Outline]:
    """The outline of a line that is a valid JSON object; None for one with empty objects, lists of objects, escaped or repeated names."""
    reader = _Reader(line)
    try:
        end = reader.object(0, "", 0)
    except (_Unfit, RecursionError):
        return None
    names, parts = reader.names, reader.parts
    if line[end:].strip(b" \t\r") or len(set(names)) < len(names) or len(names) > _MOST_MEMBERS or b"\r" in line:
        return None
    # The longer of two names could be read as a member of the other.
    if any(name.startswith(f"{other}.") for name in names for other in names):
        return None
    parts[-1] += line[end:]
    return Outline(tuple(parts), tuple(names), reader.kinds, reader.samples, frozenset(reader.objects))


class _Reader:
    """Takes one line apart; what it has found so far is in its attributes, named as those of an outline."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.parts: t.List[bytes] = [b""]
        self.names: t.List[str] = []
        self.objects: t.Set[str] = set()
        self.kinds: t.List[str] = []
        self.samples: t.List[bytes] = []

    def object(self, position: int, path: str, depth: int) -> int:
        """Read an object that begins at `position`; where it ends."""
        line = self.line
        if line[position : position + 1] != b"{" or depth > _MOST_DEPTH:
            raise _Unfit
        position = self._blank(position + 1, b"{")
        while True:
            name = _TOKEN.match(line, position)
            if name is None or name.group("text") is None or b"\\" in name.group() or not name.group().isascii():
                raise _Unfit
            self.parts[-1] += name.group()
            position = self._blank(name.end(), b"")
            if line[position : position + 1] != b":":
                raise _Unfit
            position = self._blank(position + 1, b":")
            full = f"{path}.{name.group()[1:-1].decode()}" if path else name.group()[1:-1].decode()
            position = self._value(position, full, depth)
            position = self._blank(position, b"")
            mark = line[position : position + 1]
            if mark == b"}":
                self.parts[-1] += b"}"
                return position + 1
            if mark != b",":
                raise _Unfit
            position = self._blank(position + 1, b",")

    def _blank(self, position: int, before: bytes) -> int:
        blank = _BLANK.match(self.line, position)
        text = blank.group() if blank else b""
        self.parts[-1] += before + text
        return position + len(text)

    def _value(self, position: int, name: str, depth: int) -> int:
        line = self.line
        if line[position : position + 1] == b"{":
            self.objects.add(name)
            return self.object(position, name, depth + 1)
        token = _LIST.match(line, position) if line[position : position + 1] == b"[" else None
        if token is not None:
            kind = LIST
        else:
            token = _TOKEN.match(line, position)
            if token is None:
                raise _Unfit
            kind = _kind(token)
        self.names.append(name)
        self.kinds.append(kind)
        self.samples.append(token.group())
        self.parts.append(b"")
        return token.end()


def _kind(token: "t.Match[bytes]") -> str:
    if token.group("text") is not None:
        return TEXT
    if token.group("word") is not None:
        return WORD
    if token.group("exponent") is not None:
        return NUMBER
    return FRACTION if token.group("fraction") is not None else INTEGER


def _list_pattern(text: bytes) -> bytes:
    item = rb"(?:" + text + rb"|" + _ANY_NUMBER + rb"|" + _WORD + rb")"
    return rb"\[[ \t]*(?:" + item + rb"[ \t]*(?:,[ \t]*" + item + rb"[ \t]*)*)?\]"


_LIST = re.compile(_list_pattern(_ESCAPED_TEXT))


class TimeForm(t.NamedTuple):
    """How a log writes its times; texts of one form sort, up to the second, as the times do.

    Attributes:
        second: The text up to the second, each digit as 0.
        digits: How many digits of a second follow; -1 for now these, now those.
        zone: What follows them, as it stands.
    """

    second: bytes
    digits: int
    zone: bytes

    @property
    def pattern(self) -> bytes:
        """Matches a text of this form; its group is the text up to the second."""
        stamp = re.escape(self.second).replace(b"0", b"[0-9]")
        fraction = rb"(?:[.,][0-9]{1,12})?" if self.digits < 0 else rb"[.,]" + rb"[0-9]" * self.digits if self.digits else b""
        return b"(" + stamp + b")" + fraction + re.escape(self.zone)

    def both(self, other: "t.Optional[TimeForm]") -> "t.Optional[TimeForm]":
        """The form of texts of this form and of another; None when there is none."""
        if other is None or (self.second, self.zone) != (other.second, other.zone):
            return None
        return self if self.digits == other.digits else TimeForm(self.second, -1, self.zone)


_ISO_TIME = re.compile(rb'"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,12}))?(Z|[+-]\d\d:?\d\d)?"')


def _form(sample: bytes) -> t.Optional[TimeForm]:
    match = _ISO_TIME.fullmatch(sample)
    if match is None:
        return None
    return TimeForm(re.sub(rb"[0-9]", b"0", match.group(1)), len(match.group(2) or b""), match.group(3) or b"")


class Shape:
    """An outline made ready to match.

    Attributes:
        names: Names of all values.
        objects: Names of the members that are objects.
        kinds: Kinds of the values, by name.
        fixed: Values that are the same in all lines of the shape, without quotation marks, by name.
        columns: Place of each other wanted value among the groups of a match, by its name.
        texts: Names of the values that are always texts; they come without their quotation marks, the others as they stand.
        width: How many pieces a split of a block gives for each line.
        time: Name of the field with the time, when all its texts have one form; its column then holds the text up to the second.
        pattern: Finds whole lines without backslashes in a block that begins and ends with a line's end.
        escaped_pattern: The same for lines with backslashes.
    """

    def __init__(self, outline: Outline, wanted: t.Iterable[str], time: str = "", fixed: t.Optional[t.Mapping[str, bytes]] = None) -> None:
        self.outline = outline
        self.fixed = dict(fixed or {})
        self.kinds = dict(zip(outline.names, outline.kinds))
        self.names = frozenset(outline.names)
        self.objects = outline.objects
        self.texts = frozenset(name for name, kinds in self.kinds.items() if kinds == {TEXT})
        form = dict(zip(outline.names, outline.forms)).get(time)
        self.time = time if form is not None and time in self.texts else ""
        self._time_pattern = form.pattern if form is not None and self.time else b""
        chosen = {*wanted, self.time} - set(self.fixed)
        in_order = [name for name in outline.names if name in chosen]
        self.columns = {name: place for place, name in enumerate(in_order)}
        self.width = len(in_order) + 1
        self.pattern = self._compile(_TEXT)
        self.escaped_pattern = self._compile(_ESCAPED_TEXT)

    def _compile(self, text: bytes) -> "t.Pattern[bytes]":
        whole = rb"\n" + re.escape(self.outline.parts[0])
        for name, kinds, between in zip(self.outline.names, self.outline.kinds, self.outline.parts[1:]):
            wanted = name in self.columns
            if name in self.fixed:
                whole += re.escape(b'"' + self.fixed[name] + b'"')
            elif name == self.time:
                whole += b'"' + self._time_pattern + b'"'
            elif kinds == {TEXT}:
                whole += b'"(' + text[1:-1] + b')"' if wanted else text
            else:
                whole += (b"(" if wanted else b"(?:") + _pattern_of(kinds, text) + b")"
            whole += re.escape(between)
        return re.compile(whole + rb"(?=\n)")


def _pattern_of(kinds: t.Set[str], text: bytes) -> bytes:
    if kinds == {INTEGER}:
        return _INTEGER
    if kinds == {FRACTION}:
        return _INTEGER + _FRACTION
    if kinds == {INTEGER, FRACTION}:
        return _INTEGER + rb"(?:" + _FRACTION + rb")?"
    if kinds <= {INTEGER, FRACTION, NUMBER}:
        return _ANY_NUMBER
    choices = [_WORD]
    if TEXT in kinds:
        choices.insert(0, text)
    if kinds & {INTEGER, FRACTION, NUMBER}:
        choices.append(_ANY_NUMBER)
    if LIST in kinds:
        choices.append(_list_pattern(text))
    return rb"|".join(choices)
