# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status page in a real browser, on a desk and on a phone, in the light and in the dark."""

from __future__ import annotations

import os
import signal
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from integration.browser import running_browser, watched, width_px
from integration.status_pages import Service

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\x1b[31m red \x1b[0m token=abc123secret"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

CONTRAST = """() => {
  const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
  const channel = (value) => value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const color = rgb(getComputedStyle(element).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('main *')) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!says || !element.checkVisibility() || element.closest('svg') || parseFloat(getComputedStyle(element).opacity) < 1) continue;
    const both = [luminance(rgb(getComputedStyle(element).color)), luminance(ground(element))].sort((one, other) => other - one);
    const ratio = (both[0] + 0.05) / (both[1] + 0.05);
    if (ratio < 4.5) found.push(`${element.className || element.tagName}: ${element.textContent.trim().slice(0, 40)} ${ratio.toFixed(2)}`);
  }
  return found;
}"""
"""Texts whose contrast with their ground is less than 4.5 to 1."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("page"))
    for number in range(40, 0, -1):
        made.record(number * 300 + 5, {"database": "fail"} if 20 < number < 24 else {})
    made.record(5, {"latency_p95": "warn"}, severity="P3", score=0.9)
    for number in range(30):
        made.write({"timestamp": f"2026-11-21T15:00:{number:02d}Z", "level": "info", "message": f"POST /chat {number}"})
    with made:
        yield made


@pytest.fixture
def view(browser: Browser, service: Service, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page as it was loaded; what the browser complains about fails the test."""
    terms: dict[str, t.Any] = {"viewport": DESK, **getattr(request, "param", {})}
    with watched(browser, service.url, **terms) as one:
        yield one.page
        assert not [url for url in one.requests if not url.startswith(service.url)]
        assert not one.complaints


def test_the_overview_says_how_the_service_is_and_how_old_that_is(view: Page) -> None:
    state = view.locator("#state")
    expect(state).to_contain_text("Works, with warnings")
    expect(state).to_contain_text("P3")
    expect(state.locator(".score")).to_contain_text("100 %")
    expect(state.locator(".top .age")).to_contain_text("old")
    expect(view.locator("#alerts")).to_contain_text("latency_p95 is not well")
    assert "Wrapper integration" in view.title()


def test_each_component_has_its_section_with_checks_metrics_and_availability(view: Page) -> None:
    view.locator(".cards a", has_text="PostgreSQL").click()
    section = view.locator("#components")
    expect(section).to_contain_text("Database answers")
    expect(section).to_contain_text("41 %")
    expect(section).to_contain_text("92.7 % over 24 hours (41 answers); 99.9 % is promised")
    assert view.evaluate("document.querySelector('#component-1').getBoundingClientRect().top") < 400


def test_charts_are_drawn_over_the_window_that_is_chosen(view: Page) -> None:
    charts = view.locator("#charts")
    expect(charts.locator("figure")).to_have_count(7)
    expect(charts).to_contain_text("How long the checks' answers took")
    assert charts.locator("rect.fail").count() == 1
    view.locator(".windows a", has_text="1 hour").click()
    expect(view.locator(".windows b")).to_have_text("1 hour")
    assert view.locator("#charts rect.fail").count() == 0
    # Labels stand where the style sheet's classes put them: one above the other, not all in one place.
    boxes = [label.bounding_box() for label in view.locator("#charts figure .plot .y").all()[:3]]
    heights = {round(box["y"]) for box in boxes if box}
    assert len(heights) == 3


def test_log_lines_arrive_live_and_hostile_ones_stay_text(view: Page, service: Service) -> None:
    expect(view.locator("#stream")).to_have_text("live")
    expect(view.locator("#lines")).to_contain_text("POST /chat 29")
    mark = f"arrived at {time.time()}"
    service.write({"level": "error", "message": mark})
    expect(view.locator("#lines li.ERROR", has_text=mark)).to_be_visible(timeout=3000)
    service.write(HOSTILE)
    line = view.locator("#lines li", has_text="red").last
    expect(line).to_contain_text("<script>document.title='taken'</script>", timeout=3000)
    assert "abc123secret" not in view.content()
    assert "\x1b" not in view.content()
    assert "taken" not in view.title()
    assert view.locator("#lines img, #lines script").count() == 0


def test_the_page_renews_itself_and_keeps_what_is_open(view: Page, service: Service) -> None:
    # The list of numbers below the first chart was opened; a new state must not fold it.
    view.clock.install()
    view.goto(service.url)
    view.locator("#charts details").first.evaluate("element => { element.id = 'mine'; element.open = true; }")
    service.record(0, {"database": "fail"}, severity="P1", score=0.5)
    time.sleep(2.1)
    view.clock.run_for(16_000)
    expect(view.locator("#state")).to_contain_text("Something has failed", timeout=5000)
    expect(view.locator("#alerts")).to_contain_text("database is not well")
    service.record(0, {"latency_p95": "warn"}, severity="P3", score=0.9)


@pytest.mark.parametrize(
    "view", [{"viewport": PHONE, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}], indirect=True, ids=["phone"]
)
def test_on_a_phone_nothing_is_cut_off_and_everything_can_be_hit(view: Page) -> None:
    assert width_px(view) <= PHONE["width"]
    for link in view.locator(".tabs button, .windows a").all():
        box = link.bounding_box()
        assert box
        assert box["height"] >= 30
    sizes = view.evaluate("[...document.querySelectorAll('main *')].map(e => parseFloat(getComputedStyle(e).fontSize))")
    assert min(sizes) >= 11
    top = view.locator("#state .top").bounding_box()
    header = view.locator("header.mast").bounding_box()
    assert top
    assert header
    assert top["y"] >= header["y"] + header["height"]


@pytest.mark.parametrize("view", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True, ids=["dark", "light"])
def test_text_can_be_read_in_the_light_and_in_the_dark(view: Page) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), of what is read on the page's ground and on its cards."""
    assert view.evaluate(CONTRAST) == []


def test_a_page_that_has_lost_its_server_says_so_and_shows_nothing_green(browser: Browser, tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.record()
    pid = service.operate()["pid"]
    page = browser.new_page()
    page.clock.install()
    page.goto(service.url)
    expect(page.locator("#lost")).to_be_hidden()
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    page.clock.run_for(16_000)
    expect(page.locator("#lost")).to_be_visible(timeout=5000)
    expect(page.locator("#lost")).to_contain_text("No connection to this page since")
    assert "grayscale(1)" in page.locator("#state").evaluate("element => getComputedStyle(element).filter")
    service.operate()
    page.clock.run_for(16_000)
    expect(page.locator("#lost")).to_be_hidden(timeout=5000)
    page.close()
    service.operate("stopped")


def test_without_scripts_the_page_tells_the_same(browser: Browser, service: Service) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(service.url)
    expect(page.locator("#state")).to_contain_text("old")
    expect(page.locator("#lines")).to_contain_text("POST /chat 29")
    context.close()


def test_the_password_is_asked_for_once_and_serves_the_live_lines_too(browser: Browser, tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.record()
    service.write("hello")
    service.operate(password="correct horse battery")
    try:
        assert service.ask()[0] == 401
        context = browser.new_context(http_credentials={"username": "sre", "password": "correct horse battery"})
        page = context.new_page()
        page.goto(service.url)
        expect(page.locator("#stream")).to_have_text("live")
        expect(page.locator("#lines")).to_contain_text("hello")
        context.close()
    finally:
        service.operate("stopped")
