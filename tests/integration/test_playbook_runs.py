# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests are told when a run does not end, or when what they wait for does not come."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.process_tree import start_of
from integration.playbook_runs import environment, finish, start
from tools.waiting import wait_until

WORK = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("begun", child.pid, flush=True)
time.sleep(60)
"""


def test_a_run_that_does_not_end_is_killed_with_what_it_has_started_and_its_output_is_told(tmp_path: Path) -> None:
    run = start([sys.executable, "-c", WORK], environment(tmp_path))
    with pytest.raises(AssertionError, match=r"not ended within 2 s: begun \d+") as caught:
        finish(run, 2)
    child = int(str(caught.value).split()[-1])
    wait_until("its child has ended", lambda: not start_of(child), 5)


def test_what_does_not_come_is_told_with_the_last_trouble_or_with_what_the_run_has_printed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"the file is there: not within 0\.1 s") as caught:
        wait_until("the file is there", lambda: (tmp_path / "file").read_text(), 0.1)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    run = start([sys.executable, "-c", "print('the pump is dry')"], environment(tmp_path))
    with pytest.raises(AssertionError, match="the pump is dry"):
        wait_until("the file is there", lambda: (tmp_path / "file").read_text(), 20, run=run)
