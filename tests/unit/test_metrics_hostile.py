# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random and hostile input for metrics: no traceback, no hang, no secret, and nothing passes that was not measured."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks.catalogue import TYPES
from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import COMMON
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.model import BASELINE_SPEC, SPEC
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.plan import plan
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, sends
from ansible_collections.sre.runbooks.tests.unit.metrics_support import gate

SECRET = "sw0rdfish"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["v", "n", "d"]) | st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(sorted({*SPEC, *COMMON, *(key for load in TYPES.values() for key in load().spec)}))
BASELINES = st.dictionaries(st.sampled_from([*BASELINE_SPEC, "nonsense"]), JSON, max_size=4)
RAW = st.dictionaries(KEYS, JSON, max_size=6) | st.builds(
    lambda common, more, baseline: {**common, **more, **({"baseline": baseline} if baseline is not None else {})},
    st.fixed_dictionaries(
        {
            "name": st.text(max_size=3),
            "type": st.sampled_from(sorted(TYPES)),
            "url": st.sampled_from(["http://127.0.0.1:1/", f"http://u:{SECRET}@h/?token={SECRET}"]) | st.text(max_size=8),
            "value": st.sampled_from(["v", "v[", "length(@)"]),
            "query": st.just("up"),
            "metric": st.sampled_from(["up", "up{", 'up{a="b"}']),
            "password": st.just(SECRET),
        }
    ),
    st.dictionaries(
        st.sampled_from(sorted(SPEC)), st.floats() | st.integers() | st.text(max_size=5) | st.booleans() | st.just(SECRET), max_size=6
    ),
    st.none() | BASELINES,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(RAW | JSON, max_size=4), st.sampled_from(["", "reference"]))
def test_any_list_is_planned_or_refused_in_words_without_telling_a_secret(raw: list[t.Any], service: str) -> None:
    try:
        said = "".join(metric.check.question.target for metric in plan(raw, service=service))
    except BadInput as error:
        said = error.message
    if any(isinstance(item, dict) and item.get("password") == SECRET for item in raw):
        assert SECRET not in said


def measured_of(server: Server, hasty: Server) -> dict[str, t.Any]:
    """What metrics of many kinds make of a server."""
    share = {"divided_by": "d", "samples": "n", "minimum_samples": 3}
    counted = {"window_s": 0.1, "every_s": 0.05, "aggregate": "increase"}
    return gate(
        {"type": "json", "url": server.url, "value": "v", "fail_above": 1, "unit": "ratio", "token": SECRET},
        {"type": "json", "url": hasty.url, "value": "v", **share, "complement": True, "warn_below": 0.5},
        {"type": "json", "url": server.url, "value": "v", **counted, "divided_by": "d", "fail_above": 0.1},
        {
            "type": "json",
            "url": server.url,
            "value": "v",
            "baseline": {"value": 3, "fail_ratio_above": 2},
            "scale": -1e300,
            "unit": "bytes",
        },
        {"type": "prometheus", "url": server.url, "metric": "v", **counted, "divided_by": "d", "empty": "zero"},
        {"type": "prometheus", "url": hasty.url, "metric": 'v{a="b"}', **share},
        {"type": "promql", "url": server.url, "query": "v", "samples": "n", "minimum_samples": 1, "fail_below": 1},
        {"type": "redis", "port": server.port, "password": SECRET, "value": "used_memory", "fail_above": 1},
        severities=[{"name": "P1"}],
        severity_rules=[{"severity": "P1", "metric": f"metric {number}", "above": 0} for number in range(8)],
        fail_on=[],
    )


def sound(said: dict[str, t.Any]) -> None:
    """No surprise inside, no secret, and what has no number does not pass."""
    json.dumps(said, allow_nan=False).encode()
    assert SECRET not in repr(said)
    for one in said["metrics"]:
        assert "check itself failed" not in one["reason"], one
        assert one["reason"]
        if one["value"] is None:
            assert one["verdict"] == "unknown"


PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"\r\n", b"\n", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\n", b'{"v": 1}',
        b'{"v": 1e999}', b"v 1\n", b"v 1e400\n", b"v NaN\n", b"d -0\n", b'v{a="b"} 5\n', b'v{a="', b"# EOF\n",
        b"+OK\r\n", b"$5\r\n", b"used_memory:9\r\n",
        b"\xff\x00", b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}',
    ]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=30)), max_size=20).map(b"".join))
def test_whatever_a_server_sends_every_metric_gets_a_verdict_in_time(data: bytes) -> None:
    with Server(sends(data)) as server, Server(sends(data), reads=False) as hasty:
        begin = time.monotonic()
        sound(measured_of(server, hasty))
        assert time.monotonic() - begin < 4


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(JSON | st.fixed_dictionaries({"v": JSON, "d": JSON, "n": JSON, "password": st.just(SECRET)}))
def test_whatever_a_document_holds_no_metric_passes_without_a_number(document: t.Any) -> None:
    body = json.dumps(document).encode()
    with Server(sends(answer(body))) as server:
        sound(measured_of(server, server))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["v", 'v{a="b"}', "d", "n", "x", "v{"]), st.floats() | st.integers() | st.text(max_size=5)), max_size=8
    )
)
def test_whatever_a_page_of_metrics_holds_is_judged_or_unknown(samples: list[tuple[str, t.Any]]) -> None:
    body = "".join(f"{name} {value}\n" for name, value in samples).encode("utf-8", "replace")
    with Server(sends(answer(body))) as server:
        sound(measured_of(server, server))
