# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `redis`, for Redis, Valkey and what else speaks their protocol (RESP2, redis.io/docs/reference/protocol-spec)."""

from __future__ import annotations

import typing as t

from ..redis import protocol
from ..redis.protocol import ProtocolError, ServerError, encode, fields_of
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


class Replies(protocol.Replies):
    """Replies as text; none of our commands is answered by a list."""

    def __init__(self) -> None:
        super().__init__(_LARGEST_REPLY)

    def next(self) -> t.Tuple[bool, t.Any]:
        if self._buffer[:1] == b"*":
            raise ProtocolError("the answer is not in the protocol of Redis")
        whole, reply = super().next()
        return whole, reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply


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
    await connection.send(encode(*words))
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
