# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whose the TCP and UDP ports of this host are, from proc(5)."""

from __future__ import annotations

import re
import typing as t

from .. import socket_table

_CONTAINER = re.compile(r"([0-9a-f]{64})")
_UNIT = re.compile(r"/([^/\n]+\.(?:service|socket))(?=/|$)", re.MULTILINE)
ANY = ("0.0.0.0", "::", "", "*")  # noqa: S104 - compared with, never bound to


class Published(t.NamedTuple):
    """A port that is wanted at an address (empty for all), or any one of those from `first` to `last`; `protocol` is `tcp` or `udp`."""

    address: str
    first: int
    last: int
    protocol: str = "tcp"


class Holder(t.NamedTuple):
    """A process: its id, its program, and its container (id) or systemd unit, empty for none."""

    pid: int
    program: str
    container: str
    unit: str


def collide(one: str, other: str) -> bool:
    """Whether two addresses cannot have the same port."""
    return one in ANY or other in ANY or one == other


def holders(inodes: t.Iterable[int], folder: str = "/proc") -> t.Dict[int, Holder]:
    """The process of each socket, as far as we may see it (of other accounts only root may)."""
    return {inode: _holder(pid, folder) for inode, pid in socket_table.holders(inodes, folder).items()}


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
