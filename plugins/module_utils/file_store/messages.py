# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What GNU tar says of single files while it reads them, as data."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field


@dataclass
class Told:
    """What tar said of single files while it read them.

    Attributes:
        changed: Names that changed while they were read.
        vanished: Names that were gone.
        others: Sentences about anything else that does not make the archive wrong.
    """

    changed: t.List[bytes] = field(default_factory=list)
    vanished: t.List[bytes] = field(default_factory=list)
    others: t.List[str] = field(default_factory=list)


_MESSAGE = re.compile(rb'^[^:]*tar: "((?:[^"\\]|\\.)*)": (.*)$')
_CHANGED = re.compile(rb"file changed as we read it|File shrank by")
_VANISHED = re.compile(rb"File removed before we read it|.*: No such file or directory$")
_HARMLESS = re.compile(rb"socket ignored|Warning: ")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def read_messages(said: bytes) -> t.Tuple[Told, t.List[str]]:
    """What tar said (its messages in the C locale), and its complaints that mean failure."""
    told, complaints = Told(), []
    for text in said.splitlines():
        found = _MESSAGE.match(text)
        if found is None:
            if b"Exiting with failure status" not in text and b"tar: " in text:
                complaints.append(text.decode(errors="replace"))
            continue
        name, message = _unquoted(found.group(1)), found.group(2)
        if _CHANGED.match(message):
            told.changed.append(name)
        elif _VANISHED.match(message):
            told.vanished.append(name)
        elif _HARMLESS.match(message):
            told.others.append(text.decode(errors="backslashreplace"))
        else:
            complaints.append(text.decode(errors="backslashreplace"))
    return told, complaints


def _unquoted(text: bytes) -> bytes:
    def one(match: "re.Match[bytes]") -> bytes:
        code = match.group(1)
        return bytes([int(code, 8)]) if code.isdigit() else _ESCAPES.get(code, code)

    return re.sub(rb"\\([0-7]{3}|.)", one, text)
