# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Many questions side by side under one deadline; one that fails takes nothing from the others."""

from __future__ import annotations

import queue
import threading
import time
import typing as t

from ..command import Command, Completed, run
from ..errors import RunbookError

T = t.TypeVar("T")
_MOST_SAID = 300


class Questions:
    """Questions to a host, answered within one deadline.

    Attributes:
        looked_at: What was answered.
        not_looked_at: What was not, and why.
    """

    def __init__(self, deadline_s: float) -> None:
        self._end = time.monotonic() + deadline_s
        self.looked_at: t.List[str] = []
        self.not_looked_at: t.List[str] = []

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._end - time.monotonic())

    def run(self, argv: t.Sequence[str], *, most_s: float = 10.0, check: bool = True, folder: str = "") -> Completed:
        """Run a program that only reads, for `most_s` seconds and within the deadline.

        Raises:
            RunbookError: It failed (only with `check`), is not there, or took too long.
        """
        return run(Command(argv, timeout_s=max(0.1, min(most_s, self.left_s)), folder=folder), check=check)

    def why_not(self, name: str) -> str:
        """The question with the reason why it has no answer; empty where it has one, or nobody asked."""
        return next((one for one in self.not_looked_at if one.startswith(f"{name}: ")), "")

    def ask(self, questions: t.Mapping[str, t.Callable[[], t.Any]]) -> t.Dict[str, t.Any]:
        """Answers by question; those that failed, or came too late, are not among them."""
        # Threads that nobody waits for: a look at a file system whose server is gone may never return.
        answers: "queue.Queue[t.Tuple[str, bool, t.Any]]" = queue.Queue()
        for name, question in questions.items():
            threading.Thread(target=_answer, args=(name, question, answers), daemon=True).start()
        found: t.Dict[str, t.Any] = {}
        waiting = list(questions)
        while waiting:
            try:
                name, told, value = answers.get(timeout=self.left_s + 0.5)
            except queue.Empty:
                self.not_looked_at += [f"{name}: no answer in time" for name in waiting]
                break
            waiting.remove(name)
            if told:
                found[name] = value
                self.looked_at.append(name)
            else:
                self.not_looked_at.append(f"{name}: {value}")
        return found


def _answer(name: str, question: t.Callable[[], t.Any], answers: "queue.Queue[t.Tuple[str, bool, t.Any]]") -> None:
    try:
        answers.put((name, True, question()))
    except RunbookError as error:
        told = f"{error.what}: {error.why}" if error.why else error.what
        answers.put((name, False, told[:_MOST_SAID]))
    except Exception as error:  # a surprise in one question must not take the other answers away
        answers.put((name, False, f"{type(error).__name__}: {error}"[:_MOST_SAID]))
