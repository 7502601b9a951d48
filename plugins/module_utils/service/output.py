# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a command prints, bounded: however much it is, the end of it is kept, without the service's secrets."""

from __future__ import annotations

import os
import threading
import typing as t

from ..checks.redaction import Redactor, is_secret_name

KEPT_BYTES = 64 * 1024
"""How much of the end of each stream is returned."""
CUT_NOTE = "Only the end of what it printed is kept"
NOT_RUN: t.Mapping[str, t.Any] = {"stdout": "", "stderr": "", "exit_status": None, "duration_s": None, "cut": False}
"""What `told_of` would say of a command that was not run."""
TIMED_OUT = (124, 137, 143)
"""Exit statuses of `timeout` (coreutils, busybox) when the time was up."""


class Kept:
    """The last bytes of what comes.

    Attributes:
        total: Bytes that came.
    """

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self.total, self._most, self._kept = 0, most, bytearray()

    def add(self, data: bytes) -> None:
        """Take what has come."""
        self.total += len(data)
        self._kept += data
        if len(self._kept) > 2 * self._most + 65536:
            del self._kept[: len(self._kept) - self._most]

    @property
    def cut(self) -> bool:
        """Whether more came than is kept."""
        return self.total > self._most

    def text(self, mask: Redactor) -> str:
        """What was kept, masked; from a whole line on where it was cut, as half a secret is not known as one."""
        kept = bytes(self._kept[-self._most :]) if self._most else b""
        if self.cut:
            first = kept.find(b"\n")
            kept = kept[first + 1 :] if 0 <= first < len(kept) - 1 else kept
        return mask.text(kept.decode(errors="replace"))


class Tail(Kept):
    """The last bytes of a stream, read to its end in a thread of its own, also when the process has ended and its side is closed."""

    def __init__(self, stream: t.IO[bytes], most: int = KEPT_BYTES) -> None:
        super().__init__(most)
        self._thread = threading.Thread(target=self._read, args=(os.dup(stream.fileno()),), daemon=True)
        self._thread.start()

    def _read(self, number: int) -> None:
        try:
            while True:
                block = os.read(number, 65536)
                if not block:
                    return
                self.add(block)
        except OSError:
            return
        finally:
            os.close(number)

    def text(self, mask: Redactor) -> str:
        """What was kept, once it has ended."""
        self._thread.join(2)
        return super().text(mask)


def told_of(out: Kept, err: Kept, mask: Redactor, status: t.Optional[int], took_s: float) -> t.Dict[str, t.Any]:
    """What results of modules that run a command say of it, whether it failed or not."""
    told = {"stdout": out.text(mask), "stderr": err.text(mask), "exit_status": status}
    return {**told, "duration_s": round(took_s, 3), "cut": out.cut or err.cut}


def mask_of(environment: t.Mapping[str, str]) -> Redactor:
    """Masks the values of the variables that are secret by their names, besides what looks like a secret."""
    return Redactor(value for name, value in environment.items() if is_secret_name(name) and len(value) > 1)
