# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random and hostile input: no traceback, no hang, no secret."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks import conditions
from ansible_collections.sre.runbooks.plugins.module_utils.checks.catalogue import TYPES
from ansible_collections.sre.runbooks.plugins.module_utils.checks.certificate import valid_until
from ansible_collections.sre.runbooks.plugins.module_utils.checks.http_message import Malformed, Response
from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import COMMON, plan
from ansible_collections.sre.runbooks.plugins.module_utils.checks.redaction import Redactor, shown_url
from ansible_collections.sre.runbooks.plugins.module_utils.checks.redis import Replies
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.redis.protocol import ProtocolError, fields_of
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, outcomes, sends

PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 C\r\n",
        b"\r\n",
        b"\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\n",
        b"0\r\n",
        b"abc",
        b"Content-Encoding: gzip\r\n",
        b"fffffffffffffff\r\n",
        b"$3\r\n",
        b"+OK\r\n",
        b"-ERR x\r\n",
        b":5\r\n",
        b"$-1\r\n",
        b"*9\r\n",
        b"\xff",
    ]
)
STREAMS = st.lists(st.one_of(PIECES, st.binary(max_size=40)), max_size=30).map(b"".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "healthy", "password"]) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
EXPRESSIONS = [
    "healthy",
    "a.b[0]",
    "a > b",
    "length(@)",
    "sort_by(@, &a)",
    "max(a)",
    "sum(@)",
    "a[?b > `1`].b | [0]",
    "to_number(a) > `5`",
    "join(',', @)",
    "keys(@)",
    "avg(*)",
    "contains(a, b)",
    "a == 'x' || !b",
    "reverse(@)",
    "merge(a, b)",
    "abs(a)",
]


def read_whole(data: bytes, sizes: t.Sequence[int]) -> tuple[t.Any, ...]:
    """What becomes of an HTTP answer that arrives in pieces of these sizes."""
    response, at, turn = Response("GET", 64), 0, 0
    try:
        while at < len(data) and not response.done:
            size = sizes[turn % len(sizes)]
            response.feed(data[at : at + size])
            at, turn = at + size, turn + 1
        response.end()
    except Malformed as error:
        return ("malformed", str(error))
    assert len(response.body) <= 64
    return (response.status, response.headers, bytes(response.body), response.truncated)


@given(STREAMS, st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_an_http_answer_means_the_same_in_whatever_pieces_it_comes(data: bytes, sizes: list[int]) -> None:
    assert read_whole(data, sizes) == read_whole(data, [1])


@given(STREAMS, st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_redis_replies_mean_the_same_in_whatever_pieces_they_come(data: bytes, sizes: list[int]) -> None:
    def read(steps: t.Sequence[int]) -> list[t.Any]:
        replies, found, at, turn = Replies(), [], 0, 0
        try:
            while at < len(data):
                replies.feed(data[at : at + steps[turn % len(steps)]])
                at, turn = at + steps[turn % len(steps)], turn + 1
                whole, reply = replies.next()
                while whole:
                    found.append(reply)
                    whole, reply = replies.next()
        except ProtocolError as error:
            found.append(str(error))
        return found

    assert read(sizes) == read([1])


@given(st.text())
def test_whatever_info_says_becomes_fields(info: str) -> None:
    json.dumps(fields_of(info))


@given(st.binary(max_size=400))
def test_whatever_claims_to_be_a_certificate_is_a_date_or_a_value_error(der: bytes) -> None:
    try:
        assert isinstance(valid_until(der), float)
    except ValueError:
        pass


@given(JSON, st.sampled_from(EXPRESSIONS))
def test_a_condition_decides_or_says_that_it_cannot(document: t.Any, expression: str) -> None:
    found = conditions.Condition.of({"that": expression, "otherwise": "warn"}).judge(document)
    assert all(finding.verdict in ("warn", "unknown") and finding.reason for finding in found)
    judged = conditions.judge(document, {"value": expression, "fail_above": 1.0, "observe": {"x": expression}})
    json.dumps(Redactor().value(judged.observed), allow_nan=False).encode()


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_is_refused_with_a_reason(text: str) -> None:
    try:
        conditions.Condition.of(text)
    except conditions.BadExpression:
        pass


KEYS = st.sampled_from(sorted({*COMMON, *(name for load in TYPES.values() for name in load().spec), "nonsense"}))
VALUES = st.one_of(
    JSON, st.sampled_from(["http", "json", "tcp", "redis", "postgresql", "http://h/", "http://u:sw0rdfish@h/?token=sw0rdfish", 5, "5"])
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.dictionaries(KEYS, VALUES, max_size=8),
            st.fixed_dictionaries(
                {
                    "name": st.text(max_size=3),
                    "type": st.sampled_from(sorted(TYPES)),
                    "url": st.text(max_size=12),
                    "host": st.text(max_size=8),
                    "port": st.integers(),
                    "password": st.just("sw0rdfish"),
                }
            ),
            JSON,
        ),
        max_size=4,
    )
)
def test_any_list_is_a_plan_or_is_refused_without_telling_a_secret(raw: list[t.Any]) -> None:
    try:
        said = "".join(check.question.target for check in plan(raw))
    except BadInput as error:
        said = error.message
    if any(isinstance(item, dict) and item.get("password") == "sw0rdfish" for item in raw):
        assert "sw0rdfish" not in said


@given(st.text(), st.text(min_size=4, max_size=30), st.text())
def test_a_known_secret_is_masked_wherever_it_stands(before: str, secret: str, after: str) -> None:
    if secret in "*" * 40 or secret in before or secret in after:
        return
    redacted = Redactor([secret]).text(f"{before} {secret} {after}")
    assert secret not in redacted.replace("********", "\0") or not secret.isprintable()


@given(st.text())
def test_any_url_can_be_shown(url: str) -> None:
    assert isinstance(shown_url(url), str)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(STREAMS)
def test_a_server_that_sends_anything_gets_a_verdict_from_every_type(data: bytes) -> None:
    with Server(sends(data)) as server, Server(sends(data), reads=False) as hasty:
        place = {"host": "127.0.0.1", "port": server.port}
        results = outcomes(
            {"type": "http", "url": server.url, "matches": ["x"]},
            {"type": "json", "url": hasty.url, "conditions": ["healthy"]},
            {"type": "tcp", **place, "contains": ["x"], "send": "y"},
            {"type": "redis", **place, "value": "used_memory", "fail_above": 1},
            {"type": "redis", **place, "password": "sw0rdfish"},
        )
    assert all("check itself failed" not in result.reason for result in results), results
    assert "sw0rdfish" not in repr(results)
    json.dumps([dict(result.observed) for result in results], allow_nan=False).encode()
