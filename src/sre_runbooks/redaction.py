# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets stay out of what a run leaves behind, even where a playbook forgot `no_log`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "********"
_SECRET_NAME = re.compile(r"passw|passphrase|secret|token|credential|api_?key|private_?key|access_?key", re.IGNORECASE)
_SHORTEST = 4
"""A shorter secret would mask parts of ordinary words."""
_SWITCHES = {"true", "false", "none", "null"}
"""`include_passwords=true` is no secret."""


def secrets_in(variables: Any, named: bool = False) -> Iterator[str]:
    """The texts in `variables` that belong to a name which says that it is a secret (`db_password`, `api_key`, ...)."""
    if isinstance(variables, Mapping):
        for name, value in variables.items():
            yield from secrets_in(value, named or bool(_SECRET_NAME.search(str(name))))
    elif isinstance(variables, (list, tuple)):
        for value in variables:
            yield from secrets_in(value, named)
    elif named and isinstance(variables, str) and len(variables) >= _SHORTEST and variables.lower() not in _SWITCHES:
        yield variables


class Redactor:
    """Masks given texts, also as they look inside JSON, wherever they appear in a value."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first, so that no part of a secret that contains another stays.
        forms = {form for secret in secrets for form in (secret, secret.replace("\\", "\\\\").replace('"', '\\"'))}
        self._pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))) if forms else None

    def text(self, text: str) -> str:
        """`text` with every secret masked."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def event(self, event: dict[str, Any]) -> None:
        """Mask an event of ansible-runner in place, before it is written; facts lose the environment, which holds secrets of its own."""
        facts = _dig(event, "event_data", "res", "ansible_facts")
        for name in ("ansible_env", "env"):
            facts.pop(name, None)
        if self._pattern:
            for name, value in event.items():
                event[name] = self._masked(value)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self._masked(name): self._masked(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._masked(inner) for inner in value]
        return value


def _dig(value: Any, *names: str) -> dict[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
