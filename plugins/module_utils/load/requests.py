# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One kind of request of a load test, as the profile describes it."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_KEYS = {"name", "method", "path", "headers", "body", "expected_status", "contains", "weight"}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
"""A token, RFC 9110 section 5.6.2."""


@dataclass(frozen=True)
class Request:
    """One kind of request.

    Attributes:
        name: What to call it.
        method: HTTP method.
        path: Path and query, from the test's URL on.
        headers: Its headers.
        body: What is sent; empty for nothing.
        expected_status: Status codes that are good.
        contains: Texts that must be in the answer.
        weight: How many of them there are for one of a kind with weight 1.
    """

    name: str
    method: str
    path: str
    headers: t.Mapping[str, str]
    body: str
    expected_status: t.Tuple[int, ...]
    contains: t.Tuple[str, ...]
    weight: int


def request_mistakes(raw: t.Any) -> t.List[str]:
    """What is wrong with a request as it is written in the profile."""
    if not isinstance(raw, t.Mapping):
        return ["it is no dictionary"]
    found = [f"unknown key {str(key)!r}; it takes {', '.join(sorted(_KEYS))}" for key in set(raw) - _KEYS]
    if str(raw.get("method", "GET")).upper() not in _METHODS:
        found.append(f"method is none of {', '.join(_METHODS)}")
    path = raw.get("path", "/")
    if not isinstance(path, str) or not path.startswith("/") or re.search(r"[\x00-\x20\x7f#]", path):
        found.append("path begins with / and has no blanks, control characters or #")
    found += _header_mistakes(raw.get("headers") or {})
    if not isinstance(raw.get("body"), (str, t.Mapping, list, type(None))):
        found.append("body is a text, or a dictionary or list that is sent as JSON")
    statuses = _listed(raw.get("expected_status"))
    if not all(re.fullmatch(r"[1-5]\d\d", str(status)) for status in statuses):
        found.append("expected_status is a list of numbers from 100 to 599")
    weight = raw.get("weight", 1)
    if isinstance(weight, bool) or not re.fullmatch(r"\d{1,3}", str(weight)) or int(weight) < 1:
        found.append("weight is a whole number from 1 to 999")
    return found


def _header_mistakes(headers: t.Any) -> t.List[str]:
    if not isinstance(headers, t.Mapping):
        return ["headers is no dictionary"]
    found = [f"{str(name)!r} is no name of a header" for name in headers if not _HEADER_NAME.fullmatch(str(name))]
    return found + [f"the header {name} has a line break" for name, value in headers.items() if re.search(r"[\r\n\0]", str(value))]


def request_of(raw: t.Mapping[str, t.Any]) -> Request:
    """The request that a description without mistakes means."""
    method, path = str(raw.get("method", "GET")).upper(), str(raw.get("path", "/"))
    headers = {str(name): str(value) for name, value in (raw.get("headers") or {}).items()}
    body = raw.get("body")
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
    return Request(
        name=str(raw.get("name") or f"{method} {path.partition('?')[0]}"),
        method=method,
        path=path,
        headers=headers,
        body=body or "",
        expected_status=tuple(int(status) for status in _listed(raw.get("expected_status"))) or (200,),
        contains=tuple(str(text) for text in _listed(raw.get("contains"))),
        weight=int(raw.get("weight", 1)),
    )


def _listed(value: t.Any) -> t.List[t.Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
