# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Who may see the page: reading only, a password where one is set, a limit on guessing, and headers that keep the browser strict.

A middleware by the ASGI specification (version 3.0), in front of everything else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
import typing as t
from collections import deque

Scope = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[t.Any]]
Send = t.Callable[[t.Any], t.Awaitable[None]]
App = t.Callable[[Scope, Receive, Send], t.Awaitable[None]]
Headers = t.List[t.Tuple[bytes, bytes]]

METHODS = ("GET", "HEAD")
OPEN_PATHS = ("/healthz",)
"""What anybody may ask: whether the page is there."""
GUESSES, GUESS_WINDOW_S = 5, 60.0
"""Wrong passwords in a minute after which an address has to wait."""
ALL_GUESSES = 50
"""The same for all addresses together: guessing from many of them."""
_ADDRESSES = 10_000
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""W3C, Content Security Policy Level 3: own files only, nothing written into the page is run or loaded."""
_HEADERS: Headers = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_TLS_ONLY = (b"strict-transport-security", b"max-age=31536000")


class Guard:
    """Whether somebody who names himself may come in. The password itself is not kept, only a digest of it with a key of this process."""

    def __init__(self, user: str, password: str, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._expected = self._digest(f"{user}:{password}".encode()) if password else b""
        self._clock = clock
        self._wrong: t.Dict[str, "deque[float]"] = {}
        self._all_wrong: "deque[float]" = deque(maxlen=ALL_GUESSES)

    @property
    def is_open(self) -> bool:
        """Whether no password is asked for."""
        return not self._expected

    def wait_s(self, address: str) -> float:
        """Seconds that an address has to wait before it may try again; 0 for none."""
        now = self._clock()
        for guesses, most in ((self._wrong.get(address, ()), GUESSES), (self._all_wrong, ALL_GUESSES)):
            recent = [at for at in guesses if now - at < GUESS_WINDOW_S]
            if len(recent) >= most:
                return GUESS_WINDOW_S - (now - recent[-most])
        return 0.0

    def admits(self, address: str, authorization: bytes) -> bool:
        """Whether the header `Authorization` (Basic, RFC 7617) is the right one; a wrong one is counted, none is not."""
        if not authorization:
            return False
        scheme, _blank, encoded = authorization.partition(b" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == b"basic" else b""
        except (binascii.Error, ValueError):
            given = b""
        if hmac.compare_digest(self._digest(given), self._expected):
            return True
        self._note(address)
        return False

    def _note(self, address: str) -> None:
        now = self._clock()
        if len(self._wrong) >= _ADDRESSES:
            self._wrong = {name: guesses for name, guesses in self._wrong.items() if now - guesses[-1] < GUESS_WINDOW_S}
            while len(self._wrong) >= _ADDRESSES:
                self._wrong.pop(next(iter(self._wrong)))
        self._wrong.setdefault(address, deque(maxlen=GUESSES)).append(now)
        self._all_wrong.append(now)

    def _digest(self, text: bytes) -> bytes:
        return hmac.new(self._key, text, hashlib.sha256).digest()


class Access:
    """The middleware."""

    def __init__(self, app: App, guard: Guard, names: t.Sequence[str], *, tls: bool) -> None:
        self.app, self.guard = app, guard
        self.names = {name.lower() for name in names}
        self.headers: Headers = [*_HEADERS, *([_TLS_ONLY] if tls else [])]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it here, or let it through."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSockets: uvicorn refuses what is not accepted
        status, headers = self._refusal(scope)
        if status:
            await self._answer(send, status, headers, scope["method"])
        else:
            await self.app(scope, receive, self._with_headers(send))

    def _refusal(self, scope: Scope) -> t.Tuple[int, Headers]:
        """Status and headers of a refusal; 0 for none."""
        given = {name: value for name, value in scope["headers"] if name in (b"host", b"authorization")}
        if scope["method"] not in METHODS:
            return 405, [(b"allow", b"GET, HEAD")]
        # A page of somebody else's whose name leads to this address must not read ours (DNS rebinding).
        if self.names and _host(given.get(b"host", b"")) not in self.names:
            return 421, []
        if self.guard.is_open or scope["path"] in OPEN_PATHS:
            return 0, []
        address = str((scope.get("client") or ("?",))[0])
        wait_s = self.guard.wait_s(address)
        if wait_s:
            return 429, [(b"retry-after", str(int(wait_s) + 1).encode())]
        if not self.guard.admits(address, given.get(b"authorization", b"")):
            return 401, [(b"www-authenticate", b'Basic realm="status page", charset="UTF-8"')]
        return 0, []

    async def _answer(self, send: Send, status: int, headers: Headers, method: str) -> None:
        words = {401: "a password is needed", 405: "this page only reads", 421: "unknown host name", 429: "too many wrong passwords"}
        body = f"{status}: {words[status]}\n".encode()
        plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": [*self.headers, *headers, *plain]})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    def _with_headers(self, send: Send) -> Send:
        async def wrapped(message: t.Any) -> None:
            if message["type"] == "http.response.start":
                own = [pair for pair in message["headers"] if pair[0].lower() != b"cache-control"]
                kept = [pair for pair in message["headers"] if pair[0].lower() == b"cache-control"] or [(b"cache-control", b"no-store")]
                message = {**message, "headers": [*own, *kept, *self.headers]}
            await send(message)

        return wrapped


def _host(value: bytes) -> str:
    """The host's name without its port."""
    text = value.decode("latin-1").lower().strip()
    if text.startswith("["):
        return text.partition("]")[0][1:]
    return text.rpartition(":")[0] if ":" in text else text
