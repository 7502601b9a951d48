# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of HTTP endpoints over TLS: who is trusted, and for how many days more."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    MOST_LATE_S,
    Server,
    answer,
    certificate,
    chain,
    outcome,
    outcomes,
    sends,
    silent,
)


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


def test_a_tls_check_tells_chain_name_and_days(tmp_path: Path) -> None:
    context, file = certificate(tmp_path, name="api.example", days=20)
    with Server(silent, context) as server:
        place = {"type": "tls", "host": "127.0.0.1", "port": server.port}
        trusted, refused, misnamed, warned, failed = outcomes(
            {**place, "server_name": "api.example", "ca_file": str(file)},
            {**place, "server_name": "api.example"},
            {**place, "ca_file": str(file)},
            {**place, "server_name": "api.example", "ca_file": str(file), "warn_certificate_days": 21},
            {**place, "server_name": "api.example", "ca_file": str(file), "warn_certificate_days": 30, "fail_certificate_days": 21},
        )
    assert (trusted.verdict, trusted.value) == ("pass", 20)
    assert trusted.observed["certificate_names"] == ["api.example"]
    assert trusted.observed["certificate_issuer"] == "api.example"
    assert trusted.observed["tls_version"].startswith("TLSv1")
    assert (refused.verdict, refused.value) == ("fail", 20)
    assert "the certificate is not accepted: self" in refused.reason
    assert (misnamed.verdict, misnamed.value) == ("fail", 20)
    assert "127.0.0.1" in misnamed.reason
    assert (warned.verdict, warned.reason) == ("warn", "the certificate is valid for 20 days, fewer than 21")
    assert failed.verdict == "fail"


def test_a_tls_check_tells_the_days_of_an_expired_certificate_once_more_than_that_it_fails(tmp_path: Path) -> None:
    context, file = certificate(tmp_path, days=-2)
    with Server(silent, context) as server:
        result = outcome(type="tls", host="127.0.0.1", port=server.port, ca_file=str(file), fail_certificate_days=7)
    assert (result.verdict, result.value) == ("fail", -2)
    assert "expired" in result.reason
    assert "valid for -2 days, fewer than 7" in result.reason


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python tells the verified chain from 3.10 on")
def test_the_days_are_those_of_the_certificate_of_the_chain_that_ends_first(tmp_path: Path) -> None:
    context, authority = chain(tmp_path, days=90, authority_days=10)
    with Server(silent, context) as server:
        result = outcome(type="tls", host="127.0.0.1", port=server.port, ca_file=str(authority), warn_certificate_days=30)
    assert result.observed["certificate_days_left"] == 90
    assert result.observed["chain_days_left"] == 10
    assert (result.verdict, result.value) == ("warn", 10)


def test_a_server_that_says_nothing_hangs_no_tls_check_and_keeps_no_reason_back(tmp_path: Path) -> None:
    context, _file = certificate(tmp_path)
    first = threading.Event()

    def once(connection: socket.socket, request: bytes) -> None:
        silent(connection, request)

    class Moody(Server):
        """Shows its certificate once; who connects again meets silence."""

        def _serve(self, connection: socket.socket) -> None:
            if first.is_set():
                silent(connection, b"")
                return
            first.set()
            super()._serve(connection)

    with Moody(once, context) as server:
        begin = time.monotonic()
        result = outcome(type="tls", host="127.0.0.1", port=server.port, timeout_s=1)
        assert time.monotonic() - begin < 1 + MOST_LATE_S
    assert result.verdict == "fail"
    assert "the certificate is not accepted" in result.reason


def test_reading_what_the_host_trusts_is_no_part_of_any_latency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, file = certificate(tmp_path)
    make = ssl.create_default_context

    def slowly(*arguments: t.Any, **keys: t.Any) -> ssl.SSLContext:
        time.sleep(0.3)
        return make(*arguments, **keys)

    monkeypatch.setattr(ssl, "create_default_context", slowly)
    with Server(silent, context) as secured, Server(sends(answer(b""))) as plain:
        begin = time.monotonic()
        results = outcomes(
            {"type": "http", "url": plain.url},
            {"type": "tls", "host": "127.0.0.1", "port": secured.port, "ca_file": str(file)},
        )
        assert time.monotonic() - begin >= 0.3
    assert [result.verdict for result in results] == ["pass", "pass"]
    assert all(result.latency_ms is not None and result.latency_ms < 200 for result in results)
