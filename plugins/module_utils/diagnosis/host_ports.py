# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Who has the TCP and UDP ports of this host, from proc(5)."""

from __future__ import annotations

import os
import re
import socket
import struct
import typing as t

_LISTENING = {"tcp": "0A", "udp": "07"}
"""States TCP_LISTEN and TCP_CLOSE (include/net/tcp_states.h of Linux); a UDP socket that takes from everybody is in the latter."""
_SOCKET = re.compile(r"^socket:\[(\d+)\]$")
_CONTAINER = re.compile(r"([0-9a-f]{64})")
_UNIT = re.compile(r"/([^/\n]+\.(?:service|socket))(?=/|$)", re.MULTILINE)
ANY = ("0.0.0.0", "::", "", "*")  # noqa: S104 - compared with, never bound to


class Published(t.NamedTuple):
    """A port that is wanted at an address (empty for all), or any one of those from `first` to `last`; `protocol` is `tcp` or `udp`."""

    address: str
    first: int
    last: int
    protocol: str = "tcp"


class Listener(t.NamedTuple):
    """A socket that listens; `inode` leads to its process."""

    address: str
    port: int
    inode: int


class Holder(t.NamedTuple):
    """A process: its id, its program, and its container (id) or systemd unit, empty for none."""

    pid: int
    program: str
    container: str
    unit: str


def listeners(folder: str = "/proc", protocol: str = "tcp") -> t.List[Listener]:
    """All that listen on this host, by TCP or UDP.

    Raises:
        OSError: The host does not tell.
    """
    found, read = [], 0
    for name in (protocol, f"{protocol}6"):
        path = os.path.join(folder, "net", name)
        if os.path.exists(path):
            with open(path, encoding="ascii", errors="replace") as stream:
                found += parse(stream.read(), protocol)
            read += 1
    if not read:
        raise FileNotFoundError(2, "this host has no table of its ports", os.path.join(folder, f"net/{protocol}"))
    return found


def parse(text: str, protocol: str = "tcp") -> t.List[Listener]:
    """The text of /proc/net/tcp, tcp6, udp or udp6; lines of another form are passed over."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 10 or words[3] != _LISTENING[protocol]:
            continue
        raw, _colon, port = words[1].rpartition(":")
        try:
            found.append(Listener(_address(raw), int(port, 16), int(words[9])))
        except (ValueError, struct.error, OSError):
            continue
    return found


def _address(raw: str) -> str:
    # Words of 32 bits in the byte order of the host.
    words = [int(raw[at : at + 8], 16) for at in range(0, len(raw), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def collide(one: str, other: str) -> bool:
    """Whether two addresses cannot have the same port."""
    return one in ANY or other in ANY or one == other


def holders(inodes: t.Iterable[int], folder: str = "/proc") -> t.Dict[int, Holder]:
    """The process of each socket, as far as we may see it (of other accounts only root may)."""
    wanted = set(inodes)
    found: t.Dict[int, Holder] = {}
    for name in os.listdir(folder) if wanted else ():
        if not name.isdecimal():
            continue
        try:
            links = os.listdir(f"{folder}/{name}/fd")
        except OSError:
            continue
        for link in links:
            try:
                match = _SOCKET.match(os.readlink(f"{folder}/{name}/fd/{link}"))
            except OSError:
                continue
            if match and int(match.group(1)) in wanted:
                found.setdefault(int(match.group(1)), _holder(int(name), folder))
        if len(found) == len(wanted):
            break
    return found


def unseen(port: int, protocol: str = "tcp") -> str:
    """That nobody knows whose a port is, for what was not looked at: it may as well be the service itself."""
    named, kind = (f"{port}/udp", "u") if protocol == "udp" else (port, "t")
    return f"who holds port {named}: only root may see that (become, or ss -l{kind}np 'sport = :{port}' as root)"


def _holder(pid: int, folder: str) -> Holder:
    cgroup = _text(f"{folder}/{pid}/cgroup")
    return Holder(pid, _text(f"{folder}/{pid}/comm").strip() or "a program", container_of(cgroup), unit_of(cgroup))


def container_of(cgroup: str) -> str:
    """Id of the container whose process has this text of /proc/<pid>/cgroup; empty for none."""
    found = _CONTAINER.findall(cgroup)
    return found[-1] if found else ""


def unit_of(cgroup: str) -> str:
    """The unit of a process with this text of /proc/<pid>/cgroup; empty for none."""
    found = _UNIT.findall(cgroup)
    return found[-1] if found else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(4096)
    except OSError:
        return ""
