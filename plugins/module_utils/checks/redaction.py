# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Nothing secret leaves: known secrets and what looks like one are masked in text that came from outside."""

from __future__ import annotations

import base64
import json
import math
import re
import typing as t
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK = "********"
EVIDENCE_BYTES = 4000
"""How much of a bad answer a check hands over for the report; less of it is shown."""
_EXAMINED, _SHOWN = 1000, 500
_SECRET_NAME = re.compile(
    r"(?<!by)(?<!com)pass(wd|phrase)?$|passw|token|secret|credential|api.?key|^key$|authorization|cookie|session.?id|signature",
    re.IGNORECASE,
)
_PLAIN_HEADERS = frozenset(
    ("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-type", "host", "origin", "user-agent")
)
_IN_TEXT = (
    (re.compile(r"(://[^\s/:@]{0,200}:)[^\s/@]{1,200}@"), r"\1" + MASK + "@"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{1,2000}", re.IGNORECASE), r"\1 " + MASK),
    (
        re.compile(
            r"""((?:(?<!by)(?<!com)pass(?:word|wd|phrase)?|token|secret|api[_-]?key|authorization|cookie|session[_-]?id)["']?\s{0,8}[:=]\s{0,8})"""
            r"""("[^"]{0,2000}"?|'[^']{0,2000}'?|[^\s,;&"'}]{1,2000})""",
            re.IGNORECASE,
        ),
        r"\1" + MASK,
    ),
    (re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]{4,4000}\.[\w-]{0,2000}"), MASK),
)
# A name and its text, in JSON, and in JSON within JSON, whose quotes have backslashes before them.
_MEMBER = re.compile(r"""(\\{0,7}["'])([\w.@ -]{1,80})(\\{0,7}["']\s{0,8}[:=]\s{0,8})(\\{0,7}["'])((?:(?!\4).){1,4000})""", re.DOTALL)
_ASSIGNED = re.compile(
    r"""(?<![\w.-])([\w.-]{2,80})(\s{0,3}[=:]\s{0,3})((?:(?:Bearer|Basic)\s{1,3})?[^\s,;&"'\\}\])]{1,4000})""", re.IGNORECASE
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}://")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,8000}", re.DOTALL)
LONGEST_SECRET = 8200
"""No form of secret that is known by its looks is longer, in characters."""
_NOT_SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\ud800-\udfff\ufeff]")


def is_secret_name(name: str) -> bool:
    """Whether a key, header or parameter of this name usually holds a secret."""
    return _SECRET_NAME.search(name) is not None


_SHORT = 4


def _pattern(secret: str) -> str:
    # A secret of a few letters is masked as a word only, or it would take them out of every other word.
    return re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"


class Redactor:
    """Masks known secrets, in the forms in which they travel, and what looks like one."""

    def __init__(self, secrets: t.Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(_pattern, longest_first))) if longest_first else None
        self._longest = len(longest_first[0]) if longest_first else 0

    def text(self, text: str) -> str:
        """`text` without secrets and without characters that would upset a terminal or an encoder."""
        if not text:
            return text
        text = _NOT_SHOWN.sub("\ufffd", text)
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _IN_TEXT:
            text = pattern.sub(replacement, text)
        return _PRIVATE_KEY.sub(MASK, _ASSIGNED.sub(_masked_assignment, _MEMBER.sub(_masked_member, text)))

    def value(self, value: t.Any, *, depth: int = 4) -> t.Any:
        """A copy of a JSON value without secrets, cut to what a report can hold."""
        if isinstance(value, str):
            return clip(self.text(self._beginning(value)), _SHOWN)
        if isinstance(value, t.Mapping):
            if depth == 0:
                return "..."
            return {
                clip(self.text(str(key)), 100): MASK
                if is_secret_name(str(key)) and isinstance(item, str)
                else self.value(item, depth=depth - 1)
                for key, item in list(value.items())[:50]
            }
        if isinstance(value, (list, tuple)):
            return "..." if depth == 0 else [self.value(item, depth=depth - 1) for item in value[:20]]
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)  # JSON has no such numbers
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
            return float(value) if abs(value) < 1 << 1000 else "a number too large to show"
        return value if value is None or isinstance(value, (bool, int, float)) else clip(self.text(str(value)), 500)

    def _beginning(self, text: str) -> str:
        """What may be shown of a long text, cut so that no half of a known secret stays, which nothing would mask."""
        if len(text) < _EXAMINED:
            return text
        end = max(0, _EXAMINED - self._longest)
        for found in self._known.finditer(text[:_EXAMINED]) if self._known else ():
            if found.start() < end < found.end():
                end = found.start()
        return text[:end]


def _masked_member(match: "t.Match[str]") -> str:
    opening, name, between, quote, value = match.groups()
    return f"{opening}{name}{between}{quote}{MASK if is_secret_name(name) else value}"


def _masked_assignment(match: "t.Match[str]") -> str:
    name, between, _value = match.groups()
    return f"{name}{between}{MASK}" if is_secret_name(name) else match.group()


def clip(text: str, length: int) -> str:
    """The beginning of `text`, marked when it is not all."""
    return text if len(text) <= length else text[: length - 3] + "..."


def secrets_of(check: t.Any) -> t.Set[str]:
    """The secrets that a check as written in the inventory holds, be it valid or not; what is no dictionary holds none."""
    found: t.Set[str] = set()
    if not isinstance(check, t.Mapping):
        return found
    for key, value in check.items():
        name = str(key)
        if name == "headers" and isinstance(value, t.Mapping):
            values = {str(item) for header, item in value.items() if str(header).lower() not in _PLAIN_HEADERS}
            found |= {item for item in values if len(item) >= _SHORT}
        elif name == "url" and isinstance(value, str):
            found |= secrets_of_url(value)
        elif name == "pass" and isinstance(value, int):
            continue  # so many have passed
        elif is_secret_name(name):
            found |= _leaves(value)
        elif isinstance(value, t.Mapping):
            found |= secrets_of(value)
    password = check.get("password")
    if password and check.get("user"):
        found.add(base64.b64encode(f"{check['user']}:{password}".encode("utf-8", "replace")).decode())
    return {secret for secret in found if secret not in ("", "None", "True", "False")}


def secrets_within(value: t.Any) -> t.Set[str]:
    """The secrets in the arguments of a task, however deep they lie in dictionaries and lists."""
    found = secrets_of(value)
    for item in value.values() if isinstance(value, t.Mapping) else value if isinstance(value, (list, tuple)) else ():
        found |= secrets_within(item)
    return found


def shown_url(url: str) -> str:
    """`url` without user, password, fragment and the values of parameters that usually are secret."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        query = "&".join(
            f"{name}={MASK if is_secret_name(name) else value}" for name, value in parse_qsl(parts.query, keep_blank_values=True)
        )
    except ValueError:
        return "a URL that cannot be read"
    return f"{parts.scheme}://{host}{parts.path}" + (f"?{query}" if query else "")


def secrets_of_url(url: str) -> t.Set[str]:
    """The passwords of a URL, or of a text of several, alone and with their users, and its secret parameters.

    Whatever stands before the last `@` counts, as people leave `/` and `@` in passwords as they are. A user without a password is none,
    but over HTTP, where such a user is a token (of a repository, of an error tracker).
    """
    try:
        found = {value for name, value in parse_qsl(urlsplit(url).query) if is_secret_name(name)}
    except ValueError:
        found = set()
    schemes = [one.lower() for one in _SCHEME.findall(url)]
    for scheme, rest in zip(schemes, _SCHEME.split(url)[1:]):
        account = rest.rpartition("@")[0]
        _user, colon, password = account.partition(":")
        if colon:
            found |= {account, password, unquote(password)}
        elif account and scheme.endswith(("http://", "https://")) and "/" not in account:
            found.add(account)
    return found


def _leaves(value: t.Any) -> t.Set[str]:
    if isinstance(value, t.Mapping):
        return {leaf for item in value.values() for leaf in _leaves(item)}
    if isinstance(value, (list, tuple)):
        return {leaf for item in value for leaf in _leaves(item)}
    return set() if value is None or isinstance(value, bool) else {str(value)}
