# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every test may ask for. The servers that a test needs are started in the conftest.py of its own folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# Tests may be started from anywhere and with an interpreter that is not on the PATH: Ansible and the tools that it starts by name
# must be those of this environment, and this collection must be found in this checkout.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(REPOSITORY / "collections")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root folder of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def cache(repository: Path) -> Path:
    """Folder for things that are dear to make and safe to lose."""
    folder = repository / ".cache"
    folder.mkdir(exist_ok=True)
    return folder
