# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real browser without a window, and pages in it whose every request and complaint is noted."""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tools.browser import OPTIONS, chromium
from tools.debian_packages import NoPackage

PHONE_PX, DESK_PX = 390, 1100
HEIGHT_PX = 844


class Watched(t.NamedTuple):
    """A page, the addresses that it asked for, and what its console and its security policy complained about."""

    page: Page
    requests: list[str]
    complaints: list[str]


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium; the test is skipped, with the reason, where it cannot be had."""
    try:
        program = chromium()
    except NoPackage as error:
        pytest.skip(str(error))
    with sync_playwright() as tools:
        started = tools.chromium.launch(executable_path=program, args=OPTIONS)
        try:
            yield started
        finally:
            started.close()


@contextlib.contextmanager
def watched(browser: Browser, address: str, **terms: t.Any) -> Iterator[Watched]:
    """The page at `address` in a context of its own; `terms` are those of Playwright's `new_context`."""
    context = browser.new_context(**terms)
    one = Watched(context.new_page(), [], [])
    one.page.on("console", lambda message: one.complaints.append(message.text) if message.type in {"error", "warning"} else None)
    one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
    one.page.on("request", lambda request: one.requests.append(request.url))
    one.page.goto(address)
    try:
        yield one
    finally:
        context.close()


def width_px(page: Page) -> int:
    """How wide the content is, in CSS pixels."""
    return int(page.evaluate("document.documentElement.scrollWidth"))
