# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of names: by the host's own resolver, and from servers that answer well, badly, late or never."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks.dns_message import NotDns, Reply, encoded, question, reply
from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.tests.unit.checks_servers import MOST_LATE_S, closed_port, outcome, outcomes

HERE = b"\xc0\x0c"
"""A pointer to the name in the question."""


def record(kind: int, data: bytes, owner: bytes = HERE, internet: int = 1) -> bytes:
    return owner + struct.pack("!2HIH", kind, internet, 60, len(data)) + data


def a(address: str, owner: bytes = HERE) -> bytes:
    """A record with an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return record(28 if ":" in address else 1, socket.inet_pton(family, address), owner)


def message(asked: bytes, *records: bytes, code: int = 0, flags: int = 0x8180) -> bytes:
    """An answer to a question."""
    return asked[:2] + struct.pack("!5H", flags | code, 1, len(records), 0, 0) + asked[12:] + b"".join(records)


Answering = Callable[[bytes], list[bytes]]


def both_on_one_port() -> tuple[socket.socket, socket.socket]:
    """A socket for datagrams and a listening one, on the same port of 127.0.0.1."""
    while True:
        channel, listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        channel.bind(("127.0.0.1", 0))
        try:
            listener.bind(channel.getsockname())
        except OSError:  # free for datagrams only
            channel.close()
            listener.close()
            continue
        listener.listen()
        return channel, listener


@contextlib.contextmanager
def name_server(by_datagram: Answering, by_stream: Answering | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A server on one port of 127.0.0.1, for datagrams and streams; yields the port, and the questions that came."""
    asked: list[bytes] = []
    channel, listener = both_on_one_port()
    with channel, listener:
        port = channel.getsockname()[1]

        def datagrams() -> None:
            with contextlib.suppress(OSError):
                while True:
                    data, peer = channel.recvfrom(4096)
                    if not data:
                        return  # the test is over
                    asked.append(data)
                    for said in by_datagram(data):
                        channel.sendto(said, peer)

        def streams() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _peer = listener.accept()
                    with connection:
                        data = connection.recv(4096)[2:]
                        for said in by_stream(data) if by_stream else []:
                            connection.sendall(said)

        for work in (datagrams, streams):
            threading.Thread(target=work, daemon=True).start()
        yield port, asked
        # Wakes the threads, which a close alone would not.
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def kind_of(asked: bytes) -> int:
    return int.from_bytes(asked[-4:-2], "big")


def with_addresses(*addresses: str) -> Answering:
    """Answers with those of the addresses that are of the type asked for."""
    return lambda asked: [message(asked, *(a(one) for one in addresses if (":" in one) == (kind_of(asked) == 28)))]


def asked_of(answering: Answering, by_stream: Answering | None = None, **keys: object) -> Result:
    with name_server(answering, by_stream) as (port, _asked):
        return outcome(**{"type": "dns", "host": "api.example.com", "server": "127.0.0.1", "port": port, **keys})


def test_the_host_s_resolver_knows_its_own_name_and_not_one_that_cannot_exist() -> None:
    found, wrong, missing = outcomes(
        {"type": "dns", "host": "localhost", "addresses": ["127.0.0.1"]},
        {"type": "dns", "host": "localhost", "addresses": ["192.0.2.1"], "records": ["A"]},
        {"type": "dns", "host": "nowhere.invalid"},
    )
    assert found.verdict == "pass"
    assert "127.0.0.1" in found.observed["addresses"]
    assert wrong.reason == "the name does not lead to 192.0.2.1; the name leads to 127.0.0.1, which is not expected"
    # Where no name server can be reached, nobody knows that there is no such name.
    assert missing.verdict in ("fail", "unknown")


def test_a_given_server_is_asked_for_both_kinds_of_addresses() -> None:
    with name_server(with_addresses("192.0.2.1", "192.0.2.2", "2001:db8::1")) as (port, asked):
        result = outcome(type="dns", host="api.example.com", server="127.0.0.1", port=port)
    assert (result.verdict, result.observed["addresses"]) == ("pass", ["192.0.2.1", "192.0.2.2", "2001:db8::1"])
    assert sorted(map(kind_of, asked)) == [1, 28]
    assert result.target == f"api.example.com at 127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("expected", "verdict", "reason"),
    [
        (["192.0.2.2", "192.0.2.1"], "pass", ""),
        (["192.0.2.1", "192.0.2.2", "2001:0DB8:0::1"], "pass", ""),
        (["2001:db8::1"], "pass", ""),
        (["192.0.2.1"], "fail", "leads to 192.0.2.2, which is not expected"),
        (["192.0.2.1", "192.0.2.2", "192.0.2.3"], "fail", "does not lead to 192.0.2.3"),
        (["2001:db8::2"], "fail", "does not lead to 2001:db8::2"),
    ],
)
def test_the_name_must_lead_to_the_expected_addresses_and_no_others(expected: list[str], verdict: str, reason: str) -> None:
    result = asked_of(with_addresses("192.0.2.1", "192.0.2.2", "2001:db8::1"), addresses=expected)
    assert result.verdict == verdict
    assert reason in result.reason


def test_aliases_are_followed() -> None:
    def answering(asked: bytes) -> list[bytes]:
        first, second = encoded("lb.example.net"), encoded("node.example.net")
        others = a("192.0.2.66", encoded("other.example.net"))
        return [message(asked, a("192.0.2.7", second), record(5, second, first), record(5, first), others)]

    result = asked_of(answering, records=["A"])
    assert result.observed == {"addresses": ["192.0.2.7"], "alias": "node.example.net"}


@pytest.mark.parametrize(
    ("code", "verdict", "reason"),
    [
        (3, "fail", "the name does not exist"),
        (2, "fail", "SERVFAIL"),
        (5, "fail", "REFUSED"),
        (9, "fail", "code 9"),
        (0, "fail", "has no address"),
    ],
)
def test_what_the_server_says_instead_of_an_address_fails(code: int, verdict: str, reason: str) -> None:
    result = asked_of(lambda asked: [message(asked, code=code)])
    assert result.verdict == verdict
    assert reason in result.reason


def test_a_server_that_breaks_on_one_kind_of_address_only_warns() -> None:
    result = asked_of(lambda asked: [message(asked, code=2) if kind_of(asked) == 28 else message(asked, a("192.0.2.1"))])
    assert result.verdict == "warn"
    assert "SERVFAIL for the type AAAA" in result.reason


def test_an_answer_that_does_not_fit_is_asked_for_by_a_stream() -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 101)]

    def whole(asked: bytes) -> list[bytes]:
        said = message(asked, *map(a, addresses))
        framed = len(said).to_bytes(2, "big") + said
        return [framed[:1], framed[1:700], framed[700:]]

    result = asked_of(lambda asked: [message(asked, flags=0x8380)], whole, records=["A"])
    assert (result.verdict, len(result.observed["addresses"])) == ("pass", 20)
    cut = asked_of(lambda asked: [message(asked, flags=0x8380)], lambda asked: [b"\xff\xff" + message(asked)], records=["A"])
    assert (cut.verdict, cut.reason) == ("fail", "the connection was closed without an answer")
    garbage = asked_of(lambda asked: [message(asked, flags=0x8380)], lambda _asked: [b"\0\5hello"], records=["A"])
    assert garbage.verdict == "fail"


def test_answers_to_other_questions_and_garbage_are_passed_over() -> None:
    def answering(asked: bytes) -> list[bytes]:
        other = question("api.example.com", "A", int.from_bytes(asked[:2], "big") ^ 1)
        named = question("evil.example.com", "A", int.from_bytes(asked[:2], "big"))
        return [b"", b"garbage", message(other, a("192.0.2.66")), message(named, a("192.0.2.66")), asked, message(asked, a("192.0.2.1"))]

    assert asked_of(answering, records=["A"]).observed["addresses"] == ["192.0.2.1"]


def test_a_lost_datagram_is_asked_for_again() -> None:
    asked: list[bytes] = []

    def second_time(data: bytes) -> list[bytes]:
        asked.append(data)
        return [] if len(asked) == 1 else [message(data, a("192.0.2.1"))]

    assert asked_of(second_time, records=["A"]).verdict == "pass"
    assert len(asked) == 2


def test_a_silent_server_a_flooding_one_and_a_closed_port_are_given_up_in_time() -> None:
    stop = threading.Event()

    def flood(_asked: bytes) -> Iterator[bytes]:
        while not stop.is_set():
            yield b"garbage without end"

    with name_server(lambda _asked: []) as (mute, _), name_server(flood) as (loud, _):  # type: ignore[arg-type]
        begin = time.monotonic()
        place = {"type": "dns", "host": "api.example.com", "server": "127.0.0.1", "timeout_s": 0.7}
        silent, flooded, closed, other = outcomes(
            {**place, "port": mute}, {**place, "port": loud}, {**place, "port": closed_port()}, {**place, "port": mute, "timeout_s": 0.3}
        )
        took = time.monotonic() - begin
        stop.set()
    assert took < 0.7 + MOST_LATE_S
    assert {result.verdict for result in (silent, flooded, closed, other)} == {"fail"}
    # What is left of 0.7 s when it begins to wait.
    assert re.search(r"no complete answer within 0\.[67]\d* s \(waiting for 127\.0\.0\.1\)", silent.reason)
    assert closed.reason == "connection refused"


@given(st.binary(max_size=600))
def test_whatever_comes_is_an_answer_or_none(data: bytes) -> None:
    asked = question("api.example.com", "A", 0x1234)
    for received in (data, asked[:2] + b"\x81\x80\0\1\0\5\0\0\0\0" + asked[12:] + data):
        try:
            assert isinstance(reply(received, asked), Reply)
        except NotDns:
            pass


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=5, unique=True), st.integers(0, 0xFFFF), st.data())
def test_an_answer_says_what_was_put_into_it_and_a_cut_one_says_nothing(addresses: list[str], number: int, data: st.DataObject) -> None:
    asked = question("Api.Example.com.", "A", number)
    whole = message(asked, *map(a, addresses))
    assert reply(whole, asked) == Reply(0, False, tuple(addresses), "")
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(NotDns):
        reply(cut, asked)


def test_a_name_that_points_to_itself_ends() -> None:
    asked = question("api.example.com", "A", 1)
    at = len(asked)
    circle = record(1, b"\1\2\3\4", owner=(0xC000 | at).to_bytes(2, "big"))
    with pytest.raises(NotDns, match="circles"):
        reply(message(asked, circle), asked)


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64 + ".com", ".".join(["abcdefgh"] * 30)])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"has an empty part|longer than"):
        encoded(name)


def test_a_name_with_other_letters_travels_as_punycode() -> None:
    assert encoded("bücher.example") == b"\x0dxn--bcher-kva\x07example\x00"
