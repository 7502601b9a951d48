# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""RESP2, the protocol of Redis and Valkey (redis.io/docs/reference/protocol-spec): commands out, replies in."""

from __future__ import annotations

import typing as t

LARGEST_REPLY_BYTES = 64 << 20
Word = t.Union[str, bytes, int]


class ServerError(str):
    """An error that the server sent, its code in front."""

    @property
    def code(self) -> str:
        """The code: ERR, NOAUTH, LOADING, ..."""
        return self.partition(" ")[0]


class ProtocolError(Exception):
    """What came is no reply."""


class _Incomplete(Exception):
    """The reply goes on in a piece that has not arrived yet."""


def encode(*words: Word) -> bytes:
    """A command as the server reads it; texts are sent as UTF-8."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


class Replies:
    """Replies, put together from the pieces in which they arrive: text, bytes, number, None, `ServerError`, or a list of these."""

    def __init__(self, largest_bytes: int = LARGEST_REPLY_BYTES) -> None:
        self._buffer = bytearray()
        self._largest_bytes = largest_bytes

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            ProtocolError: The reply is larger than any that we ask for.
        """
        self._buffer += data
        if len(self._buffer) > self._largest_bytes:
            raise ProtocolError(f"the reply is larger than {self._largest_bytes} bytes")

    def next(self) -> t.Tuple[bool, t.Any]:
        """Whether a whole reply has arrived, and that reply.

        Raises:
            ProtocolError: What came is no reply.
        """
        try:
            value, end = self._parse(0)
        except _Incomplete:
            return False, None
        except RecursionError:
            raise ProtocolError("the answer has lists in lists without end") from None
        del self._buffer[:end]
        return True, value

    def take(self) -> bytes:
        """What has arrived and was not read as a reply; it is then gone from here."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _parse(self, start: int) -> t.Tuple[t.Any, int]:
        buffer = self._buffer
        if start < len(buffer) and buffer[start] not in b"+-:$*":
            raise ProtocolError("the answer is not in the protocol of Redis")
        end = buffer.find(b"\r\n", start)
        if end < 0:
            raise _Incomplete
        kind, line, after = buffer[start], bytes(buffer[start + 1 : end]), end + 2
        if kind == ord("+"):
            return line.decode("utf-8", "replace"), after
        if kind == ord("-"):
            return ServerError(line.decode("utf-8", "replace")), after
        number = _number(line)
        if kind == ord(":"):
            return number, after
        if kind == ord("$"):
            return self._bulk(number, after)
        if number < 0:
            return None, after
        values = []
        for _item in range(number):
            value, after = self._parse(after)
            values.append(value)
        return values, after

    def _bulk(self, length: int, start: int) -> t.Tuple[t.Any, int]:
        if length < 0:
            return None, start
        if length > self._largest_bytes:
            raise ProtocolError(f"the reply is larger than {self._largest_bytes} bytes")
        end = start + length
        if len(self._buffer) < end + 2:
            raise _Incomplete
        if self._buffer[end : end + 2] != b"\r\n":
            raise ProtocolError("the answer is not in the protocol of Redis")
        return bytes(self._buffer[start:end]), end + 2


def _number(line: bytes) -> int:
    text = line.decode("ascii", "replace")
    if not text.isascii() or not text.lstrip("-").isdigit() or len(text) > 20:
        raise ProtocolError("the answer is not in the protocol of Redis")
    try:
        return int(text)
    except ValueError:
        raise ProtocolError("the answer is not in the protocol of Redis") from None


def fields_of(info: str) -> t.Dict[str, t.Any]:
    """The fields of INFO; numbers as numbers, and lists such as `keys=1,expires=0` as dictionaries."""
    fields: t.Dict[str, t.Any] = {}
    for line in info.splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            pairs = [part.partition("=") for part in value.split(",")] if "=" in value else []
            fields[name] = {key: _scalar(item) for key, _sign, item in pairs} if pairs else _scalar(value)
    return fields


def _scalar(text: str) -> t.Any:
    if not text.isascii() or not text.lstrip("-").replace(".", "", 1).isdigit() or len(text) > 30:
        return text
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text
