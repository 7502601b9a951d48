# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Set and remove variables in the text of an environment file; whatever else is in it stays as it is, byte for byte."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..errors import BadInput, RunbookError
from . import compose_syntax, raw_syntax, systemd_syntax
from .statement import Statement

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NO_CHARACTERS = re.compile("[\x00\ud800-\udfff]")
_NOT_FOR_SYSTEMD = re.compile(
    "[\ufeff\ufdd0-\ufdef" + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17)) + "]"
)


class _Syntax(t.NamedTuple):
    parse: t.Callable[[str], t.List[Statement]]
    encode: t.Callable[[str], str]
    joins_lines: bool


SYNTAXES: t.Mapping[str, _Syntax] = {
    "compose": _Syntax(compose_syntax.parse, compose_syntax.encode, False),
    "systemd": _Syntax(systemd_syntax.parse, systemd_syntax.encode, True),
    "raw": _Syntax(raw_syntax.parse, raw_syntax.encode, False),
}
"""Name of a format -> how it is read and written."""


@dataclass(frozen=True)
class Change:
    """What becomes of one variable.

    Attributes:
        name: Its name.
        before: Its value now; None where the file has none, or where that cannot be told.
        after: Its value to be; None when it is removed.
        is_new: Whether the file does not name it yet.
    """

    name: str
    before: t.Optional[str]
    after: t.Optional[str]
    is_new: bool = False


@dataclass(frozen=True)
class Plan:
    """A file as it shall be.

    Attributes:
        text: The whole text.
        changes: What changes in it; empty when nothing does.
    """

    text: str
    changes: t.Sequence[Change]


def read(text: str, syntax: str) -> t.Dict[str, t.Optional[str]]:
    """Name -> value as a program would get it; None where that depends on other variables. The last of several counts.

    Raises:
        BadInput: The file is not understood.
    """
    return {one.name: one.value for one in SYNTAXES[syntax].parse(text)}


def plan(text: str, syntax: str, wanted: t.Mapping[str, str], remove: t.Collection[str]) -> Plan:
    """Decide what the text shall be.

    Args:
        text: The file's text now.
        syntax: A name of SYNTAXES.
        wanted: Name -> value to be.
        remove: Names that shall be gone.

    Raises:
        BadInput: A name or a value cannot be in such a file, or the file is not understood.
    """
    check(syntax, wanted, remove)
    rules = SYNTAXES[syntax]
    statements = rules.parse(text)
    last = {one.name: one for one in statements}
    pieces: t.List[t.Tuple[int, int, str]] = []
    changes = []
    for name, value in wanted.items():
        one = last.get(name)
        if one is None:
            changes.append(Change(name, None, value, is_new=True))
        elif one.value != value:
            pieces.append((one.value_start, one.value_end, ("=" if one.is_bare else "") + rules.encode(value)))
            changes.append(Change(name, one.value, value))
    for one in statements:
        if one.name in remove:
            pieces.append((*_whole(text, one, statements), ""))
    changes += [Change(name, last[name].value, None) for name in remove if name in last]
    after = text
    for start, end, piece in sorted(pieces, reverse=True):
        after = after[:start] + piece + after[end:]
    fresh = [one for one in changes if one.is_new]
    if fresh:
        newline = "\r\n" if "\r\n" in text else "\n"
        after = _ready_for_more(after, newline, rules.joins_lines)
        after += "".join(f"{one.name}={rules.encode(one.after or '')}{newline}" for one in fresh)
    _must_be_as_planned(text, after, syntax, wanted, remove)
    return Plan(after, changes)


def check(syntax: str, wanted: t.Mapping[str, str], remove: t.Collection[str]) -> None:
    """See that names are names, and that the format can hold the values.

    Raises:
        BadInput: It is not so.
    """
    for name in [*wanted, *remove]:
        if not _NAME.match(name):
            step = "use letters, digits and underscores, no digit in front"
            raise BadInput(f"{name!r} is no name of an environment variable", next_step=step)
    require_decided(wanted, remove)
    for name, value in wanted.items():
        if _NO_CHARACTERS.search(value):
            raise BadInput(f"The value of {name} has characters that no environment variable can hold", next_step="correct it")
        if syntax == "raw" and ("\n" in value or "\r" in value):
            why = "without quotes a value ends with its line"
            raise BadInput(f"The value of {name} has several lines", why=why, next_step="encode it, or use a file in the format of Compose")
        if syntax == "systemd" and _NOT_FOR_SYSTEMD.search(value):
            raise BadInput(f"The value of {name} has characters that systemd refuses (systemd.exec(5))", next_step="correct it")


def require_decided(wanted: t.Collection[str], remove: t.Collection[str]) -> None:
    """See that nothing shall be set and removed at once.

    Raises:
        BadInput: Something shall.
    """
    both = sorted(set(wanted) & set(remove))
    if both:
        raise BadInput(f"{', '.join(both)} shall be set and removed at once", next_step="decide for one of the two")


def _whole(text: str, one: Statement, statements: t.Sequence[Statement]) -> t.Tuple[int, int]:
    """From where to where a statement goes: its lines with their end where it is alone on them, else itself."""
    line_start = text.rfind("\n", 0, one.start) + 1
    line_end = text.find("\n", one.value_end)
    line_end = len(text) if line_end < 0 else line_end + 1
    shared = any(other is not one and other.start < line_end and other.value_end > line_start for other in statements)
    return (one.start, one.value_end) if shared or text[line_start : one.start].strip("\ufeff \t") else (line_start, line_end)


def _ready_for_more(text: str, newline: str, joins_lines: bool) -> str:
    """`text` so that what is put behind it begins a line of its own."""
    if text and not text.endswith("\n"):
        text += "\n" if text.endswith("\r") else newline
    # Behind a backslash systemd takes the next line for a part of this one.
    return text + newline if joins_lines and text.rstrip("\r\n").endswith("\\") else text


def _must_be_as_planned(before: str, after: str, syntax: str, wanted: t.Mapping[str, str], remove: t.Collection[str]) -> None:
    expected = {**{name: value for name, value in read(before, syntax).items() if name not in remove}, **wanted}
    try:
        is_so = read(after, syntax) == expected
    except BadInput:
        is_so = False
    if not is_so:
        raise RunbookError(
            "The variables cannot be changed without changing others",
            why="statements in the file are written into one another",
            next_step="write each on a line of its own; nothing was changed",
        )
