# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of Redis, against a real server and against impostors."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, outcome, outcomes, sends
from ansible_collections.sre.runbooks.tests.unit.checks_stores import Valkey, running_valkey


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


def test_redis_answers_and_its_fields_are_judged(valkey: Valkey) -> None:
    place = {"type": "redis", "host": "127.0.0.1", "port": valkey.port, "password": valkey.password}
    plain, full, cold, gone = outcomes(
        place,
        {**place, "user": "default", "value": "used_memory", "fail_above": 1, "observe": {"role": "role"}},
        {**place, "conditions": [{"that": "role == 'slave'", "otherwise": "warn"}]},
        {**place, "conditions": ["db7.keys > `0`"]},
    )
    assert (plain.verdict, plain.reason) == ("pass", "")
    assert full.verdict == "fail"
    assert full.observed["role"] == "master"
    assert full.observed["value"] > 1
    assert cold.verdict == "warn"
    assert gone.verdict == "unknown"


def test_redis_refuses_a_wrong_password_and_a_missing_one(valkey: Valkey) -> None:
    place = {"type": "redis", "host": "127.0.0.1", "port": valkey.port}
    wrong, missing = outcomes({**place, "password": "wrong-one"}, place)
    assert wrong.verdict == missing.verdict == "fail"
    assert wrong.reason.startswith("the server refused the login")
    assert "wrong-one" not in repr(wrong)
    assert missing.reason.startswith("the server wants a password")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"-LOADING Valkey is loading the dataset in memory\r\n", "still loading its data"),
        (b"+HELLO\r\n", "did not answer PING with PONG"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not in the protocol of Redis"),
        (b"$99999999999\r\n", "larger than"),
        (b"$x\r\n", "not in the protocol of Redis"),
        (b"", "closed without an answer"),
        (b"+PO", "closed without an answer"),
    ],
)
def test_what_is_not_redis_or_not_ready_fails_with_a_reason(said: bytes, reason: str) -> None:
    with Server(sends(said)) as server:
        result = outcome(type="redis", host="127.0.0.1", port=server.port)
    assert result.verdict == "fail"
    assert reason in result.reason


def test_an_endless_redis_reply_is_cut_off_by_its_size() -> None:
    def handle(connection: socket.socket, _request: bytes) -> None:
        while True:
            connection.sendall(b"+" + b"x" * 65536)

    with Server(handle) as server:
        result = outcome(type="redis", host="127.0.0.1", port=server.port)
    assert result.verdict == "fail"
    assert "larger than" in result.reason
