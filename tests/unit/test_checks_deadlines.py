# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of HTTP endpoints and time: a server that is slow, silent or dripping is cut off at the deadline."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.engine import ask
from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Answer, Attempt, Check, Question
from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    MOST_LATE_S,
    Server,
    answer,
    certificate,
    drips,
    outcome,
    outcomes,
    sends,
    silent,
)


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


def test_a_pattern_is_given_up_also_when_the_first_call_to_do_so_is_lost() -> None:
    lost: list[float] = []

    class Swallows(Question):
        """Judges for ever, and swallows the first interruption, as Python does while it collects garbage."""

        target = "nowhere"

        async def ask(self, attempt: Attempt) -> None:
            return None

        def judge(self, got: object) -> Answer:
            begin = time.process_time()
            while True:
                try:
                    while time.process_time() - begin < 20:
                        sum(range(1000))
                    return Answer()
                except BaseException:
                    if lost:
                        raise
                    lost.append(time.process_time())

    begin = time.process_time()
    (result,) = ask([Check("a", "swallows", Swallows({}), 30, 30)])
    assert time.process_time() - begin < 2
    assert lost
    assert result.verdict == "unknown"
    assert "could not be judged" in result.reason
