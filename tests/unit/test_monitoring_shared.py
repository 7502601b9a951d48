# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that share an Alertmanager's file: each writes its own part, and every other line stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from unit.monitoring_profile import profile

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.alertmanager import Routing, routing_of
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.profile import Profile
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.receivers import Transports
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.shared_alertmanager import merged, part_of

WAYS: dict[str, Any] = {
    "smtp_smarthost": "mail.example.com:587",
    "smtp_from": "alerts@example.com",
    "webhook_url": "http://127.0.0.1:9/bridge",
}
THEIRS = """\
# Ours, by hand.
global:
  resolve_timeout: 5m   # not longer
route:
  receiver: team   # default
  group_by: [alertname]
  routes:   # in this order
  - receiver: dba
    matchers: [team="dba"]

receivers:
- name: team
  webhook_configs:
  - url: http://127.0.0.1:9/
# those who know
- name: dba

templates: []
"""
NO_LISTS = "route:\n    receiver: team\nreceivers:\n    - name: team\n"
EMPTY_LISTS = "route:\n  routes: []\n  receiver: team\ninhibit_rules: []\nreceivers: # all\n  - name: team\n"


def part(service: str = "calendar_api", **changes: Any) -> Routing:
    """The part of a service."""
    routing = routing_of(Profile.of(profile(service_name=service, **changes)), Transports(**WAYS))
    return part_of(routing, service)


@pytest.mark.parametrize("theirs", [THEIRS, NO_LISTS, EMPTY_LISTS, ""])
def test_the_part_is_put_in_and_what_others_wrote_means_the_same_as_before(theirs: str) -> None:
    text = merged(theirs, part(), "calendar_api")
    content, before = yaml.safe_load(text), yaml.safe_load(theirs) or {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    own = content["route"]["routes"].pop(0)
    assert own["matchers"] == ['service="calendar_api"'] and own["receiver"].startswith("calendar_api-")
    names = [one["name"] for one in content["receivers"]]
    assert len(names) == len(set(names)) and {one["receiver"] for one in own["routes"]} <= set(names)
    for key in ("receivers", "inhibit_rules"):
        content[key] = [one for one in content.get(key) or [] if "calendar_api" not in str(one)]
    content["route"]["routes"] = content["route"]["routes"] or None
    assert without_nothing(content) == without_nothing(before)
    for line in theirs.splitlines():
        assert line in text.splitlines() or "[]" in line, "comments and layout stay"


def without_nothing(value: Any) -> Any:
    """Without keys that say nothing: `routes:` and `routes: []` are alike."""
    if isinstance(value, dict):
        return {key: without_nothing(item) for key, item in value.items() if item not in (None, [])}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


def test_a_second_run_changes_nothing_and_a_changed_profile_changes_its_own_part_only() -> None:
    first = merged(THEIRS, part("a"), "a")
    both = merged(first, part("b"), "b")
    assert merged(both, part("b"), "b") == both
    assert merged(both, part("a"), "a") == both, "also for the one that was there first"
    fewer = merged(both, part("a", notify_channels={"critical": ["email://a@example.com"]}), "a")
    assert yaml.safe_load(fewer)["receivers"] != yaml.safe_load(both)["receivers"]

    def of(text: str, service: str) -> list[str]:
        lines = text.splitlines()
        begin, end = lines.index(f"# BEGIN sre.runbooks {service} receivers"), lines.index(f"# END sre.runbooks {service} receivers")
        return lines[begin : end + 1]

    assert [line.strip() for line in of(fewer.replace("  #", "#"), "b")] == [line.strip() for line in of(both.replace("  #", "#"), "b")]


@given(st.permutations(["a", "b", "c", "a-b"]))
def test_services_come_and_go_in_any_order_without_touching_one_another(order: list[str]) -> None:
    text = THEIRS
    for service in order:
        text = merged(text, part(service), service)
    content = yaml.safe_load(text)
    matched = sorted(route["matchers"][0] for route in content["route"]["routes"])
    assert matched == sorted([*(f'service="{service}"' for service in order), 'team="dba"'])
    assert len({one["name"] for one in content["receivers"]}) == len(content["receivers"])


@pytest.mark.parametrize(
    "text",
    [
        "route: {receiver: team}\nreceivers:\n- name: team\n",
        "route:\n  receiver: team\n  routes: [{receiver: team}]\nreceivers:\n- name: team\n",
        "route:\n  receiver: team\nreceivers: [{name: team}]\n",
        "global:\n  resolve_timeout: 5m\n",
        "# BEGIN sre.runbooks calendar_api receivers\nroute:\n  receiver: a\n",
        "# END sre.runbooks calendar_api receivers\nroute:\n  receiver: a\n",
    ],
)
def test_a_file_that_a_part_cannot_be_put_into_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"cannot be put into|has no route|do not belong together"):
        merged(text, part(), "calendar_api")
