# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Files of environment variables, in which scheduled runs find their secrets: who else may read one is told before anything is started."""

from __future__ import annotations

import os
import re
import shlex
import stat
import typing as t

from ..errors import BadInput

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MOST_BYTES = 1024 * 1024


def check_environment_file(path: str, owner: t.Optional[int] = None) -> None:
    """See that the file is there and that nobody but its owner, who is root or the account of the run, can read it.

    Args:
        path: The file.
        owner: User id of the account; None for our own.

    Raises:
        BadInput: It is not so.
    """
    account = os.geteuid() if owner is None else owner
    try:
        status = os.stat(path)
    except OSError as error:
        step = "write it, with mode 0600, or correct schedule_environment_file"
        raise BadInput("The environment file cannot be read", where=path, why=error.strerror or "", next_step=step) from None
    if not stat.S_ISREG(status.st_mode):
        raise BadInput("The environment file is no file", where=path, next_step="correct schedule_environment_file")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        why = f"its mode is {stat.S_IMODE(status.st_mode):04o}"
        raise BadInput("The environment file holds secrets, and others can reach it", where=path, why=why, next_step=f"chmod 0600 {path}")
    if status.st_uid not in (0, account):
        why = f"it belongs to user id {status.st_uid}"
        raise BadInput("The environment file belongs to somebody else", where=path, why=why, next_step=f"chown it to user id {account}")


def read_environment(path: str) -> t.Dict[str, str]:
    """The variables in the file: `NAME=value` a line, quotes as in a shell, `#` begins a comment, `export` in front is allowed.

    Raises:
        BadInput: It may be read by others, or a line is something else.
    """
    check_environment_file(path)
    try:
        with open(path, encoding="utf-8") as stream:
            lines = stream.read(_MOST_BYTES).splitlines()
    except (OSError, ValueError) as error:
        raise BadInput("The environment file cannot be read", where=path, why=type(error).__name__, next_step="correct it") from None
    found: t.Dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        try:
            parts = shlex.split(line, comments=True)
        except ValueError:
            parts = ["?"]
        parts = parts[1:] if parts[:1] == ["export"] else parts
        for part in parts:
            name, equals, value = part.partition("=")
            if not equals or not _NAME.match(name):
                # The line is not repeated: it may be a secret.
                where = f"{path}:{number}"
                raise BadInput("A line of the environment file is not understood", where=where, next_step="write NAME=value, in quotes")
            found[name] = value
    return found
