# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Runs the driver: starts it, reads what it measures, and sees to it that it ends, whatever happens to us."""

from __future__ import annotations

import json
import os
import selectors
import tempfile
import time
import typing as t

from ..command import Command, end
from ..errors import CommandFailed, DeadlineExceeded, RunbookError, ToolMissing
from ..process_tree import start_of
from . import driver
from .figures import Ended
from .plan import Plan

START_UP_S = 30.0
"""How long Locust may take to be loaded, on a busy machine; 0.5 s on a quiet one."""
_GRACE_S = 5.0
_LOOK_EVERY_S = 0.25
_ANSIBLE = ("ansible", "sshd")


def send(plan: Plan, python: str) -> t.List[Ended]:
    """Send the requests of the plan, and return how each ended, in the order of their ends.

    Args:
        plan: What to send.
        python: Interpreter for which Locust is installed.

    Raises:
        ToolMissing: The interpreter or Locust is not there.
        DeadlineExceeded: The driver did not end by itself and was ended.
        CommandFailed: It broke down.
        RunbookError: The run that wanted the test has ended, so the test was ended, too.
    """
    with tempfile.TemporaryDirectory(prefix="load-test-") as folder:
        program = os.path.join(folder, "driver.py")
        with open(program, "w", encoding="utf-8") as stream:
            stream.write(_source())
        said_file = os.path.join(folder, "said")
        # -I: neither the working folder nor the environment may put modules before Locust's own.
        command = Command([python, "-I", program], folder=folder, without=("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"))
        with open(said_file, "wb") as said:
            process = command.start(stdin=-1, stderr=said)
        try:
            lines = _watch(process, json.dumps(plan.for_driver()).encode(), plan.duration_s)
            status = process.wait()
        finally:
            end(process)
        with open(said_file, encoding="utf-8", errors="replace") as words:
            told = words.read()[-4000:]
    if status == driver.NO_LOCUST:
        raise ToolMissing(
            "Load tests are made with Locust, which is missing",
            where=python,
            why=told.strip(),
            next_step=f"install it ({python} -m pip install locust), or name another interpreter in load_test_python; nothing was sent",
            facts={"tool": "locust"},
        )
    if status != 0:
        raise command.failure(status, told)
    return _parsed(lines)


def _watch(process: t.Any, plan: bytes, duration_s: float) -> bytes:
    """Hand the plan over and collect the lines until the driver closes its output."""
    limit = time.monotonic() + START_UP_S + duration_s + _GRACE_S
    parents = _parents()
    read = bytearray()
    try:
        process.stdin.write(plan)
        process.stdin.close()
    except BrokenPipeError:
        return b""  # its exit status tells
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if time.monotonic() > limit:
                raise DeadlineExceeded(
                    "The load generator did not end by itself",
                    why=f"it was given {duration_s:g} s and {START_UP_S + _GRACE_S:g} s more",
                    next_step="look at the load of this host; the generator was ended",
                    changed=True,
                )
            if any(start_of(pid) != born for pid, born in parents.items()):
                raise RunbookError("The load test was ended", why="the run that asked for it has ended", changed=True)
            if not selector.select(_LOOK_EVERY_S):
                continue
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                return bytes(read)
            read += chunk


def _parents() -> t.Dict[int, str]:
    """The processes of Ansible (or of its ssh connection) above this one, each with its start.

    When a run is killed its workers live on (ansible-runner issue 973). Without somebody to read the result nothing should be sent.
    """
    found: t.Dict[int, str] = {}
    pid = os.getppid()
    while pid > 1:
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as stream:
                called = stream.read()
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
                parent = int(stream.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        if not any(word in called for word in _ANSIBLE):
            break
        found[pid] = start_of(pid)
        pid = parent
    return found


def _source() -> str:
    """The driver's own text, which on a managed host is inside the module's archive."""
    loader: t.Any = driver.__loader__
    text: t.Optional[str] = loader.get_source(driver.__name__)
    if not text:
        raise CommandFailed("The load generator's program cannot be read", where=driver.__name__, next_step="install the collection anew")
    return text


def _parsed(lines: bytes) -> t.List[Ended]:
    found = []
    for line in lines.decode("utf-8", "replace").splitlines():
        try:
            found.append(Ended(*json.loads(line)))
        except (TypeError, ValueError):
            continue  # the last line of a driver that was cut off
    return found
