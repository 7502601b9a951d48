# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the library of Redis decides without a server: replies in pieces, heads of files, comparisons."""

from __future__ import annotations

import tempfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, SetDamaged
from ansible_collections.sre.runbooks.plugins.module_utils.redis.client import Server
from ansible_collections.sre.runbooks.plugins.module_utils.redis.content import between, compare
from ansible_collections.sre.runbooks.plugins.module_utils.redis.protocol import ProtocolError, Replies, ServerError, encode
from ansible_collections.sre.runbooks.plugins.module_utils.redis.rdb import read_head


def written(value: t.Any) -> bytes:
    """A reply as a server writes it."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(written, value))
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, ServerError):
        return b"-%s\r\n" % value.encode()
    return b"$%d\r\n%s\r\n" % (len(value), value)


scalars = st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.just(ServerError("ERR no"))
replies = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5), max_leaves=12)


@given(st.lists(replies, min_size=1, max_size=5), st.integers(1, 7))
def test_replies_are_the_same_in_whatever_pieces_they_arrive(values: list[t.Any], piece: int) -> None:
    data, found, reader = b"".join(map(written, values)), [], Replies()
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
        while (told := reader.next())[0]:
            found.append(told[1])
    assert found == values


@given(st.binary(max_size=60))
def test_what_is_no_reply_is_refused_or_waited_for_and_never_anything_else(data: bytes) -> None:
    reader = Replies(50)
    try:
        reader.feed(data)
        for _number in range(len(data) + 1):
            if not reader.next()[0]:
                break
    except ProtocolError:
        pass


def test_lists_in_lists_without_end_are_refused() -> None:
    reader = Replies()
    reader.feed(b"*1\r\n" * 100_000)
    with pytest.raises(ProtocolError):
        reader.next()


def test_a_command_is_written_with_its_lengths_in_bytes() -> None:
    assert encode("SET", "ü", b"\x00\r\n", 5) == b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xbc\r\n$3\r\n\x00\r\n\r\n$1\r\n5\r\n"


@given(st.binary(max_size=200))
def test_the_head_of_any_file_is_read_or_refused(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(b"REDIS0011" + data)
        assert read_head(file.name).begun_at >= 0


def test_a_time_that_is_none_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"REDIS0011\xfa\x05ctime\x04soon\xff")
    assert read_head(str(tmp_path / "x")).begun_at == 0


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not at all")
    with pytest.raises(SetDamaged, match="no RDB file"):
        read_head(str(tmp_path / "x"))


def test_the_head_says_when_it_was_begun_and_what_the_first_database_holds(tmp_path: Path) -> None:
    aux = b"\xfa\x09redis-ver\x057.2.4\xfa\x05ctime\xc2" + (1795288870).to_bytes(4, "little")
    (tmp_path / "x").write_bytes(b"REDIS0011" + aux + b"\xfe\x03\xfb\x41\x00\x07")
    head = read_head(str(tmp_path / "x"))
    assert (head.version, head.begun_at, head.server_version, head.first) == (11, 1795288870, "7.2.4", (3, 256, 7))


def test_exact_figures_must_be_met_and_others_may_be_missed_but_not_lost() -> None:
    before, after = {"0": {"keys": 10, "expires": 2}}, {"0": {"keys": 12, "expires": 2}}
    exact, rough = between(before, before), between(before, after)
    assert exact["exact"]
    assert not rough["exact"]
    assert compare(exact, before, {})["same"]
    assert compare(exact, after, {})["differences"] == ["database 0 has 12 keys instead of 10"]
    assert compare(exact, {**before, "1": {"keys": 1, "expires": 0}}, {})["differences"] == ["database 1 has 1 keys instead of none"]
    outside = compare(rough, {"0": {"keys": 13, "expires": 2}}, {})
    assert outside["same"]
    assert outside["unknown"] == ["database 0 has 13 keys instead of 10 to 12"]
    assert not compare(rough, {}, {})["same"]


@pytest.mark.parametrize("place", [Place(container="cache"), Place(pod="cache-0")])
def test_a_socket_file_in_a_container_or_pod_is_refused(place: Place) -> None:
    with pytest.raises(BadInput, match=r"/run/redis\.sock in .*name the port"):
        Server(host="/run/redis.sock", socket_file="/run/redis.sock", place=place)
