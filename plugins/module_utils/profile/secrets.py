# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Secrets that stand in clear in the files of a profile."""

from __future__ import annotations

import re
import typing as t

from ..checks.redaction import is_secret_name
from .finding import ERROR, WARNING, Finding, clip, spoken_path
from .source import OPAQUE, Source

_NO_SECRETS = frozenset(
    (
        "service_kube_secret",
        "secrets",
        "secret",
        "traffic_state_key",
        "security_rotation_steps",
        "backup_role_passwords",
        "key_name",
        "token_type",
    )
)
"""Keys that look like secrets by name and hold names of secrets, or none at all."""
_SHAPES = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "an access key of AWS"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{22,}"), "a token of GitHub"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"), "a token of Slack"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"), "an API key"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"), "a JSON Web Token"),
    (re.compile(r"://[^\s/:@{}]+:(?!\{\{)[^\s/@{}]+@"), "an account with its password in an address"),
    (re.compile(r"https://hooks\.slack\.com/services/\w+/\w+/\w+"), "a web hook of Slack"),
    (re.compile(r"\bBearer\s+[\w.~+/=-]{12,}|\bBasic\s+(?=\S*[0-9=A-Z])[A-Za-z0-9+/]{12,}={0,2}"), "a header with credentials"),
)
"""What the tokens of well-known services look like, as their makers document it."""


def in_clear(source: Source) -> t.List[Finding]:
    """Every text that is a secret by its name or by its look and not a look-up; the text itself is never repeated."""
    found = []
    for path, text, where in source.leaves:
        what = _secret(path, text)
        if what:
            in_its_file = where.rpartition(":")[0].endswith(("/secrets.yml", "/secrets.yaml"))
            said = f"{spoken_path(path)} holds {what} in clear"
            why = "who can read the inventory can use it" if not in_its_file else "secrets.yml holds look-ups, too"
            step = "replace it, put a look-up of Vault or of the environment into secrets.yml, and use that variable"
            found.append(Finding(ERROR, "secret", path, said, why, step, where))
    return found


def misplaced(source: Source) -> t.List[Finding]:
    """Secrets that are looked up in another file than secrets.yml."""
    found = []
    for path, text, where in source.leaves:
        if len(path) == 1 and ("lookup(" in text or text == OPAQUE) and _named(path) and "secrets." not in where:
            said = f"{clip(path[0])} is a secret, and is looked up outside secrets.yml"
            found.append(
                Finding(WARNING, "secret_place", path, said, "people look for secrets in one place", "move it to secrets.yml", where)
            )
    return found


def _secret(path: t.Tuple[t.Union[str, int], ...], text: str) -> str:
    if text in ("", OPAQUE):
        return ""
    for shape, what in _SHAPES:
        if shape.search(text):
            return what
    return "a secret" if _named(path) and "{{" not in text and "{%" not in text else ""


def _named(path: t.Tuple[t.Union[str, int], ...]) -> bool:
    keys = [part for part in path if isinstance(part, str)]
    name = keys[-1] if keys else ""
    if name in _NO_SECRETS or name.endswith(("_file", "_folder", "_name", "_url", "_format")):
        return False
    return is_secret_name(name)
