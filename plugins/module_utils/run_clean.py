# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""No secret in a record: what is secret by its name, by its value or by its form is masked, and what is endless is cut."""

from __future__ import annotations

import math
import re
import typing as t

from .checks.redaction import MASK, Redactor, is_secret_name

_FIXED = frozenset(("format", "run_id", "status", "started_at", "finished_at", "duration_s", "check_mode", "resources"))
"""Fields by which programs find things: not even a secret that happens to read the same may touch them."""
_FIXED_IN_STEPS = frozenset(("started_at", "finished_at", "duration_s", "changed", "status"))
_KEY_NAME = re.compile(r"(private|access|encryption|signing|ssh|host|master|shared)[_-]?key|dsn$|connection_?string", re.IGNORECASE)
_KEY_TEXT = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL)
_LONGEST_TEXT, _LONGEST_LIST, _DEEPEST = 20_000, 500, 12


class Cleaner:
    """Masks secrets.

    Args:
        secrets: Values that must appear nowhere, of any JSON type; lists and mappings stand for what they hold.
    """

    def __init__(self, secrets: t.Any = ()) -> None:
        self._redactor = Redactor(_texts(secrets))

    def record(self, record: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """A copy of a run's record without secrets."""
        cleaned = {name: value if name in _FIXED else self.value(value) for name, value in record.items()}
        cleaned["steps"] = [
            {name: value if name in _FIXED_IN_STEPS else self.value(value) for name, value in step.items()}
            for step in record.get("steps", ())
        ]
        # Measurements are numbers beside words of our own.
        cleaned["measurements"] = {self.text(name): dict(item) for name, item in record.get("measurements", {}).items()}
        return cleaned

    def text(self, text: str) -> str:
        """`text` without secrets."""
        return self._redactor.text(_KEY_TEXT.sub(MASK, text))

    def value(self, value: t.Any, depth: int = 0) -> t.Any:
        """A copy of `value` in JSON types, without secrets, too long texts and lists cut and marked so."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return _finite(value) if self.text(str(value)) == str(value) else MASK
        if isinstance(value, t.Mapping):
            if depth >= _DEEPEST:
                return "..."
            return {
                self.text(str(name)): MASK if _names_a_secret(str(name)) and not _empty(item) else self.value(item, depth + 1)
                for name, item in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            if depth >= _DEEPEST:
                return "..."
            items = [self.value(item, depth + 1) for item in list(value)[:_LONGEST_LIST]]
            return items if len(value) <= _LONGEST_LIST else [*items, f"... and {len(value) - _LONGEST_LIST} more"]
        text = self.text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} ... ({len(text)} characters in all)"


def _names_a_secret(name: str) -> bool:
    return is_secret_name(name) or _KEY_NAME.search(name) is not None


def _empty(value: t.Any) -> bool:
    return value is None or isinstance(value, bool) or value in ("", [], {}, ())


def _finite(value: t.Union[int, float]) -> t.Any:
    # JSON has no infinity and no NaN.
    return value if isinstance(value, int) or math.isfinite(value) else str(value)


def _texts(value: t.Any) -> t.Set[str]:
    if isinstance(value, t.Mapping):
        return {text for item in value.values() for text in _texts(item)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return {text for item in value for text in _texts(item)}
    if isinstance(value, bytes):
        return {value.decode("utf-8", "replace")}
    # A secret of several lines may be shown line by line.
    return (
        set() if value is None or isinstance(value, bool) else {str(value), *(line for line in str(value).splitlines() if len(line) >= 8)}
    )
