# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may see a status page, and how often one may guess."""

from __future__ import annotations

import asyncio
import base64
import typing as t

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.status_page.access import ALL_GUESSES, GUESSES, Access, Guard


def header(text: str) -> bytes:
    """A header of basic authentication."""
    return b"Basic " + base64.b64encode(text.encode())


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ask(
    guard: Guard, method: str = "GET", path: str = "/", host: str = "localhost", authorization: bytes = b"", address: str = "192.0.2.7"
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of an answer of the middleware; what it lets through is answered with 200."""
    sent: list[t.Any] = []

    async def inner(_scope: t.Any, _receive: t.Any, send: t.Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-inner", b"1")]})
        await send({"type": "http.response.body", "body": b"through"})

    async def receive() -> t.Any:
        return {"type": "http.request"}

    async def send(message: t.Any) -> None:
        sent.append(message)

    headers = [(b"host", host.encode()), *([(b"authorization", authorization)] if authorization else [])]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": (address, 1)}
    asyncio.run(Access(inner, guard, ["localhost", "127.0.0.1", "::1"], tls=False)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_the_right_password_opens_and_everything_else_does_not() -> None:
    guard = Guard("sre", "correct horse")
    assert ask(guard)[0] == 401
    assert ask(guard, authorization=header("sre:correct horse"))[0] == 200
    for wrong in (header("sre:correct"), header("SRE:correct horse"), b"Bearer x", b"Basic !!!"):
        assert ask(guard, authorization=wrong, address="192.0.2.8")[0] == 401


def test_only_reading_is_allowed_even_with_the_password() -> None:
    guard = Guard("sre", "correct horse")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        status, headers, _body = ask(guard, method, authorization=header("sre:correct horse"))
        assert (status, headers[b"allow"]) == (405, b"GET, HEAD")


def test_guessing_is_stopped_for_a_minute_even_if_the_guess_would_be_right() -> None:
    clock = Clock()
    guard = Guard("sre", "correct horse", clock)
    for _time in range(GUESSES):
        assert ask(guard, authorization=header("sre:wrong"))[0] == 401
    status, headers, _body = ask(guard, authorization=header("sre:correct horse"))
    assert status == 429
    assert 0 < int(headers[b"retry-after"]) <= 61
    assert ask(guard, authorization=header("sre:correct horse"), address="192.0.2.9")[0] == 200
    clock.now += 61
    assert ask(guard, authorization=header("sre:correct horse"))[0] == 200


def test_guessing_from_many_addresses_is_stopped_as_well() -> None:
    guard = Guard("sre", "correct horse", Clock())
    for number in range(ALL_GUESSES):
        assert ask(guard, authorization=header("sre:wrong"), address=f"198.51.100.{number}")[0] == 401
    assert ask(guard, authorization=header("sre:wrong"), address="203.0.113.1")[0] == 429


def test_asking_without_a_password_is_no_guess() -> None:
    guard = Guard("sre", "correct horse", Clock())
    for _time in range(3 * GUESSES):
        assert ask(guard)[0] == 401
    assert ask(guard, authorization=header("sre:correct horse"))[0] == 200


def test_the_memory_for_guesses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.sre.runbooks.plugins.module_utils.status_page.access._ADDRESSES", 10)
    guard = Guard("sre", "correct horse", Clock())
    for number in range(100):
        guard.admits(f"10.0.0.{number}", header("sre:wrong"))
    assert len(guard._wrong) <= 10


def test_a_foreign_host_name_that_leads_here_reads_nothing() -> None:
    guard = Guard("sre", "")
    assert ask(guard, host="evil.example")[0] == 421
    for good in ("localhost:5000", "127.0.0.1:5000", "[::1]:5000", "LOCALHOST"):
        assert ask(guard, host=good)[0] == 200


def test_every_answer_has_the_strict_headers() -> None:
    guard = Guard("sre", "correct horse")
    for authorization in (b"", header("sre:correct horse")):
        headers = ask(guard, authorization=authorization)[1]
        policy = headers[b"content-security-policy"].decode()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers[b"x-content-type-options"] == b"nosniff"
    assert ask(guard, authorization=header("sre:correct horse"))[1][b"cache-control"] == b"no-store"


def test_whether_the_page_is_there_may_be_asked_by_everybody() -> None:
    assert ask(Guard("sre", "correct horse"), path="/healthz")[0] == 200


def test_the_password_is_not_kept() -> None:
    assert b"correct horse" not in repr(vars(Guard("sre", "correct horse"))).encode()
