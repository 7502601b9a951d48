# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The kernel's tables of the sockets of this host, and which process has which.

Sources: proc(5), /proc/net/tcp and /proc/pid/fd; Documentation/networking/proc_net_tcp.rst of Linux for the columns, which are those of
/proc/net/udp, too; states: include/net/tcp_states.h of Linux.
"""

from __future__ import annotations

import ipaddress
import os
import re
import struct
import typing as t

TCP, UDP = "tcp", "udp"
LISTENING = {TCP: 0x0A, UDP: 0x07}
"""States of a socket that takes what anybody sends: TCP_LISTEN; of UDP, which does not listen, that of one without a peer (TCP_CLOSE)."""
_LINK = re.compile(r"socket:\[(\d+)\]")


class Socket(t.NamedTuple):
    """A socket.

    Attributes:
        address: Its own address; of an IPv4 address in an IPv6 socket (`::ffff:127.0.0.1`) the IPv4 address.
        port: Its port.
        peer_address: The address at its other end; all zeros where it has none.
        peer_port: The port there; 0 where it has none.
        state: The kernel's number of its state.
        inode: What the links of its process's open files name; 0 once no process has it any more.
    """

    address: str
    port: int
    peer_address: str
    peer_port: int
    state: int
    inode: int


def sockets(protocol: str = TCP, states: t.Optional[t.Container[int]] = None, folder: str = "/proc") -> t.List[Socket]:
    """The sockets of this host over IPv4 and IPv6, of the given states, or of any.

    Raises:
        OSError: The host does not tell.
    """
    found, is_told = [], False
    for name in (protocol, f"{protocol}6"):  # a kernel without IPv6 has no second one
        try:
            with open(os.path.join(folder, "net", name), encoding="ascii", errors="replace") as stream:
                found += parse(stream, states)
        except FileNotFoundError:
            continue
        is_told = True
    if not is_told:
        raise FileNotFoundError(2, "this host has no table of its ports", os.path.join(folder, "net", protocol))
    return found


def listening(protocol: str = TCP, folder: str = "/proc") -> t.List[Socket]:
    """Those that take what anybody sends.

    Raises:
        OSError: The host does not tell.
    """
    return sockets(protocol, (LISTENING[protocol],), folder)


def parse(lines: t.Iterable[str], states: t.Optional[t.Container[int]] = None) -> t.List[Socket]:
    """The lines of a table; those of another form, its head among them, are passed over."""
    found = []
    for words in map(str.split, lines):
        try:
            state = int(words[3], 16)
            if states is None or state in states:
                found.append(Socket(*_end(words[1]), *_end(words[2]), state, int(words[9])))
        except (ValueError, IndexError, struct.error):
            continue
    return found


def _end(text: str) -> t.Tuple[str, int]:
    raw, _colon, port = text.partition(":")
    # Words of 32 bits in the byte order of the host.
    packed = b"".join(struct.pack("=I", int(raw[at : at + 8], 16)) for at in range(0, len(raw), 8))
    address = ipaddress.ip_address(packed)
    return str(getattr(address, "ipv4_mapped", None) or address), int(port, 16)


def inodes_of(pid: t.Union[int, str], folder: str = "/proc") -> t.Iterator[int]:
    """The sockets that a process has; none where it has ended, or is another account's. A busy one closes some while this looks."""
    try:
        names = os.listdir(f"{folder}/{pid}/fd")
    except OSError:
        return
    for name in names:
        try:
            link = _LINK.fullmatch(os.readlink(f"{folder}/{pid}/fd/{name}"))
        except OSError:
            continue
        if link:
            yield int(link.group(1))


def holders(inodes: t.Iterable[int], folder: str = "/proc") -> t.Dict[int, int]:
    """The number of the process of each socket, as far as this account may see it (of other accounts only root may)."""
    wanted = set(inodes)
    found: t.Dict[int, int] = {}
    for name in filter(str.isdecimal, os.listdir(folder) if wanted else ()):
        for inode in wanted.intersection(inodes_of(name, folder)):
            found.setdefault(inode, int(name))
        if len(found) == len(wanted):
            break
    return found
