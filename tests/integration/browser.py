# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headless Chromium, driven over its debugging pipe (Chrome DevTools Protocol, --remote-debugging-pipe: JSON texts that end with NUL)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_ANSWER_S = 30.0
_STARTER = """
import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads commands from descriptor 3 and writes answers to descriptor 4."""


def program() -> str:
    """The installed browser; empty for none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), "")


class Browser:
    """One page in a browser without a window.

    Attributes:
        requests: Addresses that the page asked for, its own included.
        complaints: What the page's console and its content security policy said.
    """

    def __init__(self, process: subprocess.Popen[bytes], reads: int, writes: int) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._process, self._reads, self._writes = process, reads, writes
        self._buffer, self._number, self._session = b"", 0, ""
        self._loaded = False
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = str(self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._call(f"{domain}.enable")

    def open(self, address: str, width: int = 1100, *, dark: bool = False, phone: bool = False) -> None:
        """Load a page and wait until it is there. `phone` tells it of a touch screen with twice as many points."""
        metrics = {"width": width, "height": 844, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self.requests.clear()
        self.complaints.clear()
        self._loaded = False
        self._call("Page.navigate", url=address)
        deadline = time.monotonic() + _ANSWER_S
        while not self._loaded:
            self._event(deadline)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives; it is evaluated by the browser, whatever the page's policy says."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, file: Path) -> Path:
        """A picture of the whole page, however long it is."""
        shown = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shown["data"]))
        return file

    def printed(self, file: Path) -> Path:
        """The page as it is printed, as PDF (A4)."""
        shown = self._call("Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69)
        file.write_bytes(base64.b64decode(shown["data"]))
        return file

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        session = {"sessionId": self._session} if self._session else {}
        os.write(self._writes, json.dumps({"id": number, "method": method, "params": parameters, **session}).encode() + b"\0")
        deadline = time.monotonic() + _ANSWER_S
        while True:
            message = self._event(deadline)
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message.get('error')}"
                return dict(message["result"])

    def _event(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reads], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._reads, 1 << 20) if ready else b""
            assert data, "the browser does not answer"
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        method, told = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif method in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"}:
            self.complaints.append(json.dumps(told)[:500])
        return message


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser with a profile of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder:
        to_browser, from_us = os.pipe()
        to_us, from_browser = os.pipe()
        command = [
            program(), "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", f"--user-data-dir={folder}",
        ]  # fmt: skip

        starter = [sys.executable, "-c", _STARTER, str(to_browser), str(from_browser)]
        null = subprocess.DEVNULL
        process = subprocess.Popen([*starter, *command], pass_fds=(to_browser, from_browser), stdout=null, stderr=null)
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield Browser(process, to_us, from_us)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(to_us)
            os.close(from_us)
