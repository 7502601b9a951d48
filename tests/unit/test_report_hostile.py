# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a profile or another module hands over, a report is made or refused with a reason; it never breaks, and never leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.reports import KINDS, Page, make, remember

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError

KEYS = [
    "name", "title", "verdict", "reason", "value", "unit", "type", "component", "latency_ms", "results", "metrics", "alerts", "history",
    "labels", "annotations", "severity", "state", "status", "starts_at", "last_fired_at", "backup_sets", "store", "damage", "size_bytes",
    "consistent_at", "answers", "logs", "lines", "levels", "errors", "problem", "numbers", "groups", "count", "percentiles", "highest",
    "at", "text", "check", "metric", "objective", "better", "window_days", "limit", "respond_within_s", "escalate_after_s", "severities",
    "phone", "after_s", "contact", "pattern", "last", "since_s", "used_by", "numeric_field", "above", "path", "log", "fail_above", "rpo_s",
    "complete", "since", "groups_all", "measure",
]  # fmt: skip
WORDS = [
    "api",
    "disk",
    "latency_p95",
    "pass",
    "fail",
    "unknown",
    "ms",
    "ratio",
    "percent",
    "morning_check",
    "security",
    "json",
    "critical",
    "active",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.integers(-5, 5000)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*WORDS, "2026-11-18T12:00:00Z", "<script>", "\ud800", "\0", "password=swordfish-42"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6), max_leaves=25
)
DICTIONARY = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8)
DICTIONARIES = st.lists(DICTIONARY, max_size=4)
LISTS = ("checks", "metrics", "objectives", "stores", "contacts", "escalation_levels", "capacity", "log_questions", "log_sources")
RESULTS = ("health", "metric_results", "logs", "alerts", "backups", "severity")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "state"
    remember(folder, days=4, every_s=7200)
    return folder


def nested(name: str, key: str) -> Any:
    """A result that has the right outside: what is in it is odd."""
    return st.fixed_dictionaries({key: st.lists(DICTIONARY, max_size=4)}).map(lambda value: {name: value})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(KINDS),
    st.fixed_dictionaries({}, optional={**dict.fromkeys(LISTS, DICTIONARIES), **dict.fromkeys(RESULTS, DICTIONARY)}),
    st.one_of(
        nested("health", "results"), nested("metric_results", "metrics"), nested("logs", "answers"), nested("logs", "logs"),
        nested("alerts", "alerts"), nested("alerts", "history"), nested("backups", "backup_sets"),
    ),
)  # fmt: skip
def test_anything_gives_a_report_or_a_reason(state: Path, kind: str, options: dict[str, Any], odd: dict[str, Any]) -> None:
    try:
        made = make(state, kind, **{**options, **odd, "secrets": ["swordfish-42"]})
    except RunbookError:
        return
    html = Path(made["html"]).read_text(encoding="utf-8")
    assert "script" not in Page(html).tags
    assert made["verdict"] in {"pass", "warn", "fail", "unknown"}
    assert "swordfish-42" not in html + Path(made["markdown"]).read_text() + Path(made["json"]).read_text() + str(made)
