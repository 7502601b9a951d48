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
from tools.image import SYSTEMD_OPTIONS, haproxy_image, postgresql_image, systemd_image
from tools.waiting import wait_until


class Docker:
    """A Docker Engine.

    Args:
        environment: Environment in which `docker` works.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    @property
    def reach(self) -> dict[str, str]:
        """The variables of its environment by which `docker` finds the engine."""
        return {name: value for name, value in self.environment.items() if name.startswith("DOCKER_")}

    def __call__(self, *arguments: str, folder: Path | None = None) -> str:
        """What `docker` prints, run with these arguments."""
        done = subprocess.run(["docker", *arguments], env=self.environment, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    @staticmethod
    def name(what: str) -> str:
        """A name for something of this process; other tests work in the same engine."""
        return f"sre-runbooks-{what}-{os.getpid()}"

    def begin_systemd(self, name: str, *options: str) -> None:
        """Start a container without network in which systemd is process 1; `await_systemd` waits for it."""
        self("run", "--detach", "--name", name, "--network=none", *SYSTEMD_OPTIONS, *options, self.systemd_image, "/lib/systemd/systemd")

    def await_systemd(self, name: str) -> None:
        """Wait until systemd is up; the test is skipped where it does not come up in a container within a minute."""
        asked = ["docker", "exec", name, "systemctl", "is-system-running"]

        def is_up() -> bool:
            said = subprocess.run(asked, env=self.environment, capture_output=True, text=True, check=False).stdout.strip()
            return said in ("running", "degraded")

        try:
            wait_until("systemd is up", is_up, 60, every_s=0.2)
        except AssertionError:
            pytest.skip(f"systemd does not start in a container here: {self('logs', name)[-300:]}")

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
