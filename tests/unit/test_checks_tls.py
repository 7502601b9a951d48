# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of HTTP endpoints over TLS: who is trusted, and for how many days more."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    Server,
    answer,
    certificate,
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
