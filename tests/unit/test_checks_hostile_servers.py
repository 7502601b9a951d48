# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every type of check that speaks to a server, against servers that mean it ill: a verdict, in time, in little memory, without secrets."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
import tracemalloc
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    MOST_LATE_S,
    Handler,
    Server,
    answer,
    drips,
    outcomes,
    sends,
    silent,
)

BY_HTTP: dict[str, dict[str, t.Any]] = {
    "http": {"matches": ["never there"]},
    "json": {"value": "a", "fail_above": 1},
    "prometheus": {"metric": "up", "fail_above": 1, "observe": {"x": "up"}},
    "promql": {"query": "up", "fail_above": 1},
    "prometheus_server": {},
    "alertmanager": {"fail_above": 1, "labels": {"a": "b"}},
    "grafana": {},
    "qdrant": {"collections": ["a"], "collection": "b", "api_key": "sw0rdfish-key", "fail_above": 1},
    "statuspage": {},
}
SECRETS = {"user": "me", "password": "sw0rdfish", "headers": {"X-Secret": "sw0rdfish-header"}}
DEADLINE_S = 0.6


def checks_of(server: Server, **keys: t.Any) -> list[dict[str, t.Any]]:
    """A check of each type, all of this server."""
    port = {"host": "127.0.0.1", "port": server.port}
    by_http = [{"type": kind, "url": server.url, **SECRETS, **own, **keys} for kind, own in BY_HTTP.items()]
    others = [{"type": "redis", **port, "value": "x", "password": "sw0rdfish"}, {"type": "tls", **port}]
    return [{"timeout_s": DEADLINE_S, **check} for check in by_http + others]


def asked(handler: Handler, *, reads: bool = True, **keys: t.Any) -> list[Result]:
    """What all types make of a server, each of them in time."""
    with Server(handler, reads=reads) as server:
        begin = time.monotonic()
        results = outcomes(*checks_of(server, **keys))
        took = time.monotonic() - begin
    assert took < DEADLINE_S + MOST_LATE_S
    assert "sw0rdfish" not in repr(results)
    assert "the check itself failed" not in repr(results)
    json.dumps([dict(result.observed) for result in results], allow_nan=False).encode()
    return results


def endless(head: bytes, piece: bytes) -> Handler:
    """Sends without end, as fast as it is read."""

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece * (65536 // len(piece)))

    return handle


def resets(connection: socket.socket, _request: bytes) -> None:
    """Breaks the connection off in the middle of the answer."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def echoes(connection: socket.socket, request: bytes) -> None:
    """Sends back what it was sent, secrets and all, in an answer that is none."""
    connection.sendall(answer(request, "500 Internal Server Error"))


def redirects(connection: socket.socket, _request: bytes) -> None:
    """Sends everybody around in a circle."""
    connection.sendall(answer(b"", "302 Found", "Location: /again"))


OK = b"HTTP/1.1 200 OK\r\n\r\n"
BAD: dict[str, Handler] = {
    "silent": silent,
    "drips a head": drips(b"HTTP/1.1 200 OK\r\nA: b\r\n"),
    "drips a body": lambda connection, request: (connection.sendall(OK), drips(b"x")(connection, request))[1],  # type: ignore[func-returns-value]
    "endless head": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "endless status": endless(b"HTTP/1.1 200 ", b"x"),
    "endless line": endless(OK, b"x"),
    "endless comments": endless(OK, b"# comment\n"),
    "endless samples": endless(OK, b"other 1\n"),
    "endless lists": endless(OK, b"["),
    "garbage": sends(bytes(range(256)) * 20),
    "empty": sends(b""),
    "half an answer": resets,
    "lies": sends(answer(b"<html>Sign in</html>")),
    "lies in JSON": sends(answer(b'{"error": "database is gone"}')),
    "JSON of another kind": sends(answer(b"[1, 2, {}]")),
    "deep JSON": sends(answer(b"[" * 100_000)),
    "large numbers": sends(answer(b"up " + b"9" * 60_000 + b"\n")),
    "circles": redirects,
    "echo": echoes,
    "not found": sends(answer(b"", "404 Not Found")),
}


@pytest.mark.parametrize("server", BAD)
def test_a_hostile_server_gets_a_bad_verdict_from_every_type_in_time(server: str) -> None:
    results = asked(BAD[server], redirects="same_host")
    assert [result.type for result in results if result.verdict not in ("fail", "unknown") or not result.reason] == []


def test_a_server_that_speaks_first_and_never_listens_is_given_a_verdict_too() -> None:
    def handle(connection: socket.socket, _request: bytes) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(b"220 mail.example ESMTP\r\n")
            time.sleep(DEADLINE_S * 2)

    assert {result.verdict for result in asked(handle, reads=False)} == {"fail"}


@pytest.mark.parametrize("piece", [b"x", b"other 1\n", b'up{a="b"} 1\n', b"["])
def test_memory_stays_bounded_whatever_a_server_sends(piece: bytes) -> None:
    with Server(endless(OK, piece)) as server:
        checks = [{**check, "timeout_s": 3} for check in checks_of(server)]
        outcomes(*checks)  # what is imported now is not counted below
        tracemalloc.start()
        try:
            outcomes(*checks)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # 4 MiB of alerts, 1 MiB each of PromQL, collections and series, 64 KiB of the others; once received, once as what is judged.
    assert peak < 24_000_000


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([OK, b"", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", b"HTTP/1.1 503 x\r\n\r\n"]))
def test_any_bytes_get_a_verdict_from_every_type(data: bytes, head: bytes) -> None:
    results = asked(sends(head + data))
    assert all(result.verdict in ("pass", "warn", "fail", "unknown") for result in results)
