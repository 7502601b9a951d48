# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The syntax of systemd's environment files (`EnvironmentFile=` in systemd.exec(5)).

`#` and `;` begin a comment at the beginning of a line only. Without quotes a backslash takes the meaning from what follows, at the end of a
line the line's end, too. In single quotes everything stands for itself; in double quotes a backslash counts only before `"`, `\\`, a
backtick, `$` and the end of a line. Quoted values may go over several lines, and no variables are put in.
"""

from __future__ import annotations

import re
import typing as t

from .statement import Statement

_BLANKS = " \t\r"
_NEWLINE = "\n\r"
_ESCAPED_IN_QUOTES = '"\\`$'
_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=~^-]*\Z")
_FOR_DOUBLE_QUOTES = str.maketrans({character: f"\\{character}" for character in _ESCAPED_IN_QUOTES})


def encode(value: str) -> str:
    """`value` as it stands behind `NAME=`."""
    return value if _SAFE.match(value) else f'"{value.translate(_FOR_DOUBLE_QUOTES)}"'


def parse(text: str) -> t.List[Statement]:
    """The variables of a file, in order; lines without `=` are none."""
    found: t.List[Statement] = []
    offset = 0
    while offset < len(text):
        if text[offset] in _BLANKS + _NEWLINE:
            offset += 1
        elif text[offset] in "#;":
            offset = _line_end(text, offset)
        else:
            line_end = _line_end(text, offset)
            equals = text.find("=", offset, line_end)
            if equals < 0:
                offset = line_end
                continue
            one, offset = _statement(text, offset, equals)
            found.append(one)
    return found


def _line_end(text: str, offset: int) -> int:
    while offset < len(text) and text[offset] not in _NEWLINE:
        offset += 1
    return offset


def _statement(text: str, start: int, equals: int) -> t.Tuple[Statement, int]:
    """The statement at `start` and the offset behind it."""
    name = text[start:equals].rstrip(_BLANKS)
    value_start = offset = _skip(text, equals + 1)
    value: t.List[str] = []
    end = value_start
    while offset < len(text) and text[offset] in "'\"":
        offset = _quoted(text, offset, value)
        end = offset
        offset = _skip(text, offset)
    bare, behind = _bare(text, offset)
    if bare is not None:
        value.append(bare)
        end = len(text[:behind].rstrip(_BLANKS))
    return Statement(name, "".join(value), start, value_start, max(end, value_start)), behind


def _skip(text: str, offset: int) -> int:
    while offset < len(text) and text[offset] in " \t":
        offset += 1
    return offset


def _quoted(text: str, start: int, value: t.List[str]) -> int:
    """Read what is in quotes; returns the offset behind them. One that is not closed goes to the end of the file."""
    quote, offset = text[start], start + 1
    while offset < len(text) and text[offset] != quote:
        character = text[offset]
        if quote == '"' and character == "\\" and offset + 1 < len(text):
            offset += 1
            character = text[offset]
            value.append(character if character in _ESCAPED_IN_QUOTES else "" if character == "\n" else f"\\{character}")
        else:
            value.append(character)
        offset += 1
    return min(offset + 1, len(text))


def _bare(text: str, start: int) -> t.Tuple[t.Optional[str], int]:
    """What stands without quotes up to the end of the line (None: nothing), and the offset of that end."""
    offset, characters, kept = start, [], 0
    while offset < len(text) and text[offset] not in _NEWLINE:
        if text[offset] == "\\":
            offset += 1
            if offset < len(text) and text[offset] not in _NEWLINE:
                characters.append(text[offset])
            kept = len(characters)
        else:
            characters.append(text[offset])
            kept = kept if text[offset] in _BLANKS else len(characters)
        offset += 1
    offset = min(offset, len(text))
    return ("".join(characters[:kept]) if offset > start else None), offset
