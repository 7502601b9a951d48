# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of ports: is one open, and what does it say."""

from __future__ import annotations

import time

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import MOST_LATE_S, Server, closed_port, drips, outcomes, silent


def test_an_open_port_passes_and_a_closed_one_fails() -> None:
    with Server(silent) as server:
        opened, closed = outcomes(
            {"type": "tcp", "host": "localhost", "port": server.port}, {"type": "tcp", "host": "127.0.0.1", "port": closed_port()}
        )
    assert (opened.verdict, closed.verdict, closed.reason) == ("pass", "fail", "connection refused")


def test_what_a_port_says_can_be_expected() -> None:
    with Server(lambda connection, request: connection.sendall(b"you said " + request)) as server:
        place = {"type": "tcp", "host": "127.0.0.1", "port": server.port, "send": "hello\n"}
        right, wrong = outcomes({**place, "contains": ["said", "hello"]}, {**place, "contains": ["goodbye"]})
    assert (right.verdict, wrong.verdict) == ("pass", "fail")
    assert wrong.observed["answer"] == "you said hello\n"


@pytest.mark.parametrize("kind", ["tcp", "redis"])
def test_a_port_that_drips_or_says_nothing_is_cut_off_at_the_deadline(kind: str) -> None:
    keys = {"contains": ["never"]} if kind == "tcp" else {}
    with Server(drips(b"+"), reads=False) as slow, Server(silent) as mute:
        begin = time.monotonic()
        results = outcomes(
            *({"type": kind, "host": "127.0.0.1", "port": server.port, "timeout_s": 0.5, **keys} for server in (slow, mute)),
        )
        assert time.monotonic() - begin < 0.5 + MOST_LATE_S
    assert {result.verdict for result in results} == {"fail"}
