# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Connections for checks: names resolved once, TLS contexts made once, every way to fail explained.

The caller's deadline cuts off whatever happens here, so nothing below waits in a way that cannot be cancelled: names are
resolved in threads that nobody waits for, everything else by the event loop.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
import typing as t
from dataclasses import dataclass

from .connection import Connection, PlainConnection, explained, secure
from .model import FAIL, UNKNOWN, Attempt, NoAnswer

Address = t.Tuple[int, t.Any]
T = t.TypeVar("T")


@dataclass(frozen=True)
class Tls:
    """How a connection is secured.

    Attributes:
        verify: Whether the certificate must be valid and bear the host's name.
        ca_file: Certificates it must lead to; empty for those of the system.
    """

    verify: bool = True
    ca_file: str = ""


class Network:
    """What the connections of one run share."""

    def __init__(self) -> None:
        self._lookups: "t.Dict[t.Tuple[str, int], asyncio.Future[t.List[Address]]]" = {}
        self._contexts: t.Dict[Tls, ssl.SSLContext] = {}

    async def addresses(self, host: str, port: int) -> t.List[Address]:
        """The addresses of `host`, in the order in which the system would try them.

        Raises:
            NoAnswer: The name does not resolve (`unknown`: nothing was asked).
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, host)
            except (OSError, ValueError):
                continue
            return [(family, (host, port))]
        lookup = self._lookups.get((host, port))
        if lookup is None or (lookup.done() and (lookup.cancelled() or lookup.exception() is not None)):
            lookup = in_thread(lambda: _look_up(host, port))
            self._lookups[host, port] = lookup
        # Others wait for the same answer: one deadline must not take it from them.
        return await asyncio.shield(lookup)

    def context(self, tls: Tls) -> ssl.SSLContext:
        """The TLS context for `tls`.

        Raises:
            NoAnswer: The file of certificates cannot be read (`unknown`).
        """
        context = self._contexts.get(tls)
        if context is None:
            if tls.verify:
                try:
                    context = ssl.create_default_context(cafile=tls.ca_file or None)
                except (OSError, ssl.SSLError) as error:
                    raise NoAnswer(UNKNOWN, f"the certificates in {tls.ca_file} cannot be read ({error.strerror or error})") from None
            else:
                # Reads none of the certificates that the system trusts, which takes most of the time.
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[tls] = context
        return context


async def connect(attempt: Attempt, host: str, port: int, tls: t.Optional[Tls] = None, server_name: str = "") -> Connection:
    """Connect to `host`, to its addresses in turn.

    Args:
        server_name: The name that the certificate must bear; empty for `host`.

    Raises:
        NoAnswer: It could not be connected to. When only the certificate is at fault, `observed` tells how long it is valid.
    """
    attempt.stage = f"resolving {host}"
    addresses = await attempt.network.addresses(host, port)
    attempt.stage = f"connecting to {host}:{port}"
    context = attempt.network.context(tls) if tls else None
    raw = await _first_that_connects(attempt, addresses)
    if context is None:
        attempt.stage = "waiting for the answer"
        return PlainConnection(raw)
    attempt.stage = "negotiating TLS"
    try:
        secured = await secure(raw, context, server_name or host)
    except ssl.SSLCertVerificationError as error:
        observed = await _certificate_unverified(attempt, addresses, server_name or host)
        raise NoAnswer(FAIL, f"the certificate is not accepted: {error.verify_message}", observed=observed) from None
    except (OSError, ssl.SSLError) as error:
        raise explained(error) from None
    attempt.stage = "waiting for the answer"
    return secured


def in_thread(function: t.Callable[[], T]) -> "asyncio.Future[T]":
    """Run `function`, which may block, in a thread that nobody waits for at the end; the future may be given up."""
    loop = asyncio.get_running_loop()
    future: "asyncio.Future[T]" = loop.create_future()

    def deliver(result: t.Optional[T], error: t.Optional[BaseException]) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
            # Read once, so that a result that came too late for everyone is not complained about.
            future.exception()
        else:
            future.set_result(t.cast(T, result))

    def work() -> None:
        result: t.Optional[T] = None
        failure: t.Optional[BaseException] = None
        try:
            result = function()
        except BaseException as error:  # handed to whoever waits
            failure = error
        try:
            loop.call_soon_threadsafe(deliver, result, failure)
        except RuntimeError:
            # The run is over and its loop closed.
            pass

    threading.Thread(target=work, daemon=True).start()
    return future


def _look_up(host: str, port: int) -> t.List[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        passing = error.errno == socket.EAI_AGAIN
        raise NoAnswer(UNKNOWN, f"the name {host} does not resolve here ({error.strerror})", retry=passing) from None
    except (UnicodeError, OSError) as error:
        raise NoAnswer(UNKNOWN, f"the name {host} does not resolve here ({error})") from None
    return list(dict.fromkeys((family, address) for family, _type, _protocol, _name, address in found))


async def _first_that_connects(attempt: Attempt, addresses: t.Sequence[Address]) -> socket.socket:
    loop = asyncio.get_running_loop()
    problem = None
    for number, (family, address) in enumerate(addresses):
        # An address that swallows packets gets only its share of the time, so that the others are tried too.
        share = (attempt.deadline - loop.time()) / (len(addresses) - number)
        try:
            raw = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            problem = problem or explained(error)
            continue
        try:
            raw.setblocking(False)
            connecting = loop.sock_connect(raw, address)
            await (connecting if len(addresses) - number == 1 else asyncio.wait_for(connecting, share))
            return raw
        except asyncio.TimeoutError as error:
            raw.close()
            said = error if isinstance(error, OSError) and error.errno else OSError(errno.ETIMEDOUT, "")
            problem = explained(said)
        except OSError as error:
            raw.close()
            problem = explained(error)
        except BaseException:
            raw.close()
            raise
    raise problem or NoAnswer(UNKNOWN, "the name has no address")


async def _certificate_unverified(attempt: Attempt, addresses: t.Sequence[Address], server_name: str) -> t.Dict[str, t.Any]:
    """When the certificate ends that was not accepted; nothing is sent over this connection.

    Half of the time that is left must do: why the certificate is not accepted is known already, and must not be lost.
    """

    async def look() -> t.Dict[str, t.Any]:
        raw = await _first_that_connects(attempt, addresses)
        context = attempt.network.context(Tls(verify=False))
        with await secure(raw, context, server_name) as connection:
            return connection.observed

    try:
        return await asyncio.wait_for(look(), (attempt.deadline - asyncio.get_running_loop().time()) / 2)
    except (NoAnswer, OSError, asyncio.TimeoutError):
        return {}
