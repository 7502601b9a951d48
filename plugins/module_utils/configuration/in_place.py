# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A file in use that is replaced as a whole: its owner and mode stay, and nobody else's change is lost."""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t
from dataclasses import dataclass

from ..checks.redaction import Redactor
from ..errors import BadInput, RunbookError
from ..files import write_atomically

MOST_BYTES = 16 * 1024 * 1024
"""A larger file is no configuration."""


@dataclass(frozen=True)
class Present:
    """A file as it was found.

    Attributes:
        path: Where it is, links followed.
        data: Its content; None when there is none.
        mode: Its permissions.
        owner: Its user and group id; None for a new one.
    """

    path: str
    data: t.Optional[bytes]
    mode: int
    owner: t.Optional[t.Tuple[int, int]] = None

    @property
    def sha256(self) -> str:
        """SHA-256 of its content; empty when there is none."""
        return "" if self.data is None else hashlib.sha256(self.data).hexdigest()


def present(path: str, new_mode: int = 0o600) -> Present:
    """Read a file that may not be there.

    Raises:
        BadInput: It is no file, too large, or cannot be read.
    """
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            why = "it is larger than 16 MiB" if stat.S_ISREG(status.st_mode) else "it is a folder, a device or a pipe"
            raise BadInput("This is no file of configuration", where=path, why=why, next_step="name another file")
        with open(real, "rb") as stream:
            status = os.fstat(stream.fileno())
            data = stream.read()
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(real)):
            raise BadInput(
                "The folder of the file is not there", where=os.path.dirname(real), next_step="make it, or correct the path"
            ) from None
        return Present(real, None, new_mode)
    except OSError as error:
        step = "give the account the right to it (become), or name another file"
        raise BadInput("The file cannot be read", where=path, why=error.strerror or "", next_step=step) from error
    return Present(real, data, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid))


def shown(text: str) -> str:
    """The text of a file for a diff, with what looks like a secret masked in each line."""
    return "\n".join(map(Redactor().text, text.split("\n")))


def replace(found: Present, data: bytes, mode: t.Optional[int] = None) -> None:
    """Write new content, unless somebody else has changed the file since it was read; owner and mode stay.

    Args:
        found: The file as it was read.
        data: The new content.
        mode: Another mode; None for its own.

    Raises:
        RunbookError: It has changed meanwhile, or its owner cannot be kept; nothing was changed.
        NoSpace: The disk is full; nothing was changed.
    """
    now = present(found.path, found.mode)
    if (now.data, now.mode, now.owner) != (found.data, found.mode, found.owner):
        step = "run the procedure again, which takes the file as it is now"
        raise RunbookError("The file was changed meanwhile", where=found.path, why="somebody else writes to it", next_step=step)
    try:
        write_atomically(found.path, data, found.mode if mode is None else mode, found.owner)
    except PermissionError as error:
        step = "run it as the owner of the file, or as root (become)"
        raise RunbookError("The file cannot be replaced", where=found.path, why=error.strerror or "", next_step=step) from error
