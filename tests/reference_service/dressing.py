# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers with other figures than the measured ones, or other answers altogether: so one service can be dressed as another, and lie."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{.*\})?$")


class OtherAnswer(BaseModel):
    """What a path answers instead of its own answer; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    status: int | None = Field(None, ge=200, le=599)
    body: Any = Field(None, description="text, or anything else as JSON; None for the own body")
    delay_ms: int = Field(0, ge=0, le=60_000)


class Dressing:
    """By path: figures to put into its own answer, and answers to give instead of it."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Its own answers again."""
        self.figures: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, OtherAnswer] = {}

    def show(self) -> dict[str, object]:
        """What is put on now."""
        return {"figures": self.figures, "answers": {path: answer.model_dump(exclude_none=True) for path, answer in self.answers.items()}}

    async def put_on(self, path: str, response: Response) -> Response:
        """The answer of `path` as it is to be seen. `figures` name values of a JSON document by a dotted path, or samples of a
        Prometheus text by name and labels as they are written there."""
        other, figures = self.answers.get(path), self.figures.get(path)
        if other is None and not figures:
            return response
        body = b"".join([part async for part in response.body_iterator]) if hasattr(response, "body_iterator") else response.body
        kind = response.headers.get("content-type", "")
        if figures:
            body = _in_json(bytes(body), figures) if "json" in kind else _in_text(bytes(body), figures)
        status = response.status_code
        if other is not None:
            await asyncio.sleep(other.delay_ms / 1000)
            status = other.status or status
            if other.body is not None:
                kind = "text/plain" if isinstance(other.body, str) else "application/json"
                body = other.body.encode() if isinstance(other.body, str) else json.dumps(other.body).encode()
        kept = {name: value for name, value in response.headers.items() if name not in {"content-length", "content-type"}}
        return Response(bytes(body), status, kept, media_type=kind)


def _in_json(body: bytes, figures: dict[str, Any]) -> bytes:
    document = json.loads(body)
    for dotted, value in figures.items():
        *way, last = dotted.split(".")
        there = document
        for name in way:
            there = there.setdefault(name, {})
        there[last] = value
    return json.dumps(document).encode()


def _in_text(body: bytes, figures: dict[str, Any]) -> bytes:
    lines = [line for line in body.decode().splitlines() if line.rpartition(" ")[0] not in figures]
    for sample, value in figures.items():
        if not _SAMPLE.match(sample):
            raise ValueError(f"{sample!r} is no name of a sample")
        lines.append(f"{sample} {value}")
    return ("\n".join(lines) + "\n").encode()
