# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports: readable, complete, self-contained, and never markup from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.run_report import as_html, as_markdown, duration, headline, measured, size

HOSTILE = "<script>alert(1)</script>\"'&`|*_[x](http://evil)\n# heading"
VOID = {"meta", "br", "!doctype"}
CLOSED_BY_THE_NEXT = {"th"}


def record(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "format": "sre.runbooks/run/1",
        "run_id": "RUN-20260301T031500Z-restore-5f3a",
        "procedure": "restore",
        "title": "Restore a database",
        "profile": "paralegal",
        "target": "reference",
        "resources": ["postgresql:reference"],
        "reason": "rows were deleted",
        "status": "succeeded",
        "started_at": "2026-03-01T03:15:00.000Z",
        "finished_at": "2026-03-01T03:16:30.000Z",
        "duration_s": 90.0,
        "check_mode": False,
        "who": "anna@control1",
        "versions": {"ansible-core": "2.19.0"},
        "steps": [step("Dump", 20.0), step("Compare", 40.0, summary="7 tables are the same"), step("Swap", None, status="not reached")],
        "decisions": ["Took the newest proven set"],
        "measurements": {
            "rto_s": {"value": 12.25, "target": 3600, "unit": "s", "better": "lower", "met": True},
            "rpo_s": {"value": 7200, "target": 3600, "unit": "s", "better": "lower", "met": False},
        },
        "error": None,
        "diffs": [{"step": "Swap", "before": "old\nname", "after": {"name": "new"}}],
        "incident": None,
    }
    return {**content, **changes}


def step(name: str, duration_s: float | None, *, status: str = "ok", summary: str = "") -> dict[str, Any]:
    return {"name": name, "duration_s": duration_s, "changed": False, "status": status, "summary": summary, "facts": {}, "hosts": ["db1"]}


class Page(HTMLParser):
    """Tags, texts and attributes of a page; complains of tags that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID | CLOSED_BY_THE_NEXT:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("render", [as_markdown, as_html])
def test_a_report_shows_what_who_when_steps_decisions_and_measurements_beside_their_targets(render: Any) -> None:
    text = re.sub(r"<[^>]*>|\\", " ", render(record())).replace("  ", " ")
    for part in (
        "Restore a database: reference",
        "anna@control1",
        "2026-03-01 03:15:00 UTC",
        "Dump",
        "7 tables are the same",
        "not reached",
    ):
        assert part in text
    for part in ("12.2 s", "at most 1 h", "target met", "2 h", "target missed", "Took the newest proven set", "postgresql:reference"):
        assert part in text
    assert "succeeded in 1 min 30 s, but missed its target: RPO" in text


@pytest.mark.parametrize("field", ["title", "target", "reason", "who", "profile", "procedure", "run_id"])
def test_text_from_outside_cannot_become_markup(field: str) -> None:
    html = as_html(record(**{field: HOSTILE}))
    assert "script" not in Page(html).tags
    assert HOSTILE in "".join(Page(html).texts)
    markdown = as_markdown(record(**{field: HOSTILE}))
    assert "\n# heading" not in markdown
    assert "](http" not in markdown.replace("\\]", "").replace("\\[", "")
    assert "<script" not in markdown.replace("\\<", "")


def test_hostile_steps_decisions_errors_and_changes_are_escaped_too() -> None:
    hostile = record(
        steps=[step(HOSTILE, 1.0, summary=HOSTILE, status="failed")],
        decisions=[HOSTILE],
        error={"message": HOSTILE, "step": HOSTILE},
        diffs=[{"step": HOSTILE, "before": HOSTILE, "after": ""}],
        status="failed",
        measurements={HOSTILE: {"value": 1, "target": None, "unit": "", "better": "lower", "met": None}},
    )
    page = Page(as_html(hostile))
    assert "script" not in page.tags
    table = [line for line in as_markdown(hostile).splitlines() if line.startswith("| \\<script")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in table)
    assert len(table) == 2


def test_the_page_needs_nothing_from_elsewhere_and_fits_a_phone() -> None:
    page = Page(as_html(record()))
    assert not set(page.tags) & {"script", "link", "img", "iframe", "a"}
    assert not [name for name, _value in page.attributes if name in ("src", "href", "onload")]
    assert ("content", "width=device-width,initial-scale=1") in page.attributes
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    style = "".join(page.texts)
    assert "prefers-color-scheme:dark" in style
    assert "max-width:36rem" in style
    assert "url(" not in style


def test_bars_show_durations_in_proportion() -> None:
    widths = re.findall(r'class="bar" style="width:([\d.]+)%"', as_html(record()))
    assert widths == ["50.0", "100.0"]


@pytest.mark.parametrize("status", ["running", "succeeded", "failed", "abandoned"])
def test_every_status_and_an_empty_record_can_be_shown(status: str) -> None:
    empty = record(
        status=status,
        steps=[],
        decisions=[],
        measurements={},
        diffs=[],
        resources=[],
        finished_at=None,
        duration_s=None,
        target="",
        versions={},
    )
    assert Page(as_html(empty)).tags
    assert headline(empty) in as_markdown(empty).replace("\\", "")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (0, "0.00 s"),
        (0.254, "0.25 s"),
        (12.34, "12.3 s"),
        (59.99, "60.0 s"),
        (60, "1 min"),
        (83, "1 min 23 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_said_as_a_person_says_them(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1050, "1.05 kB"), (1_050_000_000, "1.05 GB"), (999_900, "1000 kB")]
)
def test_sizes_are_said_in_powers_of_a_thousand(count: int, said: str) -> None:
    assert size(count) == said


@given(st.floats(allow_nan=False, allow_infinity=False) | st.none(), st.sampled_from(["s", "ms", "bytes", "%", ""]))
def test_any_measurement_can_be_shown(value: float | None, unit: str) -> None:
    assert measured(value, unit)


@given(st.text())
def test_any_text_in_any_place_leaves_a_well_formed_page(text: str) -> None:
    page = Page(as_html(record(title=text, steps=[step(text, 1.0)], error={"message": text, "step": ""}, decisions=[text])))
    assert "script" not in page.tags
