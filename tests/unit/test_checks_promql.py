# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of PromQL expressions, against canned answers of the API; tests/integration/test_monitoring_checks.py asks a real Prometheus."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks.http_message import Response
from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.plugins.module_utils.checks.promql import PromQL
from ansible_collections.sre.runbooks.plugins.module_utils.checks.web import Got
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, outcome, sends

NOW = 1_700_000_000.0


def vector(*values: t.Any, **more: t.Any) -> dict[str, t.Any]:
    """An answer with a series for each value."""
    result = [{"metric": {"instance": f"host {number}"}, "value": [NOW, str(value)]} for number, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **more}


def asked(document: t.Any, status: str = "200 OK", **keys: t.Any) -> Result:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with Server(sends(answer(body, status))) as server:
        return outcome(**{"type": "promql", "url": server.url, "query": "up", **keys})


@pytest.mark.parametrize(
    ("values", "keys", "verdict", "value"),
    [
        ([5], {}, "pass", 5),
        ([5], {"warn_above": 4, "fail_above": 6}, "warn", 5),
        ([5, 7, 6], {"warn_above": 4, "fail_above": 6}, "fail", 7),
        ([5, 1, 3], {"fail_below": 2}, "fail", 1),
        ([0.5, 5, 9], {"fail_below": 1, "warn_above": 8}, "fail", 0.5),
        ([5, 1, 3], {}, "pass", 5),
        ([5, 1, 3], {"fail_below": 0}, "pass", 1),
        ([5, 1, 3], {"sum": "sum", "fail_above": 8}, "fail", 9),
        ([5, 1, 3], {"sum": "mean", "fail_above": 8}, "pass", 3),
        ([5, "NaN"], {"fail_above": 8}, "unknown", None),
        ([9, "NaN"], {"fail_above": 8}, "fail", 9),
        (["NaN"], {}, "unknown", None),
        (["+Inf"], {"fail_above": 1}, "unknown", None),
        ([], {}, "unknown", None),
        ([], {"empty": "pass", "fail_below": 1}, "pass", None),
        ([], {"empty": "zero", "fail_below": 1}, "fail", 0),
    ],
)
def test_of_one_or_many_series_the_worst_counts(values: list[t.Any], keys: dict[str, t.Any], verdict: str, value: float | None) -> None:
    result = asked(vector(*values), **keys)
    assert (result.verdict, result.value) == (verdict, value), result.reason


def test_the_worst_series_is_named() -> None:
    result = asked(vector(1, 9, 5), fail_above=4)
    assert result.reason == 'the value of {instance="host 1"} is 9, more than 4'
    assert result.observed["worst"][:2] == [
        {"labels": {"instance": "host 1"}, "value": 9},
        {"labels": {"instance": "host 2"}, "value": 5},
    ]


def test_a_scalar_is_a_number_and_other_kinds_are_unknown() -> None:
    assert asked({"status": "success", "data": {"resultType": "scalar", "result": [NOW, "2.5"]}}).value == 2.5
    for kind in ("matrix", "string"):
        result = asked({"status": "success", "data": {"resultType": kind, "result": []}})
        assert result.verdict == "unknown"
        assert kind in result.reason
    native = asked({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [NOW, {}]}]}})
    assert native.verdict == "unknown"
    assert "histogram_quantile" in native.reason


def test_a_warning_of_the_server_warns_and_is_shown() -> None:
    result = asked(vector(1, warnings=["remote read of store 3 failed"]), fail_above=4)
    assert (result.verdict, result.value) == ("warn", 1)
    assert "remote read of store 3 failed" in result.reason


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable Entity", "503 Service Unavailable", "200 OK"])
def test_a_query_that_the_server_cannot_evaluate_is_unknown_with_its_words(status: str) -> None:
    result = asked({"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unexpected end of input"}, status)
    assert result.verdict == "unknown"
    assert "bad_data: 1:5: parse error: unexpected end of input" in result.reason


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (b"<html>", "200 OK"),
        (b"", "200 OK"),
        ([], "200 OK"),
        ({"status": "success"}, "200 OK"),
        ({"status": "success", "data": {"resultType": "vector", "result": [5]}}, "200 OK"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, 2]}]}}, "200 OK"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "two"]}]}}, "200 OK"),
        (b"no such page", "404 Not Found"),
        ({"error": "x"}, "500 Internal Server Error"),
    ],
)
def test_what_is_no_prometheus_fails(document: t.Any, status: str) -> None:
    assert asked(document, status).verdict == "fail"


def test_the_query_goes_out_whole_with_a_time_limit_and_below_a_path_prefix() -> None:
    query = 'sum(rate(http_requests_total{status=~"5.."}[5m])) / 3 > 0.05 # a+b&c=ü'
    with Server(sends(answer(json.dumps(vector(1)).encode()))) as server:
        result = outcome(type="promql", url=server.url + "prometheus/?tenant=a", query=query, token="sw0rdfish")
        (request,) = server.requests
    parts = urlsplit(request.split(b" ", 2)[1].decode())
    assert parts.path == "/prometheus/api/v1/query"
    parameters = parse_qs(parts.query)
    assert parameters["query"] == [query]
    assert parameters["tenant"] == ["a"]
    assert 0 < int(parameters["timeout"][0].removesuffix("ms")) <= 3000
    assert b"Authorization: Bearer sw0rdfish" in request
    assert result.verdict == "pass"
    assert "sw0rdfish" not in repr(result)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.sampled_from(["success", "error", "vector", "scalar", "NaN", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["status", "data", "resultType", "result", "metric", "value", "warnings", "error"]), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=300)
@given(JSON, st.sampled_from([200, 400, 503]))
def test_whatever_json_a_server_sends_becomes_a_verdict(document: t.Any, status: int) -> None:
    body = json.dumps(document).encode()
    response = Response("GET", 1 << 20)
    response.feed(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
    options = {"url": "http://h/", "query": "up", "sum": "worst", "empty": "unknown", "max_body_kb": 64, "fail_above": 1.0}
    judged = PromQL(options).judge(Got(response, {}))
    assert all(finding.verdict in ("fail", "unknown", "warn") and finding.reason for finding in judged.findings)
    assert judged.findings or judged.value is not None
