# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until something is so."""

from __future__ import annotations

import http.client
import subprocess
import time
import typing as t
from collections.abc import Callable

Answer = t.TypeVar("Answer")


def wait_until(
    what: str | Callable[[], str],
    true: Callable[[], Answer | t.Literal[False] | None],
    timeout_s: float = 30,
    *,
    every_s: float = 0.02,
    run: subprocess.Popen[str] | None = None,
) -> Answer:
    """Ask until the answer is true, and return it. A server that does not answer yet, or a file that is not there yet, is no answer.

    Args:
        what: What is waited for, or what tells it when it has not come.
        true: The question.
        timeout_s: Seconds after which it is given up.
        every_s: Seconds between two questions: fewer for a moment that soon passes, more for a question that takes much work.
        run: A run that must go on meanwhile.

    Raises:
        AssertionError: It was not so in time, or the run has ended; then it holds what the run printed.
    """
    give_up, trouble = time.monotonic() + timeout_s, None
    while True:
        try:
            if answer := true():
                return answer
            trouble = None
        except (OSError, http.client.HTTPException) as error:
            trouble = error
        assert run is None or run.poll() is None, run.communicate()[0]
        if time.monotonic() > give_up:
            raise AssertionError(f"{what if isinstance(what, str) else what()}: not within {timeout_s:g} s") from trouble
        time.sleep(every_s)
