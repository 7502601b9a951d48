# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Loopback ports of this host: are they free, and if not, who has them?"""

from __future__ import annotations

import socket

from . import socket_table


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
    """Number of the process that listens on a port; 0 when there is none, or none that this account may see."""
    try:
        sockets = [one.inode for one in socket_table.listening() if one.port == port]
    except OSError:
        return 0
    return next(iter(socket_table.holders(sockets).values()), 0)


def owner(port: int) -> str:
    """The program that listens on a port, as `name (process number)`; empty when it cannot be seen."""
    pid = listener(port)
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return f"{stream.read().strip()} (process {pid})"
    except OSError:
        return ""
