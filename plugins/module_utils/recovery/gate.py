# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The gate before a phase: somebody says go, in a variable, at a prompt, or by making a file. Silence is never a go."""

from __future__ import annotations

import os
import time
import typing as t

from ..errors import NotConfirmed
from .record import Recovery

ALL = "all"
GO, STOP = "go", "stop"
_LOOK_EVERY_S = 0.5


def confirmed_by(recovery: Recovery, phase: str, gates: t.Optional[t.Sequence[str]], confirmed: t.Sequence[str], answer: str) -> str:
    """What lets the phase begin, in words; empty when nothing does yet.

    Args:
        recovery: The recovery.
        phase: The phase that wants to begin.
        gates: Phases that have a gate; None for all.
        confirmed: Phases that were confirmed beforehand by a variable; `all` for every one.
        answer: What was typed at the prompt; empty when nobody was asked.

    Raises:
        BadInput: There is no such phase to have a gate.
        NotConfirmed: Somebody said no.
    """
    has_gate = gates is None or phase in [recovery.phase(name.strip())["name"] for name in gates]
    if os.path.exists(os.path.join(recovery.folder, STOP)):
        raise _refused(recovery, phase, f"the file {os.path.join(recovery.folder, STOP)} says so")
    typed = answer.strip().lower()
    if typed and typed != GO:
        raise _refused(recovery, phase, f"{answer.strip()[:40]!r} was typed, not {GO!r}")
    if typed == GO:
        return "typed at the prompt"
    if not has_gate:
        return "it has no gate"
    if {ALL, phase} & {name.strip() for name in confirmed}:
        return "confirmed beforehand"
    return f"the file {_go(recovery, phase)}" if os.path.exists(_go(recovery, phase)) else ""


def wait(
    recovery: Recovery, phase: str, gates: t.Optional[t.Sequence[str]], confirmed: t.Sequence[str], answer: str, wait_s: float
) -> t.Tuple[str, float]:
    """Wait until somebody says go. Returns what said it, and how many seconds that took.

    Raises:
        NotConfirmed: Somebody said no, or nobody said anything within `wait_s` seconds.
    """
    began = time.monotonic()
    while True:
        found = confirmed_by(recovery, phase, gates, confirmed, answer)
        waited = time.monotonic() - began
        if found:
            return found, waited
        if waited >= wait_s:
            break
        time.sleep(min(_LOOK_EVERY_S, wait_s - waited))
    said = f"within {wait_s:g} s" if wait_s else "yet"
    raise NotConfirmed(
        f"Nobody has confirmed the phase {phase} {said}",
        where=recovery.id,
        why="a recovery goes on to its next phase only when somebody says so",
        next_step=f"run it again with -e recovery_confirmed={phase}, or make the file {_go(recovery, phase)} and run it again; "
        "what is done is not done again",
        facts={"recovery": recovery.id, "phase": phase, "go_file": _go(recovery, phase)},
    )


def how_to(recovery: Recovery, phase: str) -> str:
    """What somebody has to do to let the phase begin, as a sentence."""
    return f"To go on to {phase}: touch {_go(recovery, phase)}. To stop: touch {os.path.join(recovery.folder, STOP)}"


def _go(recovery: Recovery, phase: str) -> str:
    return os.path.join(recovery.folder, f"go-{phase}")


def _refused(recovery: Recovery, phase: str, why: str) -> NotConfirmed:
    return NotConfirmed(
        f"The phase {phase} was not let through",
        where=recovery.id,
        why=why,
        next_step="find out why; then run the procedure again, it goes on at this phase",
        facts={"recovery": recovery.id, "phase": phase},
    )
