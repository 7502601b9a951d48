# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of HTTP endpoints: what is asked and what is made of the answer, be the server well, ill, lying or hostile."""

from __future__ import annotations

import itertools
import json
import resource
import socket
import time
import zlib

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    Server,
    answer,
    closed_port,
    outcome,
    outcomes,
    sends,
)


def test_a_good_answer_passes_and_says_how_long_it_took() -> None:
    with Server(sends(answer(b"fine"))) as server:
        result = outcome(type="http", url=server.url + "health?deep=1", contains=["fine"], matches=["^fi"])
    assert (result.verdict, result.attempts, result.reason) == ("pass", 1, "")
    assert result.latency_ms is not None
    assert 0 < result.latency_ms < 1000
    assert result.target == server.url + "health?deep=1"
    assert server.requests[0].startswith(b"GET /health?deep=1 HTTP/1.1\r\n")


def test_a_bad_status_fails_and_the_beginning_of_the_body_is_kept() -> None:
    with Server(sends(answer(b"database is down" + b"." * 5000, "500 Internal Server Error"))) as server:
        result = outcome(type="http", url=server.url)
    assert result.verdict == "fail"
    assert result.reason == "answered 500 (Internal Server Error) instead of 200"
    assert result.observed["body"].startswith("database is down")
    assert len(result.observed["body"]) <= 500


def test_classes_and_lists_of_statuses_are_understood() -> None:
    with Server(sends(answer(b"", "429 Too Many Requests"))) as server:
        assert outcome(type="http", url=server.url, status=[200, 429]).verdict == "pass"
        assert outcome(type="http", url=server.url, status="4xx").verdict == "pass"
        assert outcome(type="http", url=server.url, status=["2xx"]).verdict == "fail"


@pytest.mark.parametrize("chunked", [False, True])
def test_an_endless_body_is_read_up_to_the_cap_only(chunked: bool) -> None:
    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n" if chunked else b"") + b"\r\n")
        while True:
            connection.sendall((b"10000\r\n" + b"x" * 65536 + b"\r\n") if chunked else b"x" * 65536)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Server(handle) as server:
        begin = time.monotonic()
        status, text, document = outcomes(
            {"type": "http", "url": server.url},
            {"type": "http", "url": server.url, "contains": ["never there"]},
            {"type": "json", "url": server.url},
        )
        assert time.monotonic() - begin < 8, "they do not read until their deadline of 10 s"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000
    assert status.verdict == "pass"
    assert text.verdict == document.verdict == "unknown"
    assert "not in the first 64 KiB" in text.reason


def test_an_endless_head_is_refused() -> None:
    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in itertools.count():
            connection.sendall(b"x-%d: %s\r\n" % (number, b"y" * 1000))

    with Server(handle) as server:
        result = outcome(type="http", url=server.url)
    assert result.verdict == "fail"
    assert "head of the answer" in result.reason


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut off",
        b"\xff" * 4000,
    ],
)
def test_garbage_fails_with_a_reason_and_its_beginning(garbage: bytes) -> None:
    with Server(sends(garbage)) as server:
        result = outcome(type="http", url=server.url, retries=2)
    assert result.verdict == "fail"
    assert result.attempts == 1
    assert result.reason
    assert result.observed["answer"]
    json.dumps(result.observed, allow_nan=False).encode("utf-8")


def test_a_connection_that_is_closed_at_once_is_tried_again() -> None:
    with Server(sends(b"")) as server:
        result = outcome(type="http", url=server.url, retries=2)
    assert (result.verdict, result.attempts) == ("fail", 3)


def test_a_refused_connection_fails_after_its_retries() -> None:
    port = closed_port()
    result = outcome(type="http", url=f"http://127.0.0.1:{port}/", retries=2)
    assert (result.verdict, result.attempts, result.reason) == ("fail", 3, "connection refused")
    assert result.latency_ms is None


def test_a_name_that_does_not_resolve_is_unknown_not_failed() -> None:
    result = outcome(type="http", url="http://nowhere.invalid/", timeout_s=5)
    assert result.verdict in ("unknown", "fail")
    if "no complete answer" not in result.reason:
        assert result.verdict == "unknown"
        assert "does not resolve" in result.reason


def test_a_passing_fault_is_tried_again_and_the_retry_is_told() -> None:
    statuses = iter(["503 Service Unavailable", "502 Bad Gateway", "200 OK"])
    with Server(lambda connection, _request: connection.sendall(answer(b"", next(statuses)))) as server:
        result = outcome(type="http", url=server.url, retries=3)
    assert (result.verdict, result.attempts, result.reason) == ("pass", 3, "passed after 3 attempts")


def test_an_answer_that_will_not_change_is_not_asked_for_again() -> None:
    with Server(sends(answer(b"", "500 Internal Server Error"))) as server:
        assert outcome(type="http", url=server.url, retries=5).attempts == 1
        assert len(server.requests) == 1


def test_redirects_are_followed_only_when_asked_and_only_to_the_same_place() -> None:
    with Server(sends(answer(b"secret place"))) as other:

        def handle(connection: socket.socket, request: bytes) -> None:
            path = request.split()[1]
            away = {b"/": "/there", b"/out": other.url, b"/round": "/round"}.get(path)
            connection.sendall(answer(b"", "302 Found", f"Location: {away}") if away else answer(b"arrived"))

        with Server(handle) as server:
            stays, follows, leaves, circles = outcomes(
                {"type": "http", "url": server.url},
                {"type": "http", "url": server.url, "redirects": "same_host", "contains": ["arrived"]},
                {"type": "http", "url": server.url + "out", "redirects": "same_host", "token": "top-secret"},
                {"type": "http", "url": server.url + "round", "redirects": "same_host"},
            )
        assert other.requests == []
    assert stays.verdict == "fail"
    assert "a redirect to /there" in stays.reason
    assert follows.verdict == "pass"
    assert leaves.verdict == "fail"
    assert "redirected more than 5 times" in circles.reason


def test_the_environment_s_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}/")
    with Server(sends(answer(b""))) as server:
        assert outcome(type="http", url=server.url).verdict == "pass"


def test_chunks_interim_answers_and_compression_are_understood() -> None:
    packed = zlib.compress(b'{"healthy": true}')
    body = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n"
    body += b"".join(b"%x;note=1\r\n%s\r\n" % (len(piece), piece) for piece in (packed[:5], packed[5:])) + b"0\r\nTrailer: x\r\n\r\n"
    with Server(sends(body)) as server:
        assert outcome(type="json", url=server.url, conditions=["healthy"]).verdict == "pass"


def test_a_small_compressed_answer_cannot_become_a_large_one() -> None:
    bomb = zlib.compress(b"x" * 50_000_000)
    with Server(sends(answer(bomb, "200 OK", "Content-Encoding: gzip"))) as server:
        result = outcome(type="http", url=server.url, contains=["y"])
    assert result.verdict == "unknown"


def test_body_method_headers_and_account_are_sent() -> None:
    with Server(sends(answer(b""))) as server:
        account, token = outcomes(
            {
                "type": "http",
                "url": server.url,
                "method": "POST",
                "body": {"q": "é"},
                "user": "u",
                "password": "p",
                "headers": {"X-Test": "1"},
            },
            {"type": "http", "url": server.url, "token": "abc", "headers": {"user-agent": "other"}},
        )
        posted = next(request for request in server.requests if request.startswith(b"POST"))
        got = next(request for request in server.requests if request.startswith(b"GET"))
    assert account.verdict == token.verdict == "pass"
    for line in (b"Authorization: Basic dTpw", b"X-Test: 1", b"Content-Type: application/json", b"Content-Length: 15"):
        assert line + b"\r\n" in posted
    assert b"Authorization: Bearer abc\r\n" in got
    assert got.lower().count(b"user-agent") == 1


def echo(connection: socket.socket, request: bytes) -> None:
    connection.sendall(answer(request * 3, "500 I saw swordfish-42"))


def test_a_server_that_repeats_our_secrets_does_not_get_them_into_the_report() -> None:
    secrets = ["swordfish-42", "tok-0123456789", "cookie-value-77", "query-secret-5"]
    with Server(echo) as server:
        results = outcomes(
            {"type": "http", "url": server.url + "?api_key=query-secret-5", "user": "u", "password": "swordfish-42"},
            {"type": "http", "url": server.url, "token": "tok-0123456789", "headers": {"X-Session": "cookie-value-77"}},
        )
    said = repr(results)
    assert "********" in said
    for secret in [*secrets, "dTpzd29yZGZpc2gtNDI="]:
        assert secret not in said


@pytest.mark.parametrize("at", range(940, 1010, 7))
def test_no_half_of_a_secret_is_left_where_the_evidence_is_cut(at: int) -> None:
    secret = "0123456789abcdefghijklmnopqrstuvwxyz"
    with Server(sends(answer(secret.encode() * 12 + b"." * (at - 12 * len(secret)) + secret.encode() + b"." * 3000, "500 X"))) as server:
        said = repr(outcome(type="http", url=server.url, token=secret))
    assert "0123456" not in said
