# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's tables of sockets are read for all who ask for ports of this host."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils import local_ports, socket_table
from ansible_collections.sre.runbooks.plugins.module_utils.checks import host
from ansible_collections.sre.runbooks.plugins.module_utils.socket_table import TCP, UDP, holders, inodes_of, listening, parse, sockets

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   0: {own} {peer} {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0000000000000000 100 0 0 10 0\n"


def _own(protocol: str, port: int) -> list[tuple[str, int]]:
    return [(one.address, one.inode) for one in listening(protocol) if one.port == port]


def test_a_listening_socket_is_found_with_its_address_and_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, inode = server.getsockname()[1], os.fstat(server.fileno()).st_ino
        assert _own(TCP, port) == [("127.0.0.1", inode)]
        assert holders([inode]) == {inode: os.getpid()}
        assert inode in set(inodes_of(os.getpid()))
        assert local_ports.listener(port) == os.getpid()
        assert host.listens(port)
    assert _own(TCP, port) == []
    assert not host.listens(port)


def test_the_ends_of_a_connection_know_one_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        own, peer = client.getsockname(), client.getpeername()
        found = [one for one in sockets(states=(1,)) if (one.address, one.port) == own]
        assert [(one.peer_address, one.peer_port, one.state) for one in found] == [(*peer, 1)]
        assert [one.port for one in listening() if one.port == own[1]] == []


def test_a_socket_of_udp_without_a_peer_takes_what_anybody_sends() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        own = bound.getsockname()
        assert _own(UDP, own[1]) == [("127.0.0.1", os.fstat(bound.fileno()).st_ino)]
        bound.connect(("127.0.0.1", 9))
        assert _own(UDP, own[1]) == []


@pytest.mark.parametrize(("bound_to", "told"), [("::1", "::1"), ("::ffff:127.0.0.1", "127.0.0.1")])
def test_a_program_that_has_an_ipv4_address_by_way_of_ipv6_has_the_ipv4_address(bound_to: str, told: str) -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            server.bind((bound_to, 0))
        except OSError as error:
            pytest.skip(f"this host has no IPv6: {error}")
        server.listen()
        assert [address for address, _inode in _own(TCP, server.getsockname()[1])] == [told]


def test_a_kernel_without_ipv6_tells_its_ports_and_a_host_without_tables_is_no_host_without_ports(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="this host has no table of its ports"):
        listening(folder=str(tmp_path))
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(HEAD + ROW.format(own="0100007F:1F90", peer="00000000:0000", state="0A", inode=77))
    assert [(one.port, one.inode) for one in listening(folder=str(tmp_path))] == [(8080, 77)]


def test_lines_of_another_form_are_passed_over() -> None:
    row = ROW.format(own="0100007F:1F90", peer="00000000:0000", state="0A", inode=77)
    assert len(parse([HEAD, row, row[:40], "   1: 01:1F90 0:0 0A x x x x x x\n", row.replace("7F", "ZZ")])) == 1


@given(st.text("0123456789ABCDEFx: -\n", max_size=300))
def test_any_text_is_a_table_or_passed_over(text: str) -> None:
    assert all(one.state == 10 for one in parse(text.splitlines(), (10,)))
    socket_table.parse([f"0: {text}", f"0: 0100007F:1F90 {text}", f"0: 0100007F:1F90 0:0 {text}"])
