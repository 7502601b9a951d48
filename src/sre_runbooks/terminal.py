# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run as a person watches it: one line a step; long work on a line that is rewritten, or, in a log, now and then on a new one."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from .events import Event, Progress

_LOG_PROGRESS_EVERY_S = 10.0
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Display:
    """Shows events on a stream; give `Display.show` as `on_event`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rewrites = stream.isatty()
        self._start = time.monotonic()
        self._next_progress = 0.0
        self._said = ("", "")
        self._broken = False

    def show(self, event: Event) -> None:
        """Show one event."""
        if event.kind == "task":
            self._passing(event.task)
        elif event.kind == "progress" and event.progress is not None:
            self._progress(event.progress)
        elif event.kind == "host" and event.status != "skipped":
            took = f", {event.duration_s:.1f} s" if event.duration_s is not None else ""
            self.line(f"{event.status:<11} {event.task} ({event.host}{took})")
        elif event.kind == "retry":
            self._passing(f"{event.task} ({event.host}): trying again")
        elif event.kind == "warning":
            self.line(f"{'warning':<11} {event.message}")

    def line(self, text: str) -> None:
        """Show a line that stays, with the time since the start before it."""
        self._write(f"{self._clear}{self._clock}  {text}\n")

    def end(self) -> None:
        """Wipe what was only passing."""
        self._write(self._clear)

    def _progress(self, progress: Progress) -> None:
        said = (progress.work, progress.step)
        now = time.monotonic()
        if not self._rewrites and said == self._said and now < self._next_progress:
            return
        self._said, self._next_progress = said, now + _LOG_PROGRESS_EVERY_S
        text = describe(progress)
        if self._rewrites:
            self._passing(text)
        else:
            self.line(f"{'':<11} {text}")

    def _passing(self, text: str) -> None:
        if self._rewrites:
            width = shutil.get_terminal_size().columns
            self._write(f"{self._clear}{self._clock}  {'...':<11} {text}"[: width + len(self._clear) - 1])

    @property
    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        return f"{minutes:3d}:{seconds:02d}"

    @property
    def _clear(self) -> str:
        return "\r\x1b[K" if self._rewrites else ""

    def _write(self, text: str) -> None:
        # A reader that went away must not end the run.
        if self._broken or not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._broken = True


def describe(progress: Progress) -> str:
    """Progress as a line: "Dumping reference: orders, 120.0 of 300.0 MB (40 %)"."""
    text = f"{progress.work}: {progress.step}"
    if progress.done is None:
        return text
    amount = _amount(progress.done, progress.unit)
    if progress.total is not None:
        amount = f"{amount} of {_amount(progress.total, progress.unit)}"
    share = f" ({progress.fraction:.0%})" if progress.fraction is not None else ""
    return f"{text}, {amount}{share}"


def _amount(value: float, unit: str) -> str:
    if unit != "bytes":
        return f"{value:g} {unit}".rstrip()
    number = 0
    while value >= 1000 and number < len(_UNITS) - 1:
        value, number = value / 1000, number + 1
    return f"{value:.{1 if number else 0}f} {_UNITS[number]}"
