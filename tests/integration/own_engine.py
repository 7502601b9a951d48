# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker Engine that a test may restart, beside the one that all share, with one small image."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.debian_packages import program
from tools.engine import with_compose
from tools.own_engine import OwnEngine

IMAGE = "sre-runbooks/busybox:static"


def busybox(cache: Path) -> Path:
    """A busybox that needs no library, from the Debian package busybox-static."""
    found = Path(program("busybox", "busybox-static", cache))
    unpacked = cache / "debian" / "busybox-static" / "bin" / "busybox"
    return unpacked if unpacked.is_file() else found


@contextmanager
def running_engine(cache: Path) -> Iterator[tuple[OwnEngine, dict[str, str]]]:
    """The engine with the image IMAGE (`/bin/busybox`), and the environment in which `docker` reaches it.

    Raises:
        NoEngine, NoPackage: None can be started here.
    """
    engine = OwnEngine()
    try:
        engine.start()
        environment = with_compose(engine.environment, cache / "docker")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name in ("bin/busybox", "bin/sh", "bin/sleep", "bin/true"):
                tar.add(busybox(cache), name)
        subprocess.run(["docker", "import", "-", IMAGE], input=archive.getvalue(), env=environment, capture_output=True, check=True)
        yield engine, environment
    finally:
        engine.end()
