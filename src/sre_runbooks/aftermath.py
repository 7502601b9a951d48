# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left to do when a run was ended from outside: its record must not say for ever that it goes on."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .record import STATE_VARIABLE

_TIME_LIMIT_S = 60
_log = logging.getLogger(__name__)


def close_record(folder: Path, environment: Mapping[str, str]) -> None:
    """Have the collection mark the run that was ended as abandoned and free its leases, as the next run would do.

    Where that fails the record stays as it is, and the next run does it.

    Args:
        folder: The record's folder, `<state folder>/runs/<run id>`.
        environment: The variables by which Ansible finds the collection.
    """
    variables = {**os.environ, **environment, STATE_VARIABLE: str(folder.parent.parent)}
    program = shutil.which("ansible", path=variables.get("PATH")) or "ansible"
    module = ["--module-name", "sre.runbooks.procedure_run", "--args", "operation=clean_up"]
    argv = [program, "localhost", "--connection", "local", "--inventory", "localhost,", *module]
    try:
        done = subprocess.run(argv, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIME_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("The record in %s could not be closed: %s", folder, error)
        return
    if done.returncode != 0:
        _log.warning("The record in %s could not be closed: %s", folder, (done.stdout or done.stderr).strip())
