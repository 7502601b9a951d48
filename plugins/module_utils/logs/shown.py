# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What leaves a log: lines and values without secrets, cut to what a report can hold."""

from __future__ import annotations

import re
import typing as t

from ..checks.redaction import MASK, Redactor, clip, is_secret_name

LINE_CHARACTERS = 2000
VALUE_CHARACTERS = 200
_LONGEST_SECRET = 8200
"""No form of secret that the redactor knows by its looks is longer."""
# A name and its text, in JSON, and in JSON within JSON, whose quotes have backslashes before them.
_MEMBER = re.compile(r"""(\\{0,7}["'])([\w.@ -]{1,80})(\\{0,7}["']\s{0,8}[:=]\s{0,8})(\\{0,7}["'])((?:(?!\4).){1,4000})""", re.DOTALL)
_ASSIGNED = re.compile(
    r"""(?<![\w.-])([\w.-]{2,80})(\s{0,3}[=:]\s{0,3})"""
    r"""((?:(?:Bearer|Basic)\s{1,3})?[^\s,;&"'\\}\])]{1,4000})""",
    re.IGNORECASE,
)
_CARD = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,8000}", re.DOTALL)


class Shown:
    """Makes lines and values fit to be shown.

    Args:
        secrets: Texts that must not appear, besides what looks like a secret.
    """

    def __init__(self, secrets: t.Iterable[str] = ()) -> None:
        known = [secret for secret in secrets if secret]
        self._redactor = Redactor(known)
        self._margin = max([_LONGEST_SECRET, *(6 * len(secret) for secret in known)])

    def line(self, text: str, length: int = LINE_CHARACTERS) -> str:
        """A line of a log; of a long one the beginning."""
        examined = length + 2 * self._margin
        whole = len(text) <= examined
        clean = self._clean(text if whole else text[:examined])
        if not whole:
            # What was cut in the middle is no secret by its looks any more: it is within the last characters, which go.
            clean = clean[: max(0, len(clean) - self._margin)] + "..."
        return clip(clean, length)

    def value(self, value: t.Any, name: str = "") -> t.Any:
        """The value of the field `name`."""
        if isinstance(value, str):
            return MASK if is_secret_name(name) else self.line(value, VALUE_CHARACTERS)
        if is_secret_name(name) and not isinstance(value, (dict, list, bool)) and value is not None:
            return MASK
        return self._redactor.value(value)

    def _clean(self, text: str) -> str:
        text = _CARD.sub(MASK, _MEMBER.sub(_masked_member, text))
        return self._redactor.text(_ASSIGNED.sub(_masked_assignment, text))


def _masked_member(match: "t.Match[str]") -> str:
    opening, name, between, quote, value = match.groups()
    return f"{opening}{name}{between}{quote}{MASK if is_secret_name(name) else value}"


def _masked_assignment(match: "t.Match[str]") -> str:
    name, between, _value = match.groups()
    return f"{name}{between}{MASK}" if is_secret_name(name) else match.group()
