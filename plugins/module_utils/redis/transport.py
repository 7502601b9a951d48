# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The bytes' way to a Redis server: over the network, through a socket file, or out of a container or pod.

Containers and pods are entered by `docker exec` and `kubectl exec`: a few words of shell there connect the two streams with the server's
port, by bash or nc, one of which every image of Redis and Valkey has. When either side ends both streams end: what remained there would
hold a connection to the server, and the output of its exec, for which Docker lets the next ones wait.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import tempfile
import typing as t

from ..command import Command, Place

_LEAST_S = 10.0
"""Entering a container or pod takes a moment of its own."""
_TUNNEL = (
    "if command -v bash >/dev/null 2>&1; then"
    ' exec bash -c \'exec 3<>"/dev/tcp/$0/$1" || exit 1; exec 4<&0; cat <&3 & cat <&4 >&3 &'
    ' wait -n; kill $(jobs -p) 2>/dev/null; wait\' "$0" "$1";'
    ' else exec nc "$0" "$1"; fi'
)


class Address(t.Protocol):
    """What of a server says how to reach it; explained in `client.Server`."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def socket_file(self) -> str: ...

    @property
    def tls(self) -> bool: ...

    @property
    def ca_file(self) -> str: ...

    @property
    def verify_tls(self) -> bool: ...

    @property
    def timeout_s(self) -> float: ...

    @property
    def place(self) -> Place: ...


def connected(server: Address) -> socket.socket:
    """A connection to a server of the network or of a socket file.

    Raises:
        OSError: There is none.
    """
    if server.socket_file:
        return _to_file(server.socket_file, server.timeout_s)
    plain = socket.create_connection((server.host, server.port), timeout=server.timeout_s)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def secured(plain: socket.socket, server: Address) -> socket.socket:
    """A connection with TLS where the server wants that, whichever way it goes; `plain` itself is of no use then.

    Raises:
        OSError: The server speaks no TLS, or its certificate is not in order.
    """
    if not server.tls or server.socket_file:
        return plain
    context = ssl.create_default_context(cafile=server.ca_file or None)
    if not server.verify_tls:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=server.host)


def through_tunnel(server: Address) -> "t.Tuple[socket.socket, subprocess.Popen[bytes], t.IO[bytes]]":
    """A connection to a server in a container or pod, the program that carries it, and what that program says.

    Raises:
        ToolMissing: docker or kubectl is not on this host.
    """
    ours, theirs = socket.socketpair()
    said = tempfile.TemporaryFile()
    try:
        argv = ["sh", "-c", _TUNNEL, server.host, str(server.port)]
        tunnel = Command(argv, place=server.place).start(stdin=theirs, stdout=theirs, stderr=said)
    except BaseException:
        ours.close()
        said.close()
        raise
    finally:
        theirs.close()
    ours.settimeout(max(server.timeout_s, _LEAST_S))
    return ours, tunnel, said


def _to_file(path: str, timeout_s: float) -> socket.socket:
    """A socket file's path may have 107 bytes (unix(7)); by way of its folder any will do."""
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout_s)
        made.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    except BaseException:
        made.close()
        raise
    finally:
        os.close(folder)
    return made
