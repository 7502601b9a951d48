# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Loopback ports of this host: are they free, and if not, who has them?"""

from __future__ import annotations

import os
import socket
import typing as t

_LISTENING = "0A"
"""State TCP_LISTEN of the kernel's table (linux include/net/tcp_states.h)."""


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether a program could listen on the port of the address; connections that are just ending do not count."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def listener(port: int) -> int:
    """Number of the process that listens on a port; 0 when there is none, or none that this account may see.

    Source: proc(5), /proc/net/tcp: local address, state and inode in columns 2, 4 and 10; /proc/pid/fd shows inodes as links.
    """
    sockets = _sockets(port)
    if not sockets:
        return 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        if any(_target(pid, name) in sockets for name in names):
            return int(pid)
    return 0


def owner(port: int) -> str:
    """The program that listens on a port, as `name (process number)`; empty when it cannot be seen."""
    pid = listener(port)
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return f"{stream.read().strip()} (process {pid})"
    except OSError:
        return ""


def _sockets(port: int) -> t.Set[str]:
    found: t.Set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as stream:
                rows = [line.split() for line in stream.readlines()[1:]]
        except OSError:
            continue
        found.update(f"socket:[{row[9]}]" for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port)
    return found


def _target(pid: str, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{name}")
    except OSError:
        return ""
