# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A configuration file of another program: read, replaced as a whole, its former content kept beside it."""

from __future__ import annotations

import os
import stat
import typing as t
from datetime import datetime, timezone

from ..errors import BadInput
from ..files import fsync_path, write_atomically


def read_text(path: str) -> t.Optional[str]:
    """The text of a file; None when there is none.

    Raises:
        BadInput: It cannot be read, or is no UTF-8 text.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise BadInput("A configuration file is no UTF-8 text", where=path, next_step="look at it; nothing was changed") from None
    except OSError as error:
        step = "let the procedure run as an account that may read it (become: true)"
        raise BadInput("A configuration file cannot be read", where=path, why=error.strerror or str(error), next_step=step) from error


def replace_text(path: str, text: str, *, mode: int = 0o644, keep_former: bool = True) -> str:
    """Replace a file at once, with the owner and mode that it had; a link goes on to point where it did. Returns the path of the copy of
    the former file, empty where there was none or `keep_former` is false.

    Raises:
        NoSpace: The disk is full; the file is as it was.
        OSError: The file system refused.
    """
    path = os.path.realpath(path)
    former, status, copy = read_bytes(path), None, ""
    if former is not None:
        status = os.stat(path)
        mode = stat.S_IMODE(status.st_mode)
        if keep_former:
            copy = f"{path}.{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.former"
            write_atomically(copy, former, mode)
            _give_to(copy, status)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    write_atomically(path, text.encode(), mode)
    if status is not None:
        _give_to(path, status)
    return copy


def put_back(path: str, former: t.Optional[str]) -> None:
    """Give a file the text that it had, or remove it where there was none."""
    if former is not None:
        replace_text(path, former, keep_former=False)
        return
    path = os.path.realpath(path)
    os.unlink(path)
    fsync_path(os.path.dirname(path))


def read_bytes(path: str) -> t.Optional[bytes]:
    """The content of a file; None when there is none."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _give_to(path: str, status: os.stat_result) -> None:
    now = os.stat(path)
    if (now.st_uid, now.st_gid) != (status.st_uid, status.st_gid):
        os.chown(path, status.st_uid, status.st_gid)
        os.chmod(path, stat.S_IMODE(status.st_mode))
