# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of JSON documents: conditions and thresholds decide, and what is no JSON fails."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    Server,
    answer,
    outcome,
    sends,
)

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
    ({"n": float("inf")}, {"value": "n", "fail_above": 1}, "unknown"),
    ({"n": 3}, {"observe": {"n": "n", "half": "n.x"}}, "pass"),
]


@pytest.mark.parametrize(("document", "keys", "verdict"), JSON_CASES)
def test_conditions_and_thresholds_decide(document: t.Any, keys: dict[str, t.Any], verdict: str) -> None:
    with Server(sends(answer(json.dumps(document).replace("Infinity", "1e400").encode()))) as server:
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
