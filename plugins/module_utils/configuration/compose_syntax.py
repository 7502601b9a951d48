# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The syntax of Docker Compose's environment files (`.env`, `--env-file`, `env_file`).

Its rules are those of docs.docker.com/compose/how-tos/environment-variables/variable-interpolation: without quotes and in double quotes
variables are put in and ` #` begins a comment behind the value; double quotes know the escapes of a shell; in single quotes everything
stands for itself but `\\'`. A quoted value may go over several lines.
"""

from __future__ import annotations

import re
import typing as t

from .statement import Statement, not_understood

_BLANKS = "\t\v\f\r \x85\xa0"
_SPACES = _BLANKS + "\n\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space on a line, and all of Unicode's White_Space, as Compose takes it."""
_EXPORT = re.compile(rf"export[{_BLANKS}]+")
_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=~^-]+\Z")
_ESCAPE = re.compile(r"\\(?:([abcfnrtv$\"\\])|0\d{0,3})")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\", "c": "\\c", "$": "$$"}
_FOR_DOUBLE_QUOTES = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"})


def encode(value: str) -> str:
    """`value` as it stands behind `NAME=`. Even an empty one has quotes: a comment behind it would become the value."""
    if _SAFE.match(value):
        return value
    if not any(character in value for character in "'\\\n\r"):
        return f"'{value}'"
    return f'"{value.translate(_FOR_DOUBLE_QUOTES)}"'


def parse(text: str) -> t.List[Statement]:
    """The variables of a file, in order.

    Raises:
        BadInput: Compose would refuse the file.
    """
    found = []
    offset = _start(text, 1 if text.startswith("\ufeff") else 0)
    while offset < len(text):
        one = _statement(text, offset)
        found.append(one)
        offset = _start(
            text, one.value_end if not one.is_bare and text[one.value_start : one.value_start + 1] in "'\"" else _line_end(text, one)
        )
    return found


def _line_end(text: str, one: Statement) -> int:
    end = text.find("\n", one.value_end)
    return len(text) if end < 0 else end


def _start(text: str, offset: int) -> int:
    """Where the next statement begins: behind white space and comments."""
    while offset < len(text):
        if text[offset] == "#":
            end = text.find("\n", offset)
            offset = len(text) if end < 0 else end
        elif text[offset] not in _SPACES:
            return offset
        else:
            offset += 1
    return offset


def _statement(text: str, start: int) -> Statement:
    begins = start
    exported = _EXPORT.match(text, start)
    if exported:
        begins = exported.end()
    end = begins
    while end < len(text) and text[end] not in "=:\n":
        if text[end] not in _BLANKS + "_.-[]" and not text[end].isalnum():
            raise not_understood(text, end, "there is a character that no name of a variable has")
        end += 1
    name = text[begins:end].rstrip(_SPACES)
    if not name or any(blank in name for blank in _BLANKS):
        raise not_understood(text, start, "there is no name of a variable, or one with a space")
    if end == len(text) or text[end] == "\n":
        behind = begins + len(name)
        return Statement(name, None, start, behind, behind, is_bare=True)
    value_start = end + 1
    while value_start < len(text) and text[value_start] in _BLANKS:
        value_start += 1
    if value_start < len(text) and text[value_start] in "'\"":
        value_end, raw = _quoted(text, value_start)
        value = raw if text[value_start] == "'" else _without_escapes(raw)
        return Statement(name, value, start, value_start, value_end)
    line_end = text.find("\n", value_start)
    raw = text[value_start : len(text) if line_end < 0 else line_end]
    raw = raw.split(" #", 1)[0].rstrip(_SPACES)
    return Statement(name, literal(raw), start, value_start, value_start + len(raw))


def _quoted(text: str, start: int) -> t.Tuple[int, str]:
    """Offset behind the closing quote, and what is between the quotes; only escaped quotes are resolved."""
    quote, escaped = text[start], False
    characters: t.List[str] = []
    for offset in range(start + 1, len(text)):
        character = text[offset]
        if character == quote and not escaped:
            return offset + 1, "".join(characters)
        if character == "\\" and not escaped:
            escaped = True
            continue
        if escaped and character != quote:
            characters.append("\\")
        characters.append(character)
        escaped = False
    raise not_understood(text, start, "a quote is not closed")


def _without_escapes(raw: str) -> t.Optional[str]:
    """What double quotes mean; None where that depends on other variables, or on octal numbers."""
    parts, last = [], 0
    for match in _ESCAPE.finditer(raw):
        if match.group(1) is None:
            return None
        parts += [raw[last : match.start()], _ESCAPED[match.group(1)]]
        last = match.end()
    return literal("".join(parts) + raw[last:])


def literal(raw: str) -> t.Optional[str]:
    """A text that Compose puts values into, with `$$` as `$`; None where it names a variable."""
    return None if "$" in raw.replace("$$", "") else raw.replace("$$", "$")
