# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The word `pass` names a password in some places, and a verdict in ours."""

from __future__ import annotations

from ansible_collections.sre.runbooks.plugins.module_utils.checks.redaction import secrets_within


def test_how_many_checks_passed_is_no_secret() -> None:
    assert secrets_within({"health": {"counts": {"pass": 8, "warn": 1}}}) == set()


def test_a_password_called_pass_is_one_and_a_password_of_digits_too() -> None:
    assert secrets_within({"login": {"pass": "swordfish"}, "other": {"password": 12345}}) == {"swordfish", "12345"}
