# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""An open connection, plain or with TLS, and what it means when one breaks."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import typing as t

from .certificate import described
from .model import FAIL, UNKNOWN, NoAnswer

_BUFFER_BYTES = 16 * 1024
_READS_IN_A_ROW = 4
_OUR_OWN_LIMITS = {
    errno.EMFILE: "this host has no file descriptors left",
    errno.ENFILE: "this host has no file descriptors left",
    errno.EADDRNOTAVAIL: "this host has no local port or address for it",
    errno.ENETUNREACH: "this host has no route to it",
    errno.EACCES: "this host does not allow the connection",
    errno.EPERM: "this host does not allow the connection",
    errno.ENOBUFS: "this host is short of memory for connections",
    errno.ENOMEM: "this host is short of memory for connections",
    errno.EAFNOSUPPORT: "this host does not have that kind of address",
}
_NOT_THERE = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ECONNABORTED: "connection aborted",
    errno.EPIPE: "connection closed by the other side",
    errno.EHOSTUNREACH: "host unreachable",
    errno.EHOSTDOWN: "host down",
    errno.ETIMEDOUT: "connection timed out",
    errno.ENOENT: "the socket does not exist",
}


class Connection:
    """An open connection; leaving its block cuts it without waiting for the other side.

    Attributes:
        observed: What is known of the server's certificate.
        secured: The `ssl.SSLObject` of a connection with TLS, else None.
    """

    observed: t.Dict[str, t.Any]
    secured: t.Any = None

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_error: t.Any) -> None:
        raise NotImplementedError

    async def read(self) -> bytes:
        """The next bytes, at most 16 KiB; empty at the end.

        Raises:
            NoAnswer: The connection broke.
        """
        try:
            return await self._read()
        except (OSError, ssl.SSLError) as error:
            raise explained(error, observed=self.observed) from None

    async def send(self, data: bytes) -> None:
        """Send `data`.

        Raises:
            NoAnswer: The connection broke.
        """
        try:
            await self._send(data)
        except (OSError, ssl.SSLError) as error:
            raise explained(error, observed=self.observed) from None

    async def _read(self) -> bytes:
        raise NotImplementedError

    async def _send(self, data: bytes) -> None:
        raise NotImplementedError


class PlainConnection(Connection):
    """A connection without TLS: the socket itself, since asyncio's streams would cost each check a sixth more."""

    def __init__(self, raw: socket.socket) -> None:
        self._loop, self._raw, self._reads = asyncio.get_running_loop(), raw, 0
        self.observed = {}

    def __exit__(self, *_error: t.Any) -> None:
        self._raw.close()

    async def _read(self) -> bytes:
        self._reads += 1
        if self._reads % _READS_IN_A_ROW == 0:
            # Where there is always something to read, nobody else would have a turn, not even a deadline.
            await asyncio.sleep(0)
        return await self._loop.sock_recv(self._raw, _BUFFER_BYTES)

    async def _send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._raw, data)


class _SecuredConnection(Connection):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.secured = writer.get_extra_info("ssl_object")
        self.observed = described(self.secured.getpeercert(binary_form=True))

    def __exit__(self, *_error: t.Any) -> None:
        self._writer.transport.abort()

    async def _read(self) -> bytes:
        return await self._reader.read(_BUFFER_BYTES)

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


async def secure(raw: socket.socket, context: ssl.SSLContext, server_name: str) -> Connection:
    """Negotiate TLS over a connected socket.

    Raises:
        OSError: The connection broke.
        ssl.SSLError: The negotiation failed.
    """
    return _SecuredConnection(*await asyncio.open_connection(sock=raw, limit=_BUFFER_BYTES, ssl=context, server_hostname=server_name))


def explained(error: BaseException, *, observed: t.Optional[t.Mapping[str, t.Any]] = None) -> NoAnswer:
    """What a failed system call or TLS negotiation means for the check."""
    if isinstance(error, ssl.SSLError):
        said = error.reason or error.strerror or str(error)
        return NoAnswer(FAIL, f"TLS failed: {str(said).replace('_', ' ').lower()}", observed=observed)
    code = error.errno if isinstance(error, OSError) else None
    if code in _OUR_OWN_LIMITS:
        return NoAnswer(UNKNOWN, _OUR_OWN_LIMITS[code], retry=code in (errno.EMFILE, errno.EADDRNOTAVAIL), observed=observed)
    reason = _NOT_THERE.get(code or 0) or getattr(error, "strerror", None) or str(error) or "connection closed by the other side"
    return NoAnswer(FAIL, reason, retry=True, observed=observed)
