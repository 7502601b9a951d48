# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a load test would send is decided, bounded and refused before the first request."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, NotConfirmed
from ansible_collections.sre.runbooks.plugins.module_utils.load.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.load.plan import LIMITS, plan, refuse_production

QUESTION = {"method": "POST", "path": "/chat", "headers": {"X-User-ID": "load-test"}, "body": {"message": "What?"}}


def options(**changed: t.Any) -> dict[str, t.Any]:
    """The module's options as Ansible would hand them over."""
    defaults = {name: option.get("default") for name, option in OPTIONS.items()}
    return {**defaults, "url": "http://127.0.0.1:1", "requests": [QUESTION], **changed}


def test_the_runbooks_load_test_is_one_request_a_hundred_times_ten_at_a_time() -> None:
    found = plan(options())
    assert (found.total, found.concurrency, found.rate_per_s) == (100, 10, 0)
    assert found.requests[0].headers == {"X-User-ID": "load-test", "Content-Type": "application/json"}
    assert json.loads(found.requests[0].body) == {"message": "What?"}
    assert found.requests[0].expected_status == (200,)


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_is_hard_at_both_ends(name: str) -> None:
    low, high = LIMITS[name]
    for wrong in (low - 1, high + 1):
        with pytest.raises(BadInput, match=f"{name} is"):
            plan(options(**{name: wrong}))


def test_more_requests_than_the_rate_can_send_in_time_are_refused_with_the_time_that_they_need() -> None:
    with pytest.raises(BadInput, match="need 50 s"):
        plan(options(total=100, rate_per_s=2.0, duration_s=40.0))
    assert plan(options(total=100, rate_per_s=2.0, duration_s=60.0)).scheduled_s == 50


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"path": "chat"}, "path begins with /"),
        ({"path": "/a b"}, "path begins with /"),
        ({"path": "/a#b"}, "path begins with /"),
        ({"method": "TRACE"}, "method is none of"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "line break"),
        ({"headers": {"X A": "1"}}, "no name of a header"),
        ({"headers": "X-A: 1"}, "headers is no dictionary"),
        ({"body": 7}, "body is a text"),
        ({"expected_status": [20]}, "expected_status"),
        ({"weight": 0}, "weight"),
        ({"weight": True}, "weight"),
        ({"url": "/"}, "unknown key 'url'"),
        ("GET /", "no dictionary"),
    ],
)
def test_a_request_that_makes_no_sense_is_named_and_nothing_is_sent(request_: t.Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        plan(options(requests=[QUESTION, request_]))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://127.0.0.1", "no http or https"),
        ("127.0.0.1:80", "no http or https"),
        ("http://me:secret@127.0.0.1", "credentials"),
        ("http://127.0.0.1/?a=b", "query"),
        ("http://[::1", "cannot be read"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(url: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        plan(options(url=url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        ({"metric": "p95", "fail_above": 1}, "metric is none of"),
        ({"metric": "error_rate"}, "neither warn_above"),
        ({"metric": "error_rate", "fail_above": "1"}, "not a number"),
        ({"metric": "error_rate", "warn_above": 0.2, "fail_above": 0.1}, "would never warn"),
        ({"metric": "error_rate", "fail_over": 1}, "unknown key"),
        (7, "no dictionary"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(threshold: t.Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        plan(options(thresholds=[threshold]))


def test_kinds_of_requests_take_turns_as_their_weights_say() -> None:
    found = plan(options(requests=[{"path": "/a", "weight": 3}, {"path": "/b"}], total=10))
    assert found.for_driver()["row"] == (0, 0, 0, 1)
    assert [request["count"] for request in found.shown()["requests"]] == [8, 2]


def test_production_is_refused_until_its_name_is_given() -> None:
    refuse_production("staging", "paralegal", "")
    refuse_production("production", "paralegal", "paralegal")
    for confirm in ("", "yes", "paralega", "PARALEGAL"):
        with pytest.raises(NotConfirmed, match="confirm=paralegal"):
            refuse_production("production", "paralegal", confirm)
    with pytest.raises(NotConfirmed):
        refuse_production("production", "", "")


def test_check_mode_tells_what_would_be_sent_and_no_secret() -> None:
    request = {**QUESTION, "headers": {"Authorization": "Bearer abc123secret", "X-User-ID": "load-test"}}
    said = operate(options(requests=[request], rate_per_s=20.0), True)
    assert "100 requests (POST http://127.0.0.1:1/chat), at most 10 at the same time, 20 a second (5 s)" in said["msg"]
    assert said["changed"]
    assert said["plan"]["requests"][0]["headers"]["X-User-ID"] == "load-test"
    assert "abc123secret" not in json.dumps(said)


def test_check_mode_refuses_what_the_real_run_would_refuse() -> None:
    with pytest.raises(NotConfirmed):
        operate(options(service_environment="production", service_name="paralegal"), True)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    requests=st.lists(st.dictionaries(st.sampled_from(["method", "path", "headers", "body", "expected_status", "weight", "x"]), anything))
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_requests_are_there_is_a_plan_or_one_clear_error(requests: list[t.Any]) -> None:
    try:
        found = plan(options(requests=requests))
    except BadInput:
        return
    assert json.dumps(found.for_driver())
    assert json.dumps(found.shown())
