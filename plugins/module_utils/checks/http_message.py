# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""HTTP/1.1 messages, apart from any connection (RFC 9112)."""

from __future__ import annotations

import re
import typing as t
import zlib

_HEAD_BYTES = 32 * 1024
_SIZE_LINE_BYTES = 1024
_PACKED = ("gzip", "x-gzip", "deflate")
_UNPACKED_AT_ONCE = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\Z")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class Malformed(Exception):
    """What came is no HTTP answer; the text says why."""


def request(method: str, path: str, host: str, headers: t.Mapping[str, str], body: t.Optional[bytes]) -> bytes:
    """The bytes of a request that asks for the connection to be closed afterwards.

    `headers` replace those that are sent by default, whatever their case.
    """
    own = {"Host": host, "User-Agent": "sre.runbooks", "Accept": "*/*", "Accept-Encoding": "identity"}
    if body is not None or method in ("POST", "PUT", "PATCH"):
        own["Content-Length"] = str(len(body or b""))
    given = {name.lower() for name in headers}
    fields = {**{name: value for name, value in own.items() if name.lower() not in given}, **headers, "Connection": "close"}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    return head.encode("latin-1", "replace") + (body or b"")


def header_mistake(name: str, value: str) -> str:
    """Why this cannot be a header, or nothing."""
    if not _TOKEN.match(name):
        return "is not a valid name of a header"
    if name.lower() in ("connection", "content-length", "transfer-encoding"):
        return "is set by the check itself"
    return "has a line break or NUL in its value" if re.search(r"[\r\n\0]", value) else ""


class Response:
    """An answer, put together from the pieces in which it arrives; never holds more than the limits.

    Attributes:
        status: Its code; 0 until known.
        headers: Last value of each header, names in lower case.
        body: The body's beginning, up to the limit, as it was sent; empty when a `sink` takes it.
        truncated: Whether there was more than the limit.
        done: Whether it is complete, or as much of it read as is wanted.
    """

    def __init__(self, method: str, body_limit: int, sink: t.Optional[t.Callable[[bytes], None]] = None) -> None:
        """Await an answer to a request with this method.

        Args:
            body_limit: How much of the body is taken, in bytes; packed and unpacked.
            sink: Takes the body of an answer of class 2xx in pieces, its content encoding undone, instead of `body`; may raise
                `Malformed`.
        """
        self._method, self._limit, self._sink = method, body_limit, sink
        self._taken = self._delivered = 0
        self._unpacker: t.Any = None
        self.status, self.phrase = 0, ""
        self.headers: t.Dict[str, str] = {}
        self.body = bytearray()
        self.truncated = self.done = False
        self._buffer = bytearray()
        self._head_bytes = 0
        self._state = self._head
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            Malformed: It cannot be part of an HTTP answer.
        """
        self._buffer += data
        while not self.done and self._state():
            pass

    def end(self) -> None:
        """The connection was closed.

        Raises:
            Malformed: Before the answer was complete.
        """
        if self.done:
            return
        if not self.status and not self._buffer:
            raise Malformed("the connection was closed without an answer")
        if self._state == self._until_closed:
            self.done = True
            return
        raise Malformed("the connection was closed in the middle of the answer")

    def content(self) -> bytes:
        """The body, content encoding undone, up to the limit."""
        if not self._is_packed():
            return bytes(self.body)
        try:
            unpacked = _unpacker()
            content: bytes = unpacked.decompress(bytes(self.body), self._limit)
        except zlib.error:
            return bytes(self.body)
        self.truncated = self.truncated or bool(unpacked.unconsumed_tail)
        return content

    def _line(self, limit: int, what: str) -> t.Optional[bytes]:
        at = self._buffer.find(b"\n", 0, limit)
        if at < 0:
            if len(self._buffer) >= limit:
                raise Malformed(f"{what} has no end within {limit} bytes")
            return None
        line = bytes(self._buffer[:at]).rstrip(b"\r")
        del self._buffer[: at + 1]
        return line

    def _head(self) -> bool:
        if self.status == 0:
            if not self._buffer[:5] == b"HTTP/"[: len(self._buffer)]:
                raise Malformed("the answer is not HTTP")
            line = self._line(_SIZE_LINE_BYTES * 8, "the status line")
            if line is None:
                return False
            found = _STATUS_LINE.match(line)
            if found is None:
                raise Malformed("the status line is not HTTP/1")
            self.status, self.phrase = int(found[1]), (found[2] or b"").decode("latin-1")
        room = _HEAD_BYTES - self._head_bytes
        line = self._line(room, "the head of the answer") if room > 0 else None
        if line is None:
            if room <= 0:
                raise Malformed(f"the head of the answer has more than {_HEAD_BYTES} bytes")
            return False
        self._head_bytes += len(line) + 1
        if line:
            name, colon, value = line.partition(b":")
            key, text = name.decode("latin-1").strip().lower(), value.decode("latin-1").strip()
            if not colon or not key:
                raise Malformed("the head of the answer has a line that is no header")
            if key == "content-length" and self.headers.get(key, text) != text:
                raise Malformed("the answer has two lengths")
            self.headers[key] = text
            return True
        if 100 <= self.status < 200 and self.status != 101:
            self.status, self.headers = 0, {}
            return True
        self._begin_body()
        return True

    def _begin_body(self) -> None:
        # RFC 9112, 6.3: which answers have no body, and what delimits it in the others.
        if self._method == "HEAD" or self.status in (101, 204, 304):
            self.done = True
        elif "chunked" in self.headers.get("transfer-encoding", "").lower():
            self._state = self._chunk_size
        elif "content-length" in self.headers:
            length = self.headers["content-length"]
            if not length.isascii() or not length.isdigit() or len(length) > 18:
                raise Malformed("the answer's length is not a number")
            self._left, self._state = int(length), self._counted
        else:
            self._state = self._until_closed

    def _is_packed(self) -> bool:
        return self.headers.get("content-encoding", "").strip().lower() in _PACKED

    def _take(self, data: bytes) -> None:
        room = self._limit - self._taken
        self._taken += min(len(data), room)
        if self._sink is None or not 200 <= self.status < 300:
            self.body += data[:room]
        elif not self._is_packed():
            self._sink(data[:room])
        else:
            self._deliver_unpacked(self._sink, data[:room])
        if len(data) > room:
            self.truncated = self.done = True

    def _deliver_unpacked(self, sink: t.Callable[[bytes], None], data: bytes) -> None:
        # Piece by piece, since a few packed bytes may stand for very many.
        self._unpacker = self._unpacker or _unpacker()
        while data and self._delivered < self._limit:
            try:
                piece = self._unpacker.decompress(data, min(_UNPACKED_AT_ONCE, self._limit - self._delivered))
            except zlib.error:
                raise Malformed("the answer cannot be unpacked") from None
            self._delivered += len(piece)
            sink(piece)
            data = self._unpacker.unconsumed_tail
        if data:
            self.truncated = self.done = True

    def _until_closed(self) -> bool:
        self._take(bytes(self._buffer))
        self._buffer.clear()
        return False

    def _counted(self) -> bool:
        piece = bytes(self._buffer[: self._left])
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        self._take(piece)
        if self._left == 0:
            self.done = True
        return False

    def _chunk_size(self) -> bool:
        line = self._line(_SIZE_LINE_BYTES, "the size of a chunk")
        if line is None:
            return False
        size = line.partition(b";")[0].strip()
        if not re.match(rb"[0-9A-Fa-f]{1,15}\Z", size):
            raise Malformed("the size of a chunk is not a number")
        self._left = int(size, 16)
        self._state = self._chunk if self._left else self._trailer
        return True

    def _chunk(self) -> bool:
        piece = bytes(self._buffer[: self._left])
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        self._take(piece)
        if self._left:
            return False
        self._state = self._chunk_end
        return True

    def _chunk_end(self) -> bool:
        line = self._line(2, "a chunk")
        if line is None:
            return False
        if line:
            raise Malformed("a chunk is longer than its size")
        self._state = self._chunk_size
        return True

    def _trailer(self) -> bool:
        line = self._line(_SIZE_LINE_BYTES * 8, "the end of the answer")
        if line is None:
            return False
        self._head_bytes += len(line) + 1
        if self._head_bytes > _HEAD_BYTES:
            raise Malformed(f"the head and trailer of the answer have more than {_HEAD_BYTES} bytes")
        self.done = not line
        return not self.done


def _unpacker() -> t.Any:
    # 32 above the window's size: zlib finds out by itself whether it is gzip or deflate.
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
