# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Steps that belong together, in a process that goes on when the run that asked for them is killed."""

from __future__ import annotations

import json
import os
import signal
import time
import typing as t

from .. import errors
from ..errors import RunbookError
from ..files import write_json


def in_own_session(work: t.Callable[[], None], outcome: str, *, what: str, where: str, next_step: str) -> float:
    """Run `work` in a process with a session of its own.

    Args:
        work: What belongs together; may raise RunbookError and OSError.
        outcome: File by which the process tells how it went, gone when it was read.
        what: What the work is, as the beginning of a sentence.
        where: What it is done to.
        next_step: What to do after a failure that left everything as it was.

    Returns:
        Seconds that the work took.

    Raises:
        RunbookError: What `work` raised; or, with `changed`, that the process died, and the next run has to complete its work.
    """
    child = os.fork()
    if child == 0:
        _work(work, outcome, what)
    os.waitpid(child, 0)
    try:
        with open(outcome, encoding="utf-8") as stream:
            told = json.load(stream)
        os.unlink(outcome)
    except (OSError, ValueError):
        raise RunbookError(
            f"{what} was interrupted", where=where, next_step="run the procedure again: it completes what was begun", changed=True
        ) from None
    if "seconds" in told:
        return float(told["seconds"])
    raise getattr(errors, told["kind"])(
        told["what"],
        where=told["where"],
        why=told["why"],
        next_step=told["next_step"] if told["changed"] else next_step,
        changed=told["changed"],
    )


def _work(work: t.Callable[[], None], outcome: str, what: str) -> t.NoReturn:
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a cancelled run may end around us, not in the middle of this
        began = time.monotonic()
        try:
            work()
            write_json(outcome, {"seconds": time.monotonic() - began})
        except OSError as error:
            _tell(outcome, RunbookError(f"{what} failed", where=str(error.filename or ""), why=str(error)))
        except RunbookError as error:
            _tell(outcome, error)
    finally:
        os._exit(0)


def _tell(outcome: str, error: RunbookError) -> None:
    names = ("kind", "what", "where", "why", "next_step", "changed")
    write_json(outcome, {name: getattr(error, name) for name in names})
