# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes for users: questions, dates in sentences, cases."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
import zlib
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException
from pydantic import BaseModel, Field

from .service import Here, Service

router = APIRouter()

_FIND_CASES = """
SELECT id, case_number, title FROM cases WHERE title ILIKE '%' || $1 || '%' ORDER BY id LIMIT 3
"""
_FIND_DOCUMENTS = """
SELECT id FROM documents WHERE case_id = ANY($1::bigint[]) ORDER BY case_id, created_at LIMIT 5
"""
_NOTE_ANSWER = """
INSERT INTO response_history (id, user_id, endpoint, status, duration_ms, tokens, trace_id, created_at)
VALUES ($1, $2, $3, 200, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
_ONE_CASE = """
SELECT c.id, c.case_number, c.status::text, c.title, c.tags, c.opened_at, client.name AS client
FROM cases c JOIN clients client ON client.id = c.client_id WHERE c.id = $1
"""
_TIME = re.compile(r"\b(\d{1,2})(?::(\d{2}))?\s*(am|pm)\b|\b(\d{1,2}):(\d{2})\b", re.IGNORECASE)
_DAY = re.compile(r"\b(today|tomorrow|monday|tuesday|wednesday|thursday|friday|saturday|sunday|\d{4}-\d{2}-\d{2})\b", re.IGNORECASE)


class Question(BaseModel):
    """What `POST /chat` takes."""

    message: str = Field(min_length=1, max_length=10_000)


class Sentence(BaseModel):
    """What `POST /parse` takes."""

    text: str = Field(min_length=1, max_length=10_000)


@router.post("/chat")
async def chat(service: Here, question: Question, x_user_id: Annotated[str, Header(min_length=1, max_length=100)]) -> dict[str, Any]:
    """Answer a question from the cases, and note that it was answered."""
    began, trace = time.perf_counter(), uuid.uuid4()
    key = hashlib.sha256(question.message.encode()).hexdigest()
    answer = await service.cache.get("query_cache", key)
    cached = answer is not None
    if not cached:
        answer = await _answer(service, question.message, key)
        await service.cache.put("query_cache", key, answer)
    await service.cache.note_user(x_user_id)
    duration_ms = (time.perf_counter() - began) * 1000
    now = datetime.now(UTC)
    user = int(x_user_id) if re.fullmatch(r"\d{1,9}", x_user_id) else zlib.crc32(x_user_id.encode()) & 0x7FFFFFFF
    tokens = len(question.message.split()) + len(str(answer["text"]).split())
    # Number and time are chosen here, so that a note which is sent again after a lost connection is not there twice.
    await service.database.fetch(_NOTE_ANSWER, service.next_number(), user, "/chat", duration_ms, tokens, trace, now)
    return {**answer, "cached": cached, "trace_id": str(trace), "colour": service.settings.colour}


async def _answer(service: Service, message: str, key: str) -> dict[str, Any]:
    if await service.cache.get("embedding_cache", key) is None:
        with service.tools.use("vector_search"):
            embedding = [round(byte / 255, 4) for byte in bytes.fromhex(key)[:16]]
        await service.cache.put("embedding_cache", key, embedding)
    word = max(re.findall(r"\w+", message) or [message], key=len)
    with service.tools.use("search_statute"):
        cases = await service.database.fetch(_FIND_CASES, word)
        documents = await service.database.fetch(_FIND_DOCUMENTS, [case["id"] for case in cases])
    with service.tools.use("llm_provider"):
        text = f"{len(cases)} cases speak of {word!r}: " + "; ".join(f"{case['case_number']} {case['title']}" for case in cases)
    return {"text": text, "cases": [case["id"] for case in cases], "documents": [document["id"] for document in documents]}


@router.post("/parse")
async def parse(service: Here, sentence: Sentence) -> dict[str, Any]:
    """Find day and time of an appointment in a sentence, with the confidence in each."""
    key = hashlib.sha256(sentence.text.encode()).hexdigest()
    parsed = await service.cache.get("parse_cache", key)
    if parsed is None:
        with service.tools.use("llm_provider"):
            parsed = _parsed(sentence.text)
        await service.cache.put("parse_cache", key, parsed)
    low = parsed["confidence"] < 0.7
    fields = {"confidence_breakdown": parsed["confidence_breakdown"], "confidence": parsed["confidence"], "low_confidence": low}
    service.log.info("parsing decision", extra={"fields": fields})
    return dict(parsed)


def _parsed(text: str) -> dict[str, Any]:
    day, moment = _DAY.search(text), _TIME.search(text)
    title = _TIME.sub("", _DAY.sub("", text)).strip(" ,.")
    confidence = {"date": 0.95 if day else 0.2, "time": 0.95 if moment else 0.3, "title": 0.9 if len(title) > 3 else 0.4}
    return {
        "title": re.sub(r"\s+", " ", title),
        "date": day.group(0).lower() if day else None,
        "time": moment.group(0).lower() if moment else None,
        "confidence": round(sum(confidence.values()) / len(confidence), 3),
        "confidence_breakdown": confidence,
    }


@router.get("/cases/count")
async def count_cases(service: Here) -> dict[str, int]:
    """How many cases there are, counted now."""
    return {"count": (await service.database.fetch("SELECT count(*) AS count FROM cases"))[0]["count"]}


@router.get("/cases/{number}")
async def case(service: Here, number: int) -> dict[str, Any]:
    """One case."""
    found = await service.database.fetch(_ONE_CASE, number)
    if not found:
        raise HTTPException(404, f"no case {number}")
    return found[0]
