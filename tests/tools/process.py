# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a tool of the test run: its output kept, its whole process group ended at the deadline."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which


@dataclass(frozen=True)
class Done:
    """A finished run: the exit status (-1 when the deadline ended it) and what it printed, both streams in order."""

    command: Sequence[str]
    returncode: int
    output: str

    def last_words(self, characters: int = 6000) -> str:
        """Return the end of the output under a line that names the command and its status."""
        status = "was ended at its deadline" if self.returncode == -1 else f"ended with {self.returncode}"
        return f"{' '.join(self.command)} {status}:\n{self.output[-characters:]}"


def with_venv(environment: Mapping[str, str], python: str) -> dict[str, str]:
    """Return `environment` with the programs beside that Python first on the PATH; tests/conftest.py does it for our own."""
    return {**environment, "PATH": f"{Path(python).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"}


def run_shown(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 280.0,
) -> Done:
    """Run `command` in `folder` to its end or the deadline and return what happened.

    Args:
        command: Program and arguments.
        folder: Working directory.
        environment: Whole environment; this process's own by default.
        timeout_s: Seconds after which the program and everything that it started is killed.
    """
    variables = {**(os.environ if environment is None else environment), "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    with subprocess.Popen(
        [which(command[0], path=variables.get("PATH")) or command[0], *command[1:]],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _nothing = process.communicate(timeout=timeout_s)
            return Done(command, process.returncode, output)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            output, _nothing = process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                return Done(command, -1, output)
            raise
