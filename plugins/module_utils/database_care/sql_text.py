# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""SQL as it may be shown: without the values that are written in it.

A query's text can hold anything that a client ever wrote: names, card numbers, `ALTER ROLE ... PASSWORD '...'`. What is shown keeps the
words and the names of tables and loses every constant and every comment.
"""

from __future__ import annotations

import re

SHOWN_CHARACTERS = 500
VALUE = "?"

# The lexical rules: PostgreSQL manual, 4.1 (constants 4.1.2, comments 4.1.5). A plain string with a backslash means different things by
# `standard_conforming_strings`, so nothing after it is sure, and neither is what follows a constant that does not end.
_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* )
    | (?P<block> /\* )
    | (?P<escaped> \b[eE]'(?:[^'\\]|\\.|'')*(?P<escaped_end>'|\Z) )
    | (?P<string> (?:\b(?:[bBxXnN]|[uU]&))?'(?P<inside>(?:[^']|'')*)(?P<string_end>'|\Z) )
    | (?P<quoted> (?:\b[uU]&)?"(?:[^"]|"")*(?:"|\Z) )
    | (?P<dollar> (?<![\w$])\$(?P<tag>[^\W\d]\w*|)\$ )
    | (?P<parameter> \$\d+ )
    | (?P<number> (?<![\w$.])(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?) )
    | (?P<name> [^\W\d][\w$]* )
    | (?P<other> \s+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)


def without_values(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """SQL with `?` for every constant and without comments, on one line.

    Args:
        text: SQL as a client wrote it; it may be cut off at its end.
        characters: How many of the result's characters are kept.
    """
    parts, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:  # the last alternative fits anything; a rule that does not must not show the rest
            break
        at = found.end()
        kind = found.lastgroup or "other"
        if found["comment"] is not None:
            parts.append(" ")
        elif found["block"] is not None:
            parts.append(" ")
            at = _end_of_comment(text, at)
        elif found["dollar"] is not None:
            end = text.find(found["dollar"], at)
            parts.append(VALUE)
            at = len(text) if end < 0 else end + len(found["dollar"])
        elif found["escaped"] is not None or found["string"] is not None:
            parts.append(VALUE)
            if found["inside"] is not None and "\\" in found["inside"]:
                parts.append(" ...")
                break
        elif found["number"] is not None:
            parts.append(VALUE)
        else:
            parts.append(found[0] if kind != "other" or found[0].strip() else " ")
    shown = " ".join("".join(parts).split()).rstrip("; ")
    return shown if len(shown) <= characters else shown[: characters - 4] + " ..."


def _end_of_comment(text: str, at: int) -> int:
    """Where the comment ends that begins before `at`; they nest."""
    depth = 1
    for found in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(text)


_FIRST_WORDS = re.compile(r"[A-Za-z]+")


def first_words(text: str, count: int = 2) -> str:
    """The first words of a statement, in capitals, such as `CREATE INDEX`; to tell what kind it is."""
    return " ".join(_FIRST_WORDS.findall(without_values(text, 200))[:count]).upper()
