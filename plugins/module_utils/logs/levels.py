# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Levels of log lines: one word for each, whatever the program calls it."""

from __future__ import annotations

import re
import typing as t

ERROR_LEVELS = frozenset(("ERROR", "CRITICAL"))
_WORDS = {
    "TRACE": "TRACE", "VERBOSE": "TRACE", "DEBUG": "DEBUG", "DBG": "DEBUG", "INFO": "INFO", "INF": "INFO", "INFORMATION": "INFO",
    "NOTICE": "NOTICE", "WARN": "WARNING", "WARNING": "WARNING", "WRN": "WARNING", "ERROR": "ERROR", "ERR": "ERROR", "SEVERE": "ERROR",
    "CRITICAL": "CRITICAL", "CRIT": "CRITICAL", "FATAL": "CRITICAL", "ALERT": "CRITICAL", "EMERG": "CRITICAL", "PANIC": "CRITICAL",
    "EMERGENCY": "CRITICAL",
}  # fmt: skip
_SYSLOG = ("CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
"""RFC 5424, section 6.2.1: 0 is the gravest."""
_PINO = {10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR", 60: "CRITICAL"}
"""Numbers of pino and bunyan (getpino.io, option `level`)."""
_LETTERS = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "CRITICAL"}
_SEARCHED = 300
_KLOG = re.compile(r"([IWEF])\d{4} \d\d:")
_NAMED = re.compile(r"""\b(?:level|lvl|severity)["']?\s{0,3}[=:]\s{0,3}["']?([A-Za-z]{3,11})\b""", re.IGNORECASE)
_ALONE = re.compile(r"(?<![\w./-])(" + "|".join(sorted(_WORDS, key=len, reverse=True)) + r")(?![\w/-])")
_LOWER = re.compile(r"[\[(<](" + "|".join(sorted(_WORDS, key=len, reverse=True)) + r")[\])>]", re.IGNORECASE)


def level_of(value: t.Any) -> t.Optional[str]:
    """The level that a field's value means; a word that is none of the known ones stays, in capitals. None for no value."""
    if isinstance(value, str):
        word = value.strip().upper()[:20]
        if word.isdigit():
            return level_of(int(word))
        return _WORDS.get(word, word) or None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if value in _PINO:
        return _PINO[int(value)]
    return _SYSLOG[int(value)] if value in range(8) else str(value)[:20]


def level_in(text: str) -> t.Optional[str]:
    """The level that a plain line names near its beginning; None for none.

    Looked for in this order: klog's letter, `level=word`, a word in capitals, a word in brackets.
    """
    beginning = text[:_SEARCHED]
    klog = _KLOG.match(beginning)
    if klog:
        return _LETTERS[klog.group(1)]
    named = _NAMED.search(beginning)
    if named and named.group(1).upper() in _WORDS:
        return _WORDS[named.group(1).upper()]
    alone = _ALONE.search(beginning) or _LOWER.search(beginning)
    return _WORDS[alone.group(1).upper()] if alone else None
