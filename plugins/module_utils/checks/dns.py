# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `dns`: does a name have addresses, and the right ones, for this host or for a given server."""

from __future__ import annotations

import asyncio
import os
import socket
import typing as t

from .connection import explained
from .dns_message import CODES, TYPES, NotDns, Reply, encoded, question, reply
from .model import FAIL, UNKNOWN, WARN, Answer, Attempt, Finding, NoAnswer, Question
from .network import connect, in_thread
from .redaction import clip
from .tcp import endpoint, port_mistakes

_AGAIN_AFTER_S = 1.0
"""Datagrams get lost; the question is put again after so long."""
_DATAGRAM_BYTES = 4096
_FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}
_NO_SUCH_NAME = 3


class Dns(Question):
    """Look a name up."""

    spec = {
        "host": {"type": "str", "required": True},
        "addresses": {"type": "list", "elements": "str"},
        "records": {"type": "list", "elements": "str", "choices": sorted(TYPES), "default": sorted(TYPES)},
        "server": {"type": "str"},
        "port": {"type": "int", "default": 53},
    }

    def mistakes(self) -> t.List[str]:
        found = port_mistakes({"port": self.options["port"], "host": self.options.get("server", "-")})
        try:
            encoded(self.options["host"])
        except ValueError as error:
            found.append(f"host {clip(self.options['host'], 60)!r} {error}")
        for address in self.options.get("addresses", ()):
            if _normal(address) is None:
                found.append(f"addresses has {clip(address, 60)!r}, which is no address")
        if not self.options["records"]:
            found.append("records is empty, so nothing would be asked")
        return found

    @property
    def target(self) -> str:
        server = self.options.get("server")
        return str(self.options["host"]) + (f" at {endpoint(server, self.options['port'])}" if server else "")

    async def ask(self, attempt: Attempt) -> t.Dict[str, Reply]:
        kinds = list(dict.fromkeys(self.options["records"]))
        if "server" not in self.options:
            attempt.stage = "waiting for the resolver of this host"
            return await in_thread(lambda: _resolved(self.options["host"], kinds))
        attempt.stage = f"waiting for {self.options['server']}"
        replies = await asyncio.gather(*(self._answer(attempt, kind) for kind in kinds))
        return dict(zip(kinds, replies))

    async def _answer(self, attempt: Attempt, kind: str) -> Reply:
        asked = question(self.options["host"], kind, int.from_bytes(os.urandom(2), "big"))
        addresses = await attempt.network.addresses(self.options["server"], self.options["port"])
        said = await _by_datagram(asked, *addresses[0])
        return await self._by_stream(attempt, asked) if said.truncated else said

    async def _by_stream(self, attempt: Attempt, asked: bytes) -> Reply:
        with await connect(attempt, self.options["server"], self.options["port"]) as connection:
            await connection.send(len(asked).to_bytes(2, "big") + asked)
            received = bytearray()
            while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2], "big"):
                data = await connection.read()
                if not data:
                    raise NoAnswer(FAIL, "the connection was closed without an answer", retry=True)
                received += data
        try:
            return reply(bytes(received[2 : 2 + int.from_bytes(received[:2], "big")]), asked)
        except NotDns as error:
            raise NoAnswer(FAIL, f"what came is no answer: {error}") from None

    def judge(self, got: t.Mapping[str, Reply]) -> Answer:
        answer = Answer()
        found = [address for said in got.values() for address in said.addresses]
        answer.observed["addresses"] = found
        alias = next((said.alias for said in got.values() if said.alias), "")
        if alias:
            answer.observed["alias"] = clip(alias, 260)
        problems = [(kind, said.code) for kind, said in got.items() if said.code]
        answer.retry = any(code == 2 for _kind, code in problems)
        if any(code == _NO_SUCH_NAME for _kind, code in problems):
            answer.findings.append(Finding(FAIL, "the name does not exist"))
            return answer
        for kind, code in problems:
            said_so = f"the server answers {CODES.get(code, f'code {code}')} for the type {kind}"
            answer.findings.append(Finding(WARN if found else FAIL, said_so))
        if not found and not problems:
            answer.findings.append(Finding(FAIL, f"the name has no address of the type {' or '.join(got)}"))
        if found:
            self._compare(found, answer)
        return answer

    def _compare(self, found: t.Sequence[str], answer: Answer) -> None:
        wanted = {t.cast(str, _normal(address)) for address in self.options.get("addresses", ())}
        if not wanted:
            return
        # Who names addresses of one family only says nothing about the other.
        families = {":" in address for address in wanted}
        seen = {address for address in map(_normal, found) if address is not None and (":" in address) in families}
        if wanted - seen:
            answer.findings.append(Finding(FAIL, f"the name does not lead to {', '.join(sorted(wanted - seen))}"))
        if seen - wanted:
            answer.findings.append(Finding(FAIL, f"the name leads to {', '.join(sorted(seen - wanted)[:10])}, which is not expected"))


async def _by_datagram(asked: bytes, family: int, address: t.Any) -> Reply:
    """Put the question until it is answered; what answers something else is passed over, as it may be forged."""
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        try:
            # Connected, so that only this server is heard.
            channel.connect(address)
            while True:
                channel.send(asked)
                again = loop.time() + _AGAIN_AFTER_S
                while loop.time() < again:
                    try:
                        message = await asyncio.wait_for(loop.sock_recv(channel, _DATAGRAM_BYTES), again - loop.time())
                        return reply(message, asked)
                    except asyncio.TimeoutError:
                        break
                    except NotDns:
                        # Whoever sends without end must not keep the others from their turn.
                        await asyncio.sleep(0)
        except OSError as error:
            raise explained(error) from None


def _resolved(host: str, kinds: t.Sequence[str]) -> t.Dict[str, Reply]:
    family = _FAMILIES[kinds[0]] if len(kinds) == 1 else socket.AF_UNSPEC
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            raise NoAnswer(FAIL, f"the name does not exist, or has no such address ({error.strerror})") from None
        passing = error.errno == socket.EAI_AGAIN
        raise NoAnswer(UNKNOWN, f"the resolver of this host gives no answer ({error.strerror})", retry=passing) from None
    except (UnicodeError, OSError) as error:
        raise NoAnswer(UNKNOWN, f"the resolver of this host gives no answer ({error})") from None
    by_kind = {
        kind: tuple(dict.fromkeys(str(address[0]) for of, _type, _protocol, _name, address in found if of == _FAMILIES[kind]))
        for kind in kinds
    }
    return {kind: Reply(0, False, addresses, "") for kind, addresses in by_kind.items()}


def _normal(address: str) -> t.Optional[str]:
    """An address as it is always written; None for what is none."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, address))
        except (OSError, ValueError):
            continue
    return None
