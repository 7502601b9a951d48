# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Channels: how they are reached, and that nobody sees what they hold."""

from __future__ import annotations

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.notify.channel import NoWay, secrets_of, shown, way_to


@pytest.mark.parametrize(
    ("channel", "seen"),
    [
        ("slack://team-alerts", "slack://team-alerts"),
        ("email://on-call@insighthub.com", "email://on-call@insighthub.com"),
        ("sms://+1234567890", "sms://+1234567890"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", "slack://********"),
        ("json://user:swordfish@127.0.0.1:8080/hook?token=abcdef", "json://127.0.0.1:8080"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "tgram://********"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord://********"),
        ("mailtos://me:swordfish@mail.example.com?to=you@example.com", "mailtos://mail.example.com"),
        ("nonsense", "an address that cannot be read"),
        ("json://[::1/x", "json://********"),
    ],
)
def test_a_name_is_shown_and_an_address_only_as_far_as_it_holds_no_secret(channel: str, seen: str) -> None:
    assert shown(channel) == seen


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("slack://team-alerts", set()),
        ("email://on-call@example.com", set()),
        ("json://user:sword%21fish@127.0.0.1/hooked?token=abcdef&to=a@b.c", {"user", "sword%21fish", "sword!fish", "hooked", "abcdef"}),
        ("tgram://123456789:abcdefg/12315544/", {"123456789", "abcdefg", "12315544", "123456789:abcdefg"}),
    ],
)
def test_what_could_be_a_secret_is_known_as_one(address: str, secrets: set[str]) -> None:
    assert secrets_of(address) >= secrets
    if not secrets:
        assert secrets_of(address) == frozenset()


def test_a_gateway_takes_the_address_into_its_own_place() -> None:
    way = way_to("email://on-call@example.com", {"email": "mailtos://me:swordfish@mail.example.com?to={to}"})
    assert way.address == "mailtos://me:swordfish@mail.example.com?to=on-call@example.com"
    assert "swordfish" in way.secrets
    assert way_to("slack://team", {"slack": "slack://T/A/B/#{to}"}).address == "slack://T/A/B/#team"
    hostile = way_to("slack://a b&x=1/../?y#z", {"slack": "json://h/{to}"}).address
    assert hostile == "json://h/a%20b%26x%3D1%2F..%2F%3Fy#z"


def test_an_address_of_apprise_needs_no_gateway_and_a_mere_name_does() -> None:
    assert way_to("json://127.0.0.1:8080/hook", {}).address == "json://127.0.0.1:8080/hook"
    for channel, word in (
        ("slack://team", "notify_gateways.slack"),
        ("sms://+1", "notify_gateways.sms"),
        ("team", "kind://"),
        ("://x", "kind://"),
    ):
        with pytest.raises(NoWay, match=word):
            way_to(channel, {})
