# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controlling processes for tests: one that is only described, and one that has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from ansible_collections.sre.runbooks.plugins.module_utils.controller import Controller, Machine

HOST = Machine("control1", "0123", "boot-a", "pid:[4026531836]")


def controller(machine: Machine = HOST, pid: int = 4242, started: int = 777) -> Controller:
    return Controller(machine, pid, started, "anna")


def dead_process() -> Controller:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return replace(Controller.of(os.getpid()), pid=process.pid)
