# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports as pages: whole, self-contained, alike in all three forms, and never markup or a secret from outside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.reports import CHECKS, HOSTILE, KINDS, METRICS, Page, make, remember, result

from ansible_collections.sre.runbooks.plugins.module_utils.report import document as parts
from ansible_collections.sre.runbooks.plugins.module_utils.report.charts import as_svg
from ansible_collections.sre.runbooks.plugins.module_utils.report.html import as_html, as_index
from ansible_collections.sre.runbooks.plugins.module_utils.report.markdown import as_markdown

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SECRETS = ("swordfish-42", "bearer-77-value", "query-99-value")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "state"
    remember(folder)
    return folder


def read(made: dict[str, Any], form: str) -> str:
    return Path(made[form]).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_needs_nothing_else_and_forbids_itself_everything_but_its_style(kind: str, state: Path) -> None:
    html = read(make(state, kind), "html")
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(page.tags)
    assert ("content", POLICY) in page.attributes
    assert ("content", "width=device-width,initial-scale=1") in page.attributes
    links = {value for name, value in page.attributes if name in ("src", "href", "action", "data", "xlink:href")}
    assert links == {"index.html"}
    assert not [name for name, _value in page.attributes if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    for rule in ("prefers-color-scheme:dark", "max-width:36rem", "@media print"):
        assert rule in html


@pytest.mark.parametrize("kind", KINDS)
def test_page_markdown_and_json_have_the_same_figures(kind: str, state: Path) -> None:
    made = make(state, kind)
    report, html, markdown = json.loads(read(made, "json")), Page(read(made, "html")).text, read(made, "markdown").replace("\\", "")
    assert report["verdict"] == made["verdict"]
    for one in report["sections"]:
        assert one["title"] in html
        assert one["title"] in markdown
        for block in one["blocks"]:
            for row in block.get("rows", []) if block["type"] == "table" else []:
                for cell in row:
                    assert " ".join(cell["text"].split()) in html
                    assert " ".join(cell["text"].split()) in markdown
    for step in report["next_steps"]:
        assert step in html
        assert step in markdown


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_can_be_read_by_who_cannot_see_it(kind: str, state: Path) -> None:
    html = read(make(state, kind), "html")
    pictures = re.findall(r"<svg [^>]*>", html)
    for picture in pictures:
        named = re.search(r'aria-labelledby="([^"]+)"', picture)
        assert 'aria-hidden="true"' in picture or named
        for identity in named.group(1).split() if named else ():
            assert html.count(f'id="{identity}"') == 1
    for figure in re.findall(r'<figure>.*?class="plot".*?</figure>', html, re.DOTALL):
        assert "<table" in figure


@pytest.mark.parametrize("kind", KINDS)
def test_text_from_outside_cannot_become_markup(kind: str, state: Path) -> None:
    made = make(
        state,
        kind,
        title=HOSTILE,
        environment=HOSTILE,
        health={"results": [result({**CHECKS[0], "title": HOSTILE}, "fail", reason=HOSTILE)]},
        metric_results={"metrics": [result({**METRICS[0], "title": HOSTILE}, "warn", 5.0, HOSTILE)]},
        severity={"name": "P1", "title": HOSTILE, "reason": HOSTILE, "respond_within_s": 60, "escalation": HOSTILE},
        contacts=[{"name": HOSTILE, "phone": HOSTILE, "severities": ["P1"]}],
        alerts={"alerts": [{"labels": {"alertname": HOSTILE, "severity": HOSTILE}, "annotations": {"summary": HOSTILE}}]},
        objectives=[
            {"title": HOSTILE, "check": "api", "objective": 0.9},
            {"title": HOSTILE, "metric": "disk", "objective": 3, "unit": HOSTILE},
        ],
        checks=[{**CHECKS[0], "title": HOSTILE}],
        metrics=[{**METRICS[2], "title": HOSTILE, "component": HOSTILE}],
        stores=[{"name": HOSTILE}],
        backups={"backup_sets": [{"store": HOSTILE, "id": HOSTILE, "state": HOSTILE, "damage": [HOSTILE], "size_bytes": 3}]},
    )
    page = Page(read(made, "html"))
    assert not {"script", "img"} & set(page.tags)
    assert {value for name, value in page.attributes if name in ("src", "href")} == {"index.html"}
    markdown = read(made, "markdown")
    assert "\n# heading" not in markdown
    assert not re.search(r"(?<!\\)\]\(http", markdown)
    assert "<script" not in markdown.replace("\\<", "")
    assert "script" not in Page(Path(made["index"]).read_text()).tags


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_reaches_a_report(kind: str, state: Path) -> None:
    told = "the server said: password=swordfish-42 and Authorization: Bearer bearer-77-value at http://me:query-99-value@host/"
    made = make(
        state,
        kind,
        checks=[{**CHECKS[0], "password": "swordfish-42", "token": "bearer-77-value"}, CHECKS[1]],
        metrics=[{**METRICS[0], "url": "http://127.0.0.1/?token=query-99-value"}, *METRICS[1:]],
        health={"results": [result(CHECKS[0], "fail", reason=told)]},
        metric_results={"metrics": [result(METRICS[0], "unknown", reason="swordfish-42 query-99-value bearer-77-value")]},
        alerts={"alerts": [{"labels": {"alertname": "swordfish-42"}, "annotations": {"summary": told}}]},
        secrets=["query-99-value"],
    )
    written = "".join(read(made, form) for form in ("html", "markdown", "json", "index")) + str(made)
    assert not [secret for secret in SECRETS if secret in written]


def test_a_gap_is_not_drawn_as_a_line_and_a_lonely_reading_is_a_dot() -> None:
    points = [(0.0, 1.0), (300.0, 2.0), (600.0, 3.0), (9000.0, 4.0), (20_000.0, 5.0), (20_300.0, 5.0)]
    drawn = as_svg(parts.chart("x", "ms", [("x", points)], (0, 20_300), valid_s=900), "c")
    path = re.search(r'<path class="s s0" d="([^"]+)"', drawn)
    assert path
    assert path.group(1).count("M") == 3
    assert path.group(1).count("h0.01") == 1


def test_limits_are_drawn_with_their_words_where_they_are_near_and_left_out_where_not() -> None:
    near = as_svg(parts.chart("x", "ms", [("x", [(0.0, 10.0), (1.0, 90.0)])], (0, 1), limits=[(100.0, "fail above 100", "bad")]), "c")
    far = as_svg(parts.chart("x", "ms", [("x", [(0.0, 10.0), (1.0, 90.0)])], (0, 1), limits=[(1e6, "fail above", "bad")]), "c")
    assert "fail above 100" in near
    assert 'class="limit bad"' in near
    assert 'class="limit' not in far


def test_a_spike_of_one_reading_in_ten_thousand_is_still_seen() -> None:
    points = [(float(number), 5000.0 if number == 7777 else 10.0) for number in range(10_000)]
    drawn = as_svg(parts.chart("x", "ms", [("x", points)], (0, 10_000)), "c")
    path = re.search(r'<path class="s s0" d="([^"]+)"', drawn)
    assert path
    heights = [float(pair.split()[1].split("h")[0]) for pair in re.split("[ML]", path.group(1)) if pair]
    # The axis goes up to 6000.
    assert min(heights) == pytest.approx(50.0)
    assert len(heights) < 300


TEXT = st.text(max_size=40)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5).map(float)
CHART = st.builds(
    lambda title, unit, series, since, length, limits: parts.chart(
        title, unit, series, (since, since + length), about=title, limits=limits, valid_s=60
    ),
    TEXT,
    st.sampled_from(["ms", "s", "ratio", "percent", "bytes", "count", "per_second", "", "odd <unit>"]),
    st.lists(st.tuples(TEXT, st.lists(st.tuples(st.floats(0, 4e9), NUMBER), max_size=12).map(sorted)), max_size=7),
    st.floats(0, 4e9),
    st.floats(1, 1e8),
    st.lists(st.tuples(NUMBER, TEXT, st.sampled_from(["bad", "other"])), max_size=3),
)
BLOCK = (
    CHART
    | st.builds(parts.text, TEXT)
    | st.builds(parts.lines, TEXT, st.lists(TEXT, max_size=4))
    | st.builds(lambda rows: parts.table(("a", "b"), rows), st.lists(st.tuples(TEXT, TEXT), max_size=4))
    | st.builds(parts.counts, TEXT, st.dictionaries(st.sampled_from(["pass", "warn", "fail", "unknown"]), st.integers(0, 9)))
    | st.builds(lambda name, said: parts.strips(name, (0, 10), [{"name": name, "said": said, "pieces": [(1, 2, "fail")]}]), TEXT, TEXT)
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.builds(lambda title, blocks: parts.section(title, *blocks, verdict="pass"), TEXT, st.lists(BLOCK, max_size=3)), max_size=3),
    TEXT,
)
def test_any_text_and_any_number_in_any_place_leave_a_well_formed_page(sections: list[parts.Section], text: str) -> None:
    report = {
        "title": text, "service": {"name": text, "title": text}, "at": "2026-11-21T09:00:00.000Z", "verdict": "pass", "severity": None,
        "headline": text, "next_steps": [text], "facts": [{"name": text, "text": text}], "sections": sections, "footer": text,
    }  # fmt: skip
    page = Page(as_html(report))
    assert "script" not in page.tags
    assert "nan" not in "".join(value or "" for name, value in page.attributes if name in ("d", "x", "width"))
    assert as_markdown(report).endswith("\n")
    assert json.loads(json.dumps(sections, allow_nan=False)) is not None


@given(TEXT, TEXT)
def test_the_index_is_well_formed_whatever_the_reports_say(service: str, said: str) -> None:
    entry = {"file": "20261121T090000Z_morning_check", "title": said, "at": "2026-11-21T09:00:00.000Z", "verdict": "fail", "headline": said}
    page = Page(as_index(service, [entry]))
    assert "script" not in page.tags
    assert {value for name, value in page.attributes if name == "href"} == {f"{entry['file']}{end}" for end in (".html", ".md", ".json")}
