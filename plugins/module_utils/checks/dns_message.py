# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Questions for the addresses of a name, and their answers, as DNS servers read and write them (RFC 1035, section 4; RFC 3596).

Written here because managed hosts have no package for it, and two record types need no more than this.
"""

from __future__ import annotations

import socket
import struct
import typing as t

TYPES: t.Mapping[str, int] = {"A": 1, "AAAA": 28}
"""Record types by name (RFC 1035, 3.2.2; RFC 3596, 2.1)."""
CODES: t.Mapping[int, str] = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_FAMILIES = {1: socket.AF_INET, 28: socket.AF_INET6}
_INTERNET, _CNAME = 1, 5
_RESPONSE, _TRUNCATED, _RECURSION_DESIRED = 0x8000, 0x0200, 0x0100
_HEAD = struct.Struct("!6H")
_RECORD = struct.Struct("!2HIH")
_MOST_POINTERS = 64
_MOST_ALIASES = 16


class NotDns(ValueError):
    """What came is no answer to the question; it says why."""


class Reply(t.NamedTuple):
    """An answer.

    Attributes:
        code: 0, or a key of CODES.
        truncated: Whether it did not fit, and must be asked for by TCP.
        addresses: Of the name, aliases followed, as text.
        alias: The last name to which aliases lead; empty when there are none.
    """

    code: int
    truncated: bool
    addresses: t.Tuple[str, ...]
    alias: str


def encoded(name: str) -> bytes:
    """A name as it travels.

    Raises:
        ValueError: It is no name; the text says why.
    """
    text = name[:-1] if name.endswith(".") else name
    found = b""
    for label in text.split("."):
        try:
            part = label.encode("ascii" if label.isascii() else "idna")
        except UnicodeError:
            raise ValueError("has a part that is no part of a name") from None
        if not 0 < len(part) < 64:
            raise ValueError("has an empty part, or one of more than 63 characters")
        found += bytes([len(part)]) + part
    if len(found) > 254:
        raise ValueError("is longer than 253 characters")
    return found + b"\0"


def question(name: str, kind: str, number: int) -> bytes:
    """The question for the records of type `kind` (a key of TYPES) of a name; `number` marks the answer to it.

    Raises:
        ValueError: It is no name.
    """
    return _HEAD.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0) + encoded(name) + struct.pack("!2H", TYPES[kind], _INTERNET)


def reply(message: bytes, asked: bytes) -> Reply:
    """What `message` answers to the question `asked`.

    Raises:
        NotDns: It is no answer to it.
    """
    if len(message) < _HEAD.size:
        raise NotDns("it is too short")
    number, flags, questions, answers, _authorities, _others = _HEAD.unpack_from(message)
    if number != int.from_bytes(asked[:2], "big") or not flags & _RESPONSE:
        raise NotDns("it answers another question")
    code, truncated = flags & 0x000F, bool(flags & _TRUNCATED)
    if questions != 1 or message[_HEAD.size : len(asked)].lower() != asked[_HEAD.size :].lower():
        # Servers that could not even read the question leave it out.
        if code and questions == 0:
            return Reply(code, False, (), "")
        raise NotDns("it answers another question")
    if truncated or code:
        return Reply(code, truncated, (), "")
    aliases, addresses = _records(message, len(asked), answers, int.from_bytes(asked[-4:-2], "big"))
    name, _at = _name(asked, _HEAD.size)
    for _alias in range(_MOST_ALIASES):
        if name not in aliases:
            break
        name = aliases[name]
    return Reply(code, False, tuple(dict.fromkeys(addresses.get(name, ()))), name if aliases else "")


def _records(message: bytes, at: int, count: int, kind: int) -> t.Tuple[t.Dict[str, str], t.Dict[str, t.List[str]]]:
    """Aliases and addresses by the name that they belong to, out of the `count` records from `at` on."""
    aliases: t.Dict[str, str] = {}
    addresses: t.Dict[str, t.List[str]] = {}
    for _number in range(count):
        owner, at = _name(message, at)
        if at + _RECORD.size > len(message):
            raise NotDns("a record of it ends too early")
        record, internet, _lifetime_s, length = _RECORD.unpack_from(message, at)
        at += _RECORD.size
        data = message[at : at + length]
        if len(data) != length:
            raise NotDns("a record of it ends too early")
        if internet == _INTERNET and record == _CNAME:
            aliases[owner] = _name(message, at)[0]
        elif internet == _INTERNET and record == kind:
            try:
                addresses.setdefault(owner, []).append(socket.inet_ntop(_FAMILIES[kind], data))
            except ValueError:
                raise NotDns("an address in it has the wrong length") from None
        at += length
    return aliases, addresses


def _name(message: bytes, at: int) -> t.Tuple[str, int]:
    """The name that stands at `at`, in lower case, and where it ends; parts of it may stand elsewhere (RFC 1035, 4.1.4)."""
    labels: t.List[str] = []
    end = -1
    for _step in range(_MOST_POINTERS + 128):
        if at >= len(message):
            break
        length = message[at]
        if length == 0:
            return ".".join(labels), end if end >= 0 else at + 1
        if length & 0xC0 == 0xC0:
            if at + 2 > len(message):
                break
            end = end if end >= 0 else at + 2
            there = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
            if there >= at:
                raise NotDns("a name in it goes in circles")
            at = there
        elif length & 0xC0:
            break
        else:
            labels.append(message[at + 1 : at + 1 + length].decode("latin-1").lower())
            at += 1 + length
    raise NotDns("a name in it has no end")
