# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What an RDB file says of itself in its first bytes.

Source of the format: rdb.h and rdb.c of Redis 7 and Valkey 8 (rdbSaveInfoAuxFields, rdbLoadRioWithLoadingCtx). Before any key come
auxiliary fields, among them the second in which it was begun, and for each database how many keys it has and how many of them expire.
"""

from __future__ import annotations

import re
import struct
import typing as t
from dataclasses import dataclass, field

from ..errors import SetDamaged

_HEAD_BYTES = 1 << 16
_MAGIC = re.compile(rb"(?:REDIS|VALKEY)(\d{3,4})")
_AUX, _FUNCTION2, _SELECT, _RESIZE, _SLOT_INFO = 0xFA, 0xF5, 0xFE, 0xFB, 0xF4
_INTEGERS = {0xC0: ("<b", 1), 0xC1: ("<h", 2), 0xC2: ("<i", 4)}


@dataclass(frozen=True)
class Head:
    """The beginning of an RDB file.

    Attributes:
        version: Version of the format.
        fields: Auxiliary fields: `redis-ver` or `valkey-ver`, `ctime`, `used-mem`, ...
        first: Number of the first database, its keys, and how many of them expire; empty when that is not in the first bytes.
    """

    version: int
    fields: t.Mapping[str, str] = field(default_factory=dict)
    first: t.Tuple[int, ...] = ()

    @property
    def begun_at(self) -> int:
        """When its writing was begun, in seconds since 1970-01-01 UTC by the server's clock; 0 when it does not say."""
        said = self.fields.get("ctime", "")
        return int(said) if said.isascii() and said.isdigit() else 0

    @property
    def server_version(self) -> str:
        """The version of the server that wrote it."""
        return self.fields.get("valkey-ver") or self.fields.get("redis-ver") or "unknown"


def read_head(path: str) -> Head:
    """Read the beginning of an RDB file.

    Raises:
        SetDamaged: It is none.
    """
    with open(path, "rb") as stream:
        data = stream.read(_HEAD_BYTES)
    found = _MAGIC.match(data)
    if found is None:
        raise SetDamaged("This is no RDB file", where=path, why=f"it begins with {data[:9]!r}", next_step="check rdb_file of the store")
    reader = _Reader(data, found.end())
    fields: t.Dict[str, str] = {}
    first: t.Tuple[int, ...] = ()
    database = -1
    try:
        while not first:
            opcode = reader.byte()
            if opcode == _AUX:
                name = reader.text()
                fields[name] = reader.text()
            elif opcode == _FUNCTION2:
                reader.text()
            elif opcode == _SELECT:
                database = reader.length()
            elif opcode == _SLOT_INFO:
                for _number in range(3):
                    reader.length()
            elif opcode == _RESIZE:
                first = (database, reader.length(), reader.length())
            else:
                break
    except (IndexError, struct.error):
        pass  # it goes on beyond the bytes that were read
    return Head(int(found.group(1)), fields, first)


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _unpack(self, form: str, size: int) -> int:
        value: int = struct.unpack(form, self._data[self._at : self._at + size])[0]
        self._at += size
        return value

    def length(self) -> int:
        """A length as rdb.h has it (RDB_6BITLEN and so on)."""
        first = self.byte()
        if first >> 6 == 0:
            return first & 0x3F
        if first >> 6 == 1:
            return ((first & 0x3F) << 8) | self.byte()
        return self._unpack(">Q", 8) if first == 0x81 else self._unpack(">I", 4)

    def text(self) -> str:
        """A short text, or a number that is kept as such; a compressed one is passed over."""
        first = self._data[self._at]
        if first in _INTEGERS:
            self._at += 1
            return str(self._unpack(*_INTEGERS[first]))
        if first == 0xC3:
            self._at += 1
            compressed, _plain = self.length(), self.length()
            self._at += compressed
            return ""
        size = self.length()
        value = self._data[self._at : self._at + size]
        if len(value) < size:
            raise IndexError
        self._at += size
        return value.decode("utf-8", "replace")
