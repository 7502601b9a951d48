# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Long work says what it does and how far it is.

A module cannot print while it runs. It appends lines of JSON to the file that the environment variable
`SRE_RUNBOOKS_PROGRESS_FILE` names; the callback plugin `sre.runbooks.progress` shows them as they come. Without the
variable nothing is written.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

VARIABLE = "SRE_RUNBOOKS_PROGRESS_FILE"
Amount = t.Union[float, t.Callable[[], float], None]
_INTERVAL_S = 0.5


class Progress:
    """Reports of one piece of work.

    Attributes:
        work: What is being done, as a reader would say it ("Dumping reference").
    """

    def __init__(self, work: str, path: t.Optional[str] = None) -> None:
        self.work = work
        self._path = os.environ.get(VARIABLE, "") if path is None else path
        self._next = 0.0

    def say(self, step: str, done: Amount = None, total: t.Optional[float] = None, unit: str = "") -> None:
        """Report a step; repeated reports of a running step are thinned to two a second.

        Args:
            step: What is done now.
            done: How much of it is done, in `unit`; a function is only asked when its answer is due.
            total: How much there is in all, in `unit`; None when it is not known.
            unit: `bytes`, `tables`, `files`, ...
        """
        now = time.monotonic()
        finished = done is None or (not callable(done) and total is not None and done >= total)
        if not self._path or (not finished and now < self._next):
            return
        if callable(done):
            done = done()
        self._next = now + _INTERVAL_S
        self._write({"work": self.work, "step": step, "done": done, "total": total, "unit": unit, "time": time.time()})

    def show(self, line: str) -> None:
        """Show a line as it is, such as one of a log that is followed; none is left out."""
        if self._path:
            self._write({"line": line})

    def _write(self, report: t.Mapping[str, t.Any]) -> None:
        try:
            with open(self._path, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(report) + "\n")
        except OSError:
            self._path = ""
