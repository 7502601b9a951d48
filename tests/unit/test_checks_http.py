# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of HTTP endpoints, against servers that are well, ill, slow, lying or hostile."""

from __future__ import annotations

import itertools
import json
import resource
import socket
import threading
import time
import typing as t
import zlib
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    Server,
    answer,
    certificate,
    closed_port,
    drips,
    outcome,
    outcomes,
    sends,
    silent,
)

MOST_LATE_S = 0.1
"""By how much a check may miss its deadline."""


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


@pytest.mark.parametrize("stage", ["head", "body", "chunks"])
def test_a_server_that_sends_a_byte_a_second_is_cut_off_at_the_deadline(stage: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if stage == "chunks" else b"HTTP/1.1 200 OK\r\n\r\n"
    drip = drips(b"1\r\nx\r\n" if stage == "chunks" else b"a: b\r\n" if stage == "head" else b"x")

    def handle(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" if stage == "head" else head)
        drip(connection, request)

    with Server(handle) as server:
        begin = time.monotonic()
        result = outcome(type="http", url=server.url, timeout_s=0.6, retries=3)
        took = time.monotonic() - begin
    assert result.verdict == "fail"
    assert "no complete answer within 0.6 s" in result.reason
    assert 0.6 <= took < 0.6 + MOST_LATE_S


def test_a_dripping_tls_server_is_cut_off_at_the_deadline(tmp_path: Path) -> None:
    context, file = certificate(tmp_path)
    with Server(drips(b"HTTP/1.1 200 OK\r\nx: y\r\n"), context) as server:
        begin = time.monotonic()
        result = outcome(type="http", url=server.url, ca_file=str(file), timeout_s=0.6)
        assert 0.6 <= time.monotonic() - begin < 0.6 + MOST_LATE_S
    assert result.verdict == "fail"


def test_a_server_that_accepts_and_says_nothing_is_cut_off_also_during_the_tls_handshake() -> None:
    with Server(silent) as server:
        begin = time.monotonic()
        plain, secured = outcomes(
            {"type": "http", "url": server.url, "timeout_s": 0.5},
            {"type": "http", "url": server.url.replace("http:", "https:"), "timeout_s": 0.5},
        )
        assert time.monotonic() - begin < 0.5 + MOST_LATE_S
    assert plain.verdict == secured.verdict == "fail"
    assert "(waiting for the answer)" in plain.reason
    assert "(negotiating TLS)" in secured.reason


def test_a_server_whose_queue_is_full_is_cut_off_while_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        begin = time.monotonic()
        result = outcome(type="http", url=f"http://127.0.0.1:{port}/", timeout_s=0.5)
        assert time.monotonic() - begin < 0.5 + MOST_LATE_S
        for filler in fillers:
            filler.close()
    assert result.verdict == "fail"
    assert "connecting to" in result.reason


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
        assert time.monotonic() - begin < 2
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


def test_an_attempt_can_be_given_up_early_so_that_a_retry_follows() -> None:
    first = threading.Event()

    def handle(connection: socket.socket, request: bytes) -> None:
        if not first.is_set():
            first.set()
            silent(connection, request)
        else:
            connection.sendall(answer(b""))

    with Server(handle) as server:
        result = outcome(type="http", url=server.url, retries=1, attempt_timeout_s=0.3, timeout_s=3)
    assert (result.verdict, result.attempts) == ("pass", 2)
    assert result.latency_ms is not None
    assert result.latency_ms < 300


def test_slow_answers_warn_and_fail_by_their_latency() -> None:
    def handle(connection: socket.socket, _request: bytes) -> None:
        time.sleep(0.2)
        connection.sendall(answer(b""))

    with Server(handle) as server:
        warned, failed = outcomes(
            {"type": "http", "url": server.url, "warn_latency_ms": 100},
            {"type": "http", "url": server.url, "warn_latency_ms": 50, "fail_latency_ms": 100},
        )
    assert (warned.verdict, failed.verdict) == ("warn", "fail")
    assert "more than 100 ms" in failed.reason


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


def test_a_certificate_that_nobody_vouches_for_fails_and_its_days_are_told(tmp_path: Path) -> None:
    context, file = certificate(tmp_path, days=20)
    with Server(sends(answer(b"")), context) as server:
        refused, trusted, unverified, warned = outcomes(
            {"type": "http", "url": server.url},
            {"type": "http", "url": server.url, "ca_file": str(file)},
            {"type": "http", "url": server.url, "verify_tls": False},
            {"type": "http", "url": server.url, "ca_file": str(file), "warn_certificate_days": 21, "fail_certificate_days": 7},
        )
    assert refused.verdict == "fail"
    assert "self-signed certificate" in refused.reason.replace("self signed", "self-signed")
    assert [result.observed["certificate_days_left"] for result in (refused, trusted, unverified)] == [20.0] * 3
    assert trusted.verdict == unverified.verdict == "pass"
    assert warned.verdict == "warn"
    assert "valid for 20 days, fewer than 21" in warned.reason


def test_an_expired_certificate_fails_and_a_wrong_name_too(tmp_path: Path) -> None:
    expired, expired_file = certificate(tmp_path, days=-2)
    other, other_file = certificate(tmp_path, name="other.example")
    with Server(sends(answer(b"")), expired) as old, Server(sends(answer(b"")), other) as wrong:
        first, second = outcomes(
            {"type": "http", "url": old.url, "ca_file": str(expired_file)},
            {"type": "http", "url": wrong.url, "ca_file": str(other_file)},
        )
    assert "expired" in first.reason
    assert first.observed["certificate_days_left"] == -2.0
    assert second.verdict == "fail"
    assert "127.0.0.1" in second.reason


def test_a_missing_file_of_certificates_is_unknown() -> None:
    with Server(silent) as server:
        result = outcome(type="http", url=server.url.replace("http:", "https:"), ca_file="/nowhere/ca.pem")
    assert result.verdict == "unknown"
    assert "/nowhere/ca.pem" in result.reason


def test_tls_to_a_server_without_tls_fails_clearly() -> None:
    with Server(sends(answer(b""))) as server:
        result = outcome(type="http", url=server.url.replace("http:", "https:"))
    assert result.verdict == "fail"
    assert "TLS failed" in result.reason


JSON_CASES: list[tuple[t.Any, dict[str, t.Any], str]] = [
    ({"healthy": True}, {"conditions": ["healthy == `true`"]}, "pass"),
    ({"healthy": False}, {"conditions": ["healthy == `true`"]}, "fail"),
    ({"healthy": False}, {"conditions": [{"that": "healthy", "otherwise": "warn"}]}, "warn"),
    ({}, {"conditions": ["healthy"]}, "unknown"),
    ({"score": "0.9"}, {"conditions": ["score > `0.5`"]}, "unknown"),
    ({"score": 0.95}, {"conditions": ["score > `0.95`"]}, "fail"),
    ({"a": [{"ok": True}, {"ok": False}]}, {"conditions": ["length(a[?!ok]) == `0`"]}, "fail"),
    ({"n": 5}, {"value": "n", "warn_above": 4, "fail_above": 6}, "warn"),
    ({"n": 7}, {"value": "n", "warn_above": 4, "fail_above": 6}, "fail"),
    ({"n": 0.7}, {"value": "n", "fail_below": 0.8}, "fail"),
    ({"n": "x"}, {"value": "n", "fail_below": 0.8}, "unknown"),
    ({"n": True}, {"value": "n", "fail_below": 0.8}, "unknown"),
    ({}, {"value": "n", "fail_below": 0.8}, "unknown"),
    ({"n": 10**400}, {"value": "n", "fail_above": 1}, "unknown"),
    ({"n": 3}, {"observe": {"n": "n", "half": "n.x"}}, "pass"),
]


@pytest.mark.parametrize(("document", "keys", "verdict"), JSON_CASES)
def test_conditions_and_thresholds_decide(document: t.Any, keys: dict[str, t.Any], verdict: str) -> None:
    with Server(sends(answer(json.dumps(document).encode()))) as server:
        result = outcome(type="json", url=server.url, **keys)
    assert result.verdict == verdict, result.reason
    assert (result.reason == "") == (verdict == "pass")


def test_a_condition_says_what_was_there_instead() -> None:
    with Server(sends(answer(b'{"cache": {"hit_rate": 0.62}}'))) as server:
        result = outcome(type="json", url=server.url, conditions=[{"that": "cache.hit_rate > `0.8`", "msg": "the cache is cold"}])
    assert result.reason == "the cache is cold (it is 0.62)"


@pytest.mark.parametrize("lie", [b"<html>Error</html>", b"", b"{", b"NaN", b"[" * 20000, b"\xff\xfe"])
def test_a_server_that_says_200_over_something_else_than_json_fails(lie: bytes) -> None:
    with Server(sends(answer(lie))) as server:
        assert outcome(type="json", url=server.url, conditions=["healthy"]).verdict == "fail"


def test_a_pattern_that_takes_for_ever_is_given_up_and_holds_up_no_other_check() -> None:
    with Server(sends(answer(b"a" * 3000 + b"!"))) as hostile, Server(drips(b"x")) as slow:
        begin = time.monotonic()
        pattern, other = outcomes(
            {"type": "http", "url": hostile.url, "matches": ["(a+)+$"]},
            {"type": "http", "url": slow.url, "timeout_s": 0.5},
        )
        assert time.monotonic() - begin < 0.5 + MOST_LATE_S
    assert pattern.verdict == "unknown"
    assert "simplify the patterns" in pattern.reason
    assert other.verdict == "fail"
