# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The server's side of a connection, with limits that uvicorn does not have: until the request is there, and until the answer is taken.

uvicorn bounds connections and idle time between requests, but waits for ever for the end of a request's headers and for a reader that does
not read. Its protocol class may be replaced (`http` in uvicorn's settings), which is done here.
"""

from __future__ import annotations

import asyncio
import importlib
import typing as t

REQUEST_S = 10.0
"""Seconds within which a request must be there, from the connection or the first byte on."""
STALLED_S = 20.0
"""Seconds after which a reader that takes nothing is cut off."""
_BUFFERED_BYTES = 64 * 1024


class Bounded:
    """Limits of time for a connection; to be put before uvicorn's protocol class."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: t.Any
    _request_timer: t.Optional[asyncio.TimerHandle] = None
    _stalled_timer: t.Optional[asyncio.TimerHandle] = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """asyncio: the connection is there."""
        _next(self).connection_made(transport)
        # What is buffered for a reader that does not read stays small.
        transport.set_write_buffer_limits(high=_BUFFERED_BYTES)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """asyncio: a part of a request is there."""
        _next(self).data_received(data)
        if self._is_waiting():
            self._expect_request()
        else:
            self._cancel("_request_timer")

    def connection_lost(self, exc: t.Optional[Exception]) -> None:
        """asyncio: the connection is gone."""
        self._cancel("_request_timer")
        self._cancel("_stalled_timer")
        _next(self).connection_lost(exc)

    def pause_writing(self) -> None:
        """asyncio: the reader does not keep up."""
        _next(self).pause_writing()
        if self._stalled_timer is None:
            self._stalled_timer = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """asyncio: the reader has taken what there was."""
        self._cancel("_stalled_timer")
        _next(self).resume_writing()

    def _is_waiting(self) -> bool:
        """Whether no request, or only a part of one, is there."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _expect_request(self) -> None:
        if self._request_timer is None:
            self._request_timer = self.loop.call_later(REQUEST_S, self._give_up)

    def _give_up(self) -> None:
        self._request_timer = None
        if self._is_waiting():
            self.transport.abort()

    def _cancel(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


def _next(own: Bounded) -> t.Any:
    """uvicorn's methods."""
    return super(Bounded, own)


def bounded_protocol() -> t.Any:
    """uvicorn's class with the limits; made when it is asked for, as uvicorn is there only where a page is served."""
    h11 = importlib.import_module("uvicorn.protocols.http.h11_impl")
    return type("BoundedProtocol", (Bounded, h11.H11Protocol), {})
