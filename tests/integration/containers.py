# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker Engine as tests call it; the fixture `docker` gives it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pytest

from tools.engine import NoEngine
from tools.image import haproxy_image, postgresql_image, systemd_image


class Docker:
    """A Docker Engine.

    Args:
        environment: Environment in which `docker` works.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __call__(self, *arguments: str, folder: Path | None = None) -> str:
        """What `docker` prints, run with these arguments."""
        done = subprocess.run(["docker", *arguments], env=self.environment, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    @staticmethod
    def name(what: str) -> str:
        """A name for something of this process; other tests work in the same engine."""
        return f"sre-runbooks-{what}-{os.getpid()}"

    def _made(self, make: Callable[[dict[str, str]], str]) -> str:
        try:
            return make(self.environment)
        except NoEngine as error:
            pytest.skip(str(error))

    @cached_property
    def image(self) -> str:
        """An image with Python and PostgreSQL."""
        return self._made(postgresql_image)

    @cached_property
    def systemd_image(self) -> str:
        """An image with systemd."""
        return self._made(systemd_image)

    @cached_property
    def haproxy_image(self) -> str:
        """An image with HAProxy."""
        return self._made(haproxy_image)
