# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real browser for the tests of pages: the machine's own Chromium, or the one of its package sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .debian_packages import DEADLINE_S, NoPackage

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")
OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage"]
"""Root has no sandbox, and containers little shared memory; the tests' pages are our own."""


def chromium() -> str:
    """Path of Chromium; installed with apt-get where it is missing and that is possible, which is so on the machines of a test run.

    Raises:
        NoPackage: There is none, and it cannot be installed here.
    """
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    # Unlike programs written in Go it needs the libraries of its dependencies, so unpacking it alone would not do.
    if os.geteuid() != 0 or not shutil.which("apt-get") or not Path("/etc/debian_version").exists():
        raise NoPackage("Chromium is not installed; install it (apt-get install chromium), or run the tests as root on Debian")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
    for command in (["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", timeout=DEADLINE_S, check=False)
    found = shutil.which(NAMES[0])
    if done.returncode != 0 or not found:
        raise NoPackage(f"{' '.join(install)} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return found
