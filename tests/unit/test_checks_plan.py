# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of checks: what is wrong with it is said at once and before anything is asked."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.catalogue import TYPES
from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import COMMON, plan
from ansible_collections.sre.runbooks.plugins.module_utils.checks.redaction import is_secret_name
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput

GOOD = {"name": "a", "type": "http", "url": "http://127.0.0.1/"}


def mistakes(*raw: t.Any) -> list[str]:
    """The mistakes that the list is refused for."""
    with pytest.raises(BadInput) as caught:
        plan(raw)
    return list(caught.value.facts["mistakes"])


def test_all_mistakes_are_reported_in_one_message() -> None:
    found = mistakes(
        {"name": "a", "type": "htp"},
        {"name": "b", "type": "http", "urll": "http://127.0.0.1/"},
        {"name": "b", "type": "tcp", "host": "127.0.0.1", "port": 0, "depends_on": ["nobody"]},
        "text",
    )
    for part in (
        "check 'a': it has the unknown type 'htp'",
        "check 'b': unknown key 'urll' (did you mean 'url'?)",
        "missing required arguments: url",
        "port is not between 1 and 65535",
        "the name is used twice",
        "it depends on 'nobody', which is not in the list",
        "check number 4: it is not a dictionary",
    ):
        assert any(part in mistake for mistake in found), part


def test_an_empty_list_is_refused_because_it_proves_nothing() -> None:
    with pytest.raises(BadInput, match="proves nothing"):
        plan([])


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"url": "ftp://h/"}, "not of the form"),
        ({"url": "http://"}, "not of the form"),
        ({"url": "http://user:swordfish@h/"}, "has an account in it"),
        ({"url": "http://h:99999/"}, "http://h:99999/"),
        ({"url": "http://h/a b"}, "space or control character"),
        ({"url": "http://[::1/"}, "url"),
        ({"url": "http://h/\r\nX: y"}, "space or control character"),
        ({"headers": {"X": "a\r\nY: b"}}, "line break"),
        ({"headers": {"X Y": "a"}}, "not a valid name"),
        ({"headers": {"Content-Length": "1"}}, "set by the check itself"),
        ({"token": "a\nb"}, "line break"),
        ({"method": "get it"}, "not a method"),
        ({"status": []}, "status is empty"),
        ({"status": ["2x"]}, "neither a number"),
        ({"matches": ["("]}, "no regular expression"),
        ({"max_body_kb": 0}, "max_body_kb"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": "nan"}, "timeout_s"),
        ({"retries": 99}, "retries"),
        ({"weight": -1}, "weight"),
        ({"warn_latency_ms": 5, "fail_latency_ms": 4}, "never warn"),
        ({"warn_certificate_days": 5, "fail_certificate_days": 6}, "never warn"),
        ({"redirects": "same_host", "method": "POST"}, "GET and HEAD only"),
        ({"conditions": ["a"]}, "unknown key 'conditions'"),
        ({"depends_on": ["a"]}, "wait for each other"),
        ({"name": " "}, "name is empty"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused(keys: dict[str, t.Any], part: str) -> None:
    found = mistakes({**GOOD, **keys})
    assert any(part in mistake for mistake in found), found
    assert "swordfish" not in "".join(found)


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"conditions": ["a =="]}, "no JMESPath expression"),
        ({"conditions": [{"expression": "a"}]}, "the expression as `that`"),
        ({"conditions": [{"that": "a", "otherwise": "explode"}]}, "otherwise is fail or warn"),
        ({"conditions": [{"that": "a", "severity": "x"}]}, "unknown key 'severity'"),
        ({"conditions": [5]}, "a condition is"),
        ({"value": "a[", "warn_above": 1}, "value: "),
        ({"observe": {"x": "a["}}, "x: "),
        ({"warn_above": 1}, "thresholds need value"),
        ({"value": "a", "warn_above": 2, "fail_above": 1}, "never warn"),
        ({"value": "a", "warn_below": 1, "fail_below": 2}, "never warn"),
        ({"value": "a", "warn_above": "nan"}, "not a number"),
    ],
)
def test_bad_conditions_and_thresholds_are_refused(keys: dict[str, t.Any], part: str) -> None:
    found = mistakes({**GOOD, "type": "json", **keys})
    assert any(part in mistake for mistake in found), found


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"query": "\\! id"}, "query is not SQL"),
        ({"query": "  "}, "query is not SQL"),
        ({"pod": "p", "password": "x"}, "no password can be passed into a pod"),
        ({"pod": "p", "container": "c"}, "both a container and a pod"),
        ({"port": 70000}, "port is not between"),
        ({"ssl_mode": "maybe"}, "ssl_mode"),
    ],
)
def test_a_postgresql_check_that_makes_no_sense_is_refused(keys: dict[str, t.Any], part: str) -> None:
    found = mistakes({"name": "a", "type": "postgresql", **keys})
    assert any(part in mistake for mistake in found), found


def test_checks_that_wait_for_each_other_are_named() -> None:
    found = mistakes({**GOOD, "depends_on": "b"}, {**GOOD, "name": "b", "depends_on": ["c"]}, {**GOOD, "name": "c", "depends_on": ["a"]})
    assert found == ["checks 'a', 'b', 'c': they wait for each other (depends_on)"]


def test_values_from_templates_come_as_text_and_are_understood() -> None:
    (check,) = plan([{**GOOD, "timeout_s": "2.5", "retries": "3", "status": "200,204", "verify_tls": "no", "weight": "2"}])
    assert (check.timeout_s, check.retries, check.weight) == (2.5, 3, 2.0)
    assert check.question.options["status"] == ["200", "204"]
    assert check.question.options["verify_tls"] is False


def test_what_a_check_leaves_out_is_taken_from_the_task() -> None:
    (check,) = plan([{**GOOD, "url": None, **GOOD}], timeout_s=7, retries=4)
    assert (check.timeout_s, check.attempt_timeout_s, check.retries) == (7, 7, 4)


def test_every_key_of_every_type_is_documented_by_the_module() -> None:
    import yaml

    from ansible_collections.sre.runbooks.plugins.modules import health_check

    documented = yaml.safe_load(health_check.DOCUMENTATION)["options"]["checks"]["suboptions"]
    known = {name for load in TYPES.values() for name in load().spec} | set(COMMON)
    assert set(documented) == known
    assert documented["type"]["choices"] == sorted(TYPES)


def test_every_secret_option_is_known_by_its_name() -> None:
    secret = {name for load in TYPES.values() for name, option in load().spec.items() if option.get("no_log")}
    assert {"password", "token"} <= secret
    assert all(is_secret_name(name) for name in secret)
