# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `redis`, for Redis, Valkey and what else speaks their protocol (RESP2, redis.io/docs/reference/protocol-spec)."""

from __future__ import annotations

import typing as t

from . import conditions
from .certificate import judge_certificate
from .connection import Connection
from .model import FAIL, Answer, Attempt, NoAnswer, Question
from .network import Network, Tls, connect
from .tcp import endpoint, port_mistakes
from .web import CERTIFICATE

_LARGEST_REPLY = 1024 * 1024
_REASONS = {
    "NOAUTH": "the server wants a password",
    "WRONGPASS": "the server refused the login",
    "LOADING": "the server is still loading its data",
    "MASTERDOWN": "the replica has lost its master",
    "MISCONF": "the server cannot write its snapshots",
}


class ServerError(str):
    """An error that the server sent, its code in front."""


class ProtocolError(Exception):
    """What came is no reply."""


class Replies:
    """Simple and bulk replies, put together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            ProtocolError: The reply is larger than any that we ask for.
        """
        self._buffer += data
        if len(self._buffer) > _LARGEST_REPLY:
            raise ProtocolError(f"the reply is larger than {_LARGEST_REPLY} bytes")

    def next(self) -> t.Tuple[bool, t.Any]:
        """Whether a whole reply has arrived, and that reply: text, `ServerError`, number or None.

        Raises:
            ProtocolError: What came is no reply.
        """
        buffer = self._buffer
        if buffer and buffer[0] not in b"+-:$":
            # None of our commands is answered by a list, so lists need not be understood.
            raise ProtocolError("the answer is not in the protocol of Redis")
        end = buffer.find(b"\r\n")
        if end < 0:
            return False, None
        kind, line, after = buffer[:1], buffer[1:end].decode("utf-8", "replace"), end + 2
        value: t.Any = line
        if kind == b"-":
            value = ServerError(line)
        elif kind == b":":
            value = _number(line)
        elif kind == b"$":
            length = _number(line)
            if length > _LARGEST_REPLY:
                raise ProtocolError(f"the reply is larger than {_LARGEST_REPLY} bytes")
            value = None
            if length >= 0:
                if len(buffer) < after + length + 2:
                    return False, None
                if buffer[after + length : after + length + 2] != b"\r\n":
                    raise ProtocolError("the answer is not in the protocol of Redis")
                value, after = buffer[after : after + length].decode("utf-8", "replace"), after + length + 2
        del buffer[:after]
        return True, value


def _number(line: str) -> int:
    if not line.isascii() or not line.lstrip("-").isdigit() or len(line) > 20:
        raise ProtocolError("the answer is not in the protocol of Redis")
    try:
        return int(line)
    except ValueError:
        raise ProtocolError("the answer is not in the protocol of Redis") from None


def command(*words: str) -> bytes:
    """A command as the server reads it."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


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


class Redis(Question):
    """Log in, PING, and look into INFO where something is to be said about it."""

    spec = {
        "host": {"type": "str", "default": "127.0.0.1"},
        "port": {"type": "int", "default": 6379},
        "user": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "tls": {"type": "bool", "default": False},
        **CERTIFICATE,
        **conditions.SPEC,
        **conditions.THRESHOLDS,
    }

    def mistakes(self) -> t.List[str]:
        found = port_mistakes(self.options) + conditions.mistakes(self.options)
        if "user" in self.options and "password" not in self.options:
            found.append("user is given without password")
        return found

    @property
    def has_number(self) -> bool:
        return bool(self.options.get("value"))

    @property
    def target(self) -> str:
        return f"{'rediss' if self.options['tls'] else 'redis'}://{endpoint(self.options['host'], self.options['port'])}"

    @property
    def _tls(self) -> Tls:
        return Tls(self.options["verify_tls"], self.options.get("ca_file", ""))

    def prepare(self, network: Network) -> None:
        if self.options["tls"]:
            network.context(self._tls)

    async def ask(self, attempt: Attempt) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]:
        tls = self._tls if self.options["tls"] else None
        with await connect(attempt, self.options["host"], self.options["port"], tls) as connection:
            replies = Replies()
            try:
                if "password" in self.options:
                    account = [self.options["user"]] if "user" in self.options else []
                    await _call(connection, replies, "AUTH", *account, self.options["password"])
                pong = await _call(connection, replies, "PING")
                if pong != "PONG":
                    raise ProtocolError("the server did not answer PING with PONG")
                wanted = any(self.options.get(name) for name in conditions.SPEC)
                info = str(await _call(connection, replies, "INFO")) if wanted else ""
            except ProtocolError as error:
                raise NoAnswer(FAIL, str(error), observed=connection.observed) from None
            return fields_of(info), connection.observed

    def judge(self, got: t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]) -> Answer:
        fields, observed = got
        answer = conditions.judge(fields, self.options)
        answer.observed.update(observed)
        answer.findings += judge_certificate(observed, self.options.get("warn_certificate_days"), self.options.get("fail_certificate_days"))
        return answer


async def _call(connection: Connection, replies: Replies, *words: str) -> t.Any:
    await connection.send(command(*words))
    while True:
        whole, reply = replies.next()
        if whole:
            break
        data = await connection.read()
        if not data:
            raise NoAnswer(FAIL, "the connection was closed without an answer", retry=True, observed=connection.observed)
        replies.feed(data)
    if isinstance(reply, ServerError):
        code = reply.partition(" ")[0]
        raise NoAnswer(FAIL, f"{_REASONS.get(code, f'the server refused {words[0]}')} ({reply[:200]})", observed=connection.observed)
    return reply
