# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What checks over the network are refused for before anything is asked, and what all checks carry into the report."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import plan
from ansible_collections.sre.runbooks.plugins.module_utils.checks.report import report
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, closed_port, outcomes, sends

GOOD: dict[str, dict[str, t.Any]] = {
    "alertmanager": {"url": "http://h/"},
    "dns": {"host": "h"},
    "grafana": {"url": "http://h/"},
    "json": {"url": "http://h/", "value": "a"},
    "postgresql": {"measure": "connections"},
    "prometheus": {"url": "http://h/metrics", "metric": "up"},
    "prometheus_server": {"url": "http://h/"},
    "promql": {"url": "http://h/", "query": "up"},
    "qdrant": {"url": "http://h/", "collection": "a"},
    "redis": {"value": "used_memory"},
    "statuspage": {"url": "http://h/"},
    "tls": {"host": "h"},
}


@pytest.mark.parametrize(
    ("kind", "keys", "part"),
    [
        ("prometheus", {"metric": "5x"}, "metric: '5x' does not begin with the name of a metric"),
        ("prometheus", {"metric": "rate(x[5m])"}, "only names and labels are understood here"),
        ("prometheus", {"metric": 'x{a=~"("}'}, "no regular expression"),
        ("prometheus", {"quantile": 2}, "quantile is not between 0 and 1"),
        ("prometheus", {"sum": "worst"}, "value of sum must be one of"),
        ("prometheus", {"empty": "maybe"}, "value of empty must be one of"),
        ("prometheus", {"observe": {"x": "a b"}}, "observe x: "),
        ("prometheus", {"warn_above": 2, "fail_above": 1}, "never warn"),
        ("prometheus", {"url": "metrics"}, "not of the form"),
        ("promql", {"query": " "}, "query is empty"),
        ("promql", {"url": "http://u:sw0rdfish@h/"}, "has an account in it"),
        ("promql", {"token": "a\nb"}, "token has a line break"),
        ("alertmanager", {"warn_below": 1, "fail_below": 2}, "never warn"),
        ("qdrant", {"collection": None, "fail_below": 1}, "thresholds need collection"),
        ("qdrant", {"collections": [""]}, "the name of a collection is empty"),
        ("qdrant", {"collections": [str(number) for number in range(101)]}, "more than 100 collections"),
        ("qdrant", {"api_key": "a\r\nHost: b"}, "api_key has a line break"),
        ("tls", {"port": 0}, "port is not between"),
        ("tls", {"server_name": "a b"}, "server_name 'a b' is no name"),
        ("tls", {"warn_certificate_days": 1, "fail_certificate_days": 2}, "never warn"),
        ("dns", {"host": "a..b"}, "host 'a..b' has an empty part"),
        ("dns", {"addresses": ["here"]}, "addresses has 'here', which is no address"),
        ("dns", {"records": ["MX"]}, "value of records must be one or more of"),
        ("dns", {"records": []}, "records is empty"),
        ("dns", {"server": "a b"}, "is no name or address"),
        ("postgresql", {"query": "SELECT 1"}, "both query and measure"),
        ("postgresql", {"measure": "everything"}, "value of measure must be one of"),
        ("statuspage", {"metric": "x"}, "unknown key 'metric'"),
        ("grafana", {"max_body_kb": 0}, "max_body_kb is not between"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused_with_the_reason(kind: str, keys: dict[str, t.Any], part: str) -> None:
    with pytest.raises(BadInput) as caught:
        plan([{"name": "a", "type": kind, **GOOD[kind], **keys}])
    assert any(part in mistake for mistake in caught.value.facts["mistakes"]), caught.value.facts
    assert "sw0rdfish" not in caught.value.message


def test_every_type_tells_whether_it_has_a_number() -> None:
    checks = plan([{"name": kind, "type": kind, **keys} for kind, keys in GOOD.items()])
    assert {check.type for check in checks if not check.question.has_number} == {"dns", "grafana", "prometheus_server", "statuspage"}
    without = plan(
        [
            {"name": "a", "type": "json", "url": "http://h/"},
            {"name": "b", "type": "redis"},
            {"name": "c", "type": "qdrant", "url": "http://h/"},
            {"name": "d", "type": "http", "url": "http://h/"},
            {"name": "e", "type": "tcp", "host": "h", "port": 1},
        ]
    )
    assert not any(check.question.has_number for check in without)


def test_title_component_and_number_are_in_the_report_of_every_check() -> None:
    with Server(sends(answer(b'{"n": 5, "b": true}'))) as server:
        place = {"type": "json", "url": server.url}
        results = outcomes(
            {**place, "name": "load", "title": "Load of the API", "component": "api", "value": "n"},
            {**place, "name": "plain"},
            {**place, "name": "no number", "value": "b"},
            {"name": "gone", "title": "Gone", "type": "tcp", "host": "127.0.0.1", "port": closed_port()},
            {**place, "name": "behind", "component": "api", "depends_on": ["gone"], "value": "n"},
        )
    said = [[entry[key] for key in ("name", "title", "component", "value")] for entry in report(results, 1.0)["results"]]
    assert said == [
        ["load", "Load of the API", "api", 5.0],
        ["plain", "plain", "", None],
        ["no number", "no number", "", None],
        ["gone", "Gone", "", None],
        ["behind", "behind", "api", None],
    ]


@pytest.mark.parametrize(("written", "number"), [(b"1e400", None), (b"-1e400", None), (b"9" * 400, None), (b"2.5", 2.5), (b'"2.5"', None)])
def test_a_number_is_finite_or_none(written: bytes, number: float | None) -> None:
    with Server(sends(answer(b'{"n": ' + written + b"}"))) as server:
        (result,) = outcomes({"type": "json", "url": server.url, "value": "n"})
    assert result.value == number
    json.dumps(report([result], 1.0), allow_nan=False)
