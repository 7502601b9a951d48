# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `tcp`."""

from __future__ import annotations

import typing as t

from .model import FAIL, UNKNOWN, Answer, Attempt, Finding, NoAnswer, Question
from .network import connect
from .redaction import EVIDENCE_BYTES, clip


class Tcp(Question):
    """Connect; optionally send a text and wait for texts in the answer."""

    spec = {
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "send": {"type": "str"},
        "contains": {"type": "list", "elements": "str"},
        "max_body_kb": {"type": "int", "default": 64},
    }

    def mistakes(self) -> t.List[str]:
        found = port_mistakes(self.options)
        if not 1 <= self.options["max_body_kb"] <= 16 * 1024:
            found.append("max_body_kb is not between 1 and 16384")
        return found

    @property
    def target(self) -> str:
        return endpoint(self.options["host"], self.options["port"])

    async def ask(self, attempt: Attempt) -> bytes:
        wanted = [text.encode() for text in self.options.get("contains", ())]
        limit, received = self.options["max_body_kb"] * 1024, bytearray()
        with await connect(attempt, self.options["host"], self.options["port"]) as connection:
            if "send" in self.options:
                await connection.send(self.options["send"].encode())
            while len(received) < limit and not all(text in received for text in wanted):
                data = await connection.read()
                received += data[: limit - len(received)]
                if not data:
                    break
        if not received and wanted:
            raise NoAnswer(FAIL, "the connection was closed without an answer", retry=True)
        return bytes(received)

    def judge(self, got: bytes) -> Answer:
        answer = Answer()
        for text in self.options.get("contains", ()):
            if text.encode() not in got:
                all_read = len(got) < self.options["max_body_kb"] * 1024
                answer.findings.append(Finding(FAIL if all_read else UNKNOWN, f"the text {clip(text, 80)!r} is not in what came"))
        if answer.findings:
            answer.observed["answer"] = got[:EVIDENCE_BYTES].decode("utf-8", "replace")
        return answer


def port_mistakes(options: t.Mapping[str, t.Any]) -> t.List[str]:
    """What is wrong with host and port."""
    found = [] if 0 < options["port"] < 65536 else ["port is not between 1 and 65535"]
    host = options.get("host", "-")
    if not host or any(character <= " " or character in "@/?#" for character in host):
        found.append(f"host {clip(host, 60)!r} is no name or address")
    return found


def endpoint(host: str, port: int) -> str:
    """Host and port for the reader."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
