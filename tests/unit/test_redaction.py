# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is a secret: by where it stands, and by its looks."""

from __future__ import annotations

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.redaction import Redactor, secrets_within


def test_how_many_checks_passed_is_no_secret() -> None:
    assert secrets_within({"health": {"counts": {"pass": 8, "warn": 1}}}) == set()


def test_a_password_called_pass_is_one_and_a_password_of_digits_too() -> None:
    assert secrets_within({"login": {"pass": "swordfish"}, "other": {"password": 12345}}) == {"swordfish", "12345"}


@pytest.mark.parametrize(
    "text",
    [
        '{"body": "{\\"password\\":\\"sw0rdfish\\"}"}',
        '{"a": "{\\"b\\": \\"{\\\\\\"db_password\\\\\\": \\\\\\"sw0rdfish\\\\\\"}\\"}"}',
        '{"level": "ERROR", "message": "refused, password=sw0rdfish"}',
        "password: 'sw0rdfish with words'",
        "client_secret=sw0rdfish&grant=all",
        "X-Api-Key: sw0rdfish",
        "DB_PASSWORD=sw0rdfish",
        "-----BEGIN EC PRIVATE KEY-----\nsw0rdfish\n-----END EC PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_masked_also_in_json_within_json(text: str) -> None:
    assert "sw0rdfish" not in Redactor().text(text)


@pytest.mark.parametrize("text", ["fail above 90 percent: 91", '{"status": "ok", "key_count": 7}', "latency_ms=12 bypass=no", "2 pass"])
def test_what_does_not_stays_as_it_is(text: str) -> None:
    assert Redactor().text(text) == text
