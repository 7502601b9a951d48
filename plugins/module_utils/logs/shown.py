# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What leaves a log: lines and values without secrets, cut to what a report can hold."""

from __future__ import annotations

import typing as t

from ..checks.redaction import LONGEST_SECRET, MASK, Redactor, clip, is_secret_name

LINE_CHARACTERS = 2000
VALUE_CHARACTERS = 200


class Shown:
    """Makes lines and values fit to be shown.

    Args:
        secrets: Texts that must not appear, besides what looks like a secret.
    """

    def __init__(self, secrets: t.Iterable[str] = ()) -> None:
        known = [secret for secret in secrets if secret]
        self._redactor = Redactor(known)
        self._margin = max([LONGEST_SECRET, *(6 * len(secret) for secret in known)])

    def line(self, text: str, length: int = LINE_CHARACTERS) -> str:
        """A line of a log; of a long one the beginning."""
        examined = length + 2 * self._margin
        whole = len(text) <= examined
        clean = self._redactor.text(text if whole else text[:examined])
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
