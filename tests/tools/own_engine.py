# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker Engine that a test has for itself, beside the one that all share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tools.engine import START_DEADLINE_S, STOP_DEADLINE_S, NoEngine, install_engine

_RESTART = """#!/bin/sh
# Ends the engine, starts it again, and waits until it answers or has ended, as systemd does.
cd {folder} || exit 1
if [ -e docker.pid ]; then
    kill "$(cat docker.pid)"
    while [ -e docker.pid ]; do sleep 0.05; done
fi
setsid unshare --net dockerd --config-file={folder}/daemon.json {options} $(cat flags) >>dockerd.log 2>&1 &
while kill -0 $! 2>/dev/null; do
    docker version >/dev/null 2>&1 && exit 0
    sleep 0.1
done
tail -n 1 dockerd.log >&2
exit 1
"""


class OwnEngine:
    """An engine that a test has for itself and may restart. It shares nothing with others.

    Its network is a namespace of its own: an engine without a bridge removes docker0 where it starts (daemon_unix.go), whoever made it.

    Attributes:
        folder: Everything of it.
        config: Its configuration file, which it reads when it starts.
        flags: Further options of its command line, for its next start.
        restart_command: Restarts it, and fails where it does not start.
        environment: Environment in which `docker` reaches it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-engine-"))
        self.config, self.flags = self.folder / "daemon.json", self.folder / "flags"
        self.config.write_text("{}\n", encoding="utf-8")
        self.flags.write_text("", encoding="utf-8")
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{self.folder}/docker.sock"}
        places = {"host": f"unix://{self.folder}/docker.sock", "data-root": "data", "exec-root": "exec", "pidfile": "docker.pid"}
        options = [f"--{name}={where if ':' in where else self.folder / where}" for name, where in places.items()]
        script = self.folder / "restart"
        script.write_text(
            _RESTART.format(folder=self.folder, options=" ".join([*options, "--bridge=none", "--iptables=false"])), encoding="utf-8"
        )
        script.chmod(0o755)
        self.restart_command = [str(script)]

    def start(self) -> None:
        """Start it.

        Raises:
            NoEngine: It does not start here.
        """
        if os.geteuid() != 0:
            raise NoEngine("only root may start a Docker Engine")
        install_engine()
        done = subprocess.run(
            self.restart_command, env=self.environment, capture_output=True, text=True, timeout=START_DEADLINE_S, check=False
        )
        if done.returncode != 0:
            raise NoEngine(f"dockerd does not start here: {done.stderr.strip()[-500:]}")

    @property
    def pid(self) -> int:
        """Its process; 0 when it does not run."""
        try:
            return int((self.folder / "docker.pid").read_text())
        except (OSError, ValueError):
            return 0

    def stop(self) -> None:
        """End it, and its containers with it."""
        pid = self.pid
        if pid:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_DEADLINE_S
            while Path(f"/proc/{pid}/exe").exists() and time.monotonic() < deadline:
                time.sleep(0.05)

    def end(self) -> None:
        """End it at once with its containers, and remove what it has left."""
        if self.pid:
            docker = ["docker", "ps", "--quiet"]
            running = subprocess.run(docker, env=self.environment, capture_output=True, text=True, check=False).stdout.split()
            if running:
                subprocess.run(["docker", "kill", *running], env=self.environment, capture_output=True, check=False)
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
