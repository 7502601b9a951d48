# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of pages of metrics: one number out of them, or the reason why there is none."""

from __future__ import annotations

import gzip
import socket
import typing as t

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, outcome, outcomes, sends, serves

PAGE = b"""# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",path="/"} 90
requests_total{code="500",path="/"} 7
requests_total{code="503",path="/a b"} 3
# TYPE up gauge
up 1
broken_ratio NaN
endless +Inf
seconds_bucket{le="0.1"} 50
seconds_bucket{le="1"} 100
seconds_bucket{le="+Inf"} 100
seconds_count 100
flag{ready="true"} 1
"""


def asked(page: bytes = PAGE, *headers: str, **keys: t.Any) -> Result:
    """Ask a server that answers with this page."""
    with Server(sends(answer(page, "200 OK", *headers))) as server:
        return outcome(type="prometheus", url=server.url, **keys)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ({"metric": "up"}, 1),
        ({"metric": "requests_total"}, 100),
        ({"metric": "requests_total", "sum": "max"}, 90),
        ({"metric": "requests_total", "sum": "min"}, 3),
        ({"metric": "requests_total", "sum": "mean"}, 100 / 3),
        ({"metric": "requests_total", "sum": "count"}, 3),
        ({"metric": "requests_total", "labels": {"code": 500}}, 7),
        ({"metric": 'requests_total{code=~"5.."}'}, 10),
        ({"metric": 'requests_total{code=~"5.."}', "labels": {"path": "/a b"}}, 3),
        ({"metric": "flag", "labels": {"ready": True}}, 1),
        ({"metric": "seconds", "quantile": 0.5}, 0.1),
        ({"metric": "seconds_bucket", "quantile": 0.75}, 0.55),
        ({"metric": "absent", "empty": "zero"}, 0),
    ],
)
def test_the_series_of_a_metric_make_a_number(keys: dict[str, t.Any], value: float) -> None:
    result = asked(**keys)
    assert (result.verdict, result.reason) == ("pass", "")
    assert result.value == result.observed["value"] == pytest.approx(value)


def test_the_number_is_held_against_thresholds() -> None:
    with Server(sends(answer(PAGE))) as server:
        place = {"type": "prometheus", "url": server.url, "metric": 'requests_total{code=~"5.."}'}
        warned, failed, passed, below = outcomes(
            {**place, "warn_above": 9, "fail_above": 20},
            {**place, "fail_above": 9.5},
            {**place, "warn_above": 10},
            {**place, "fail_below": 11},
        )
    assert [result.verdict for result in (warned, failed, passed, below)] == ["warn", "fail", "pass", "fail"]
    assert failed.reason == 'requests_total{code=~"5.."} is 10, more than 9.5'


def test_further_numbers_of_the_same_page_are_reported() -> None:
    result = asked(metric="up", observe={"all": "requests_total", "errors": 'requests_total{code=~"5.."}', "none": "absent"})
    assert {name: result.observed[name] for name in ("all", "errors", "none")} == {"all": 100, "errors": 10, "none": None}


@pytest.mark.parametrize(
    ("keys", "verdict", "reason"),
    [
        ({"metric": "absent"}, "unknown", "there is no series for absent"),
        ({"metric": "absent", "empty": "pass"}, "pass", ""),
        ({"metric": "up", "labels": {"a": "b"}}, "unknown", "there is no series"),
        ({"metric": "broken_ratio"}, "unknown", "is NaN, not a finite number"),
        ({"metric": "endless", "fail_above": 1}, "unknown", "is +inf, not a finite number"),
        ({"metric": "up", "quantile": 0.5}, "unknown", "there is no series"),
        ({"metric": "flag", "labels": {"ready": "x"}, "empty": "zero", "fail_below": 1}, "fail", "is 0, less than 1"),
    ],
)
def test_what_is_no_number_is_unknown_unless_the_check_says_otherwise(keys: dict[str, t.Any], verdict: str, reason: str) -> None:
    result = asked(**keys)
    assert result.verdict == verdict
    assert reason in result.reason


@pytest.mark.parametrize(
    ("page", "verdict", "reason"),
    [
        (b"<html><body>Error</body></html>", "fail", "not in Prometheus' text format"),
        (b'{"status": "up 1"}', "fail", "not in Prometheus' text format"),
        (b"", "unknown", "there is no series"),
        (b"# nothing here\n", "unknown", "there is no series"),
        (b"up{ 1\n", "fail", "the page of metrics is broken"),
        (b"up one\nx 1\n", "fail", "the page of metrics is broken"),
        (b"up 1\nx{ broken", "pass", ""),
        (b"up 1", "pass", ""),
        (b"up 1\r\n", "pass", ""),
        (b"\xff\xfe\nup 1\n", "pass", ""),
    ],
)
def test_a_lying_or_broken_page_fails_where_it_matters(page: bytes, verdict: str, reason: str) -> None:
    result = asked(page, metric="up")
    assert result.verdict == verdict
    assert reason in result.reason


def test_the_beginning_of_a_page_that_is_none_is_shown() -> None:
    assert asked(b"<html>The proxy is sorry", metric="up").observed["body"] == "<html>The proxy is sorry"


def test_an_openmetrics_page_that_ends_before_its_mark_fails() -> None:
    kind = "Content-Type: application/openmetrics-text; version=1.0.0"
    assert asked(PAGE + b"# EOF\n", kind, metric="up").verdict == "pass"
    cut = asked(PAGE, kind, metric="up")
    assert cut.verdict == "fail"
    assert "# EOF" in cut.reason


def test_a_packed_page_is_read_and_one_that_unpacks_to_too_much_is_unknown() -> None:
    kind = "Content-Encoding: gzip"
    assert asked(gzip.compress(PAGE), kind, metric="up").value == 1
    bomb = asked(gzip.compress(b"x 1\n" * 2_000_000 + PAGE), kind, metric="up", max_body_kb=1024)
    assert bomb.verdict == "unknown"
    assert "larger than the 1024 KiB" in bomb.reason
    assert asked(b"\x1f\x8bgarbage", kind, metric="up").verdict == "fail"


def test_a_page_of_many_megabytes_is_read_through() -> None:
    page = b'other_bucket{le="0.123456789"} 17\n' * 300_000 + b"up 1\n"
    result = asked(page, metric="up", timeout_s=10)
    assert (result.verdict, result.value) == ("pass", 1)


def test_an_endless_page_is_cut_off_by_its_size() -> None:
    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"up 1\n" * 10_000)

    with Server(handle) as server:
        result = outcome(type="prometheus", url=server.url, metric="other", max_body_kb=2048)
    assert result.verdict == "unknown"
    assert "larger than the 2048 KiB" in result.reason


def test_a_metric_with_too_many_series_is_unknown() -> None:
    page = b"".join(b'up{number="%050d"} 1\n' % number for number in range(20_000))
    result = asked(page, metric="up")
    assert result.verdict == "unknown"
    assert "more than 1 MiB of series" in result.reason


def test_a_status_that_is_not_good_fails_with_the_body_and_redirects_to_the_same_host_are_followed_if_asked() -> None:
    pages = {"/metrics/": PAGE, "/down": ("503 Service Unavailable", "starting")}

    def handle(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /metrics "):
            connection.sendall(answer(b"up 5\n", "307 Temporary Redirect", "Location: /metrics/"))
        else:
            serves(pages)(connection, request)

    with Server(handle) as server:
        place = {"type": "prometheus", "metric": "up"}
        down, stays, follows = outcomes(
            {**place, "url": server.url + "down"},
            {**place, "url": server.url + "metrics"},
            {**place, "url": server.url + "metrics", "redirects": "same_host"},
        )
        assert all(b"Accept: text/plain;version=0.0.4" in request for request in server.requests)
    assert (down.verdict, down.observed["body"]) == ("fail", "starting")
    assert stays.verdict == "fail"
    assert (follows.verdict, follows.value) == ("pass", 1)
