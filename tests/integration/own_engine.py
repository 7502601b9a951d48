# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker Engine that a test may restart: beside the one that all share, without a network, with one small image."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.debian_packages import program
from tools.engine import NoEngine, with_compose

IMAGE = "sre-runbooks/busybox:static"
START_S = 60.0


class OwnEngine:
    """A daemon with its data, socket and processes in one folder, whose path must be short."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._daemon = folder, subprocess.Popen(["true"])
        self._daemon.wait()
        self.address = f"unix://{folder}/docker.sock"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            "dockerd",
            f"--host={self.address}",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/docker.pid",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
        ]
        with (self.folder / "dockerd.log").open("ab") as log:
            self._daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        give_up = time.monotonic() + START_S
        environment = {**os.environ, "DOCKER_HOST": self.address}
        while subprocess.run(["docker", "version"], env=environment, capture_output=True, check=False).returncode != 0:
            if self._daemon.poll() is not None or time.monotonic() > give_up:
                last = (self.folder / "dockerd.log").read_text(errors="replace").splitlines()[-3:]
                raise NoEngine("a second dockerd does not start here: " + " | ".join(last))
            time.sleep(0.1)

    def stop(self) -> None:
        """End it in order; its containers end with it."""
        if self._daemon.poll() is None:
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(30)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()


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
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        raise NoEngine("only root may start an engine, and its program dockerd must be installed")
    folder = Path(tempfile.mkdtemp(prefix="e-"))  # containerd's sockets lie deep in it
    engine = OwnEngine(folder)
    try:
        engine.start()
        environment = with_compose({**os.environ, "DOCKER_HOST": engine.address}, cache / "docker")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name in ("bin/busybox", "bin/sh", "bin/sleep", "bin/true"):
                tar.add(busybox(cache), name)
        subprocess.run(["docker", "import", "-", IMAGE], input=archive.getvalue(), env=environment, capture_output=True, check=True)
        yield engine, environment
    finally:
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)
