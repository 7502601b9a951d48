# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a URL is secret, and what is not."""

from __future__ import annotations

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.redaction import secrets_of_url


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://postgres@postgres:5432/shop", set()),
        ("https://ghp_16C7e42F292c6912E7@github.com/shop/api.git", {"ghp_16C7e42F292c6912E7"}),
        ("git+https://0123abcd4567@example.org/x", {"0123abcd4567"}),
        ("https://example.org/people/@nobody", set()),
        ("redis://:p%40ss@cache:6379/0", {":p%40ss", "p%40ss", "p@ss"}),
        ("postgresql://app:p@ss/w0rd@db/shop", {"app:p@ss/w0rd", "p@ss/w0rd"}),
    ],
)
def test_passwords_and_tokens_of_urls_are_secret_and_names_of_users_are_not(url: str, secrets: set[str]) -> None:
    assert secrets_of_url(url) == secrets
