# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The state folder: where leases, run records and incidents are kept, and how its files and times are written."""

from __future__ import annotations

import os
import re
import stat
import typing as t
from datetime import datetime, timezone

from .errors import BadInput

VARIABLE = "SRE_RUNBOOKS_STATE"
"""Environment variable that names the state folder; it outweighs every other setting."""
_SYSTEM_FOLDER = "/var/lib/sre-runbooks"
_GROUP_READ_WRITE = stat.S_IRGRP | stat.S_IWGRP


def state_folder(wanted: t.Optional[str] = None, environment: t.Optional[t.Mapping[str, str]] = None, uid: t.Optional[int] = None) -> str:
    """The path of the state folder, which need not exist.

    The environment variable SRE_RUNBOOKS_STATE comes first, then `wanted`, then /var/lib/sre-runbooks for root (Filesystem
    Hierarchy Standard 3.0, section 5.8) and `sre-runbooks` in the user's state folder for others (XDG Base Directory
    Specification 0.8, XDG_STATE_HOME).

    Args:
        wanted: What the profile says; empty for the default.
        environment: Environment to read; None for this process's.
        uid: User id; None for this process's.
    """
    variables = os.environ if environment is None else environment
    named = variables.get(VARIABLE) or wanted
    if named:
        return os.path.abspath(os.path.expanduser(named))
    if (os.geteuid() if uid is None else uid) == 0:
        return _SYSTEM_FOLDER
    base = variables.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "sre-runbooks")


def make_folder(path: str) -> str:
    """Make the folder `path` with its parents, for its owner alone; in a folder that a group shares, for that group too. Returns `path`.

    Raises:
        BadInput: It cannot be made, or everybody may write to it: then a lease could be forged.
    """
    try:
        if not os.path.isdir(path):
            parent = os.path.dirname(path)
            mode = 0o700 | (_shared_bits(parent) and 0o070)
            os.makedirs(path, mode=mode, exist_ok=True)
            os.chmod(path, mode | (os.stat(path).st_mode & stat.S_ISGID))
        if os.stat(path).st_mode & stat.S_IWOTH:
            raise BadInput(
                "The state folder can be written to by everybody",
                where=path,
                next_step=f"take that right away (chmod o-w {path}), or name another folder in procedure_state_folder",
            )
    except OSError as error:
        raise BadInput(
            "The state folder cannot be used",
            where=error.filename or path,
            why=error.strerror or str(error),
            next_step=f"name a folder that {_user()} may write to, in procedure_state_folder or in {VARIABLE}",
        ) from error
    return path


def file_mode(folder: str) -> int:
    """Permissions of a file in `folder`: for its owner, and for the group where the folder is shared with one."""
    return 0o600 | _shared_bits(folder)


def slug(text: str, length: int = 60) -> str:
    """`text` as a file name: lower-case letters, digits, dots, underscores and hyphens, no dot in front; not reversible, may be empty."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")[:length].strip("-.")


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(timezone.utc)


def utc_text(moment: datetime) -> str:
    """`moment` as ISO 8601 in UTC with milliseconds (`2026-03-01T03:15:00.250Z`)."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def utc_time(text: str) -> datetime:
    """The moment that `utc_text` wrote, or that somebody wrote in the same form without a fraction of the second.

    Raises:
        ValueError: It is not such a text.
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def spoken(moment: datetime) -> str:
    """`moment` for a reader: `2026-03-01 03:15:00 UTC`."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def _shared_bits(folder: str) -> int:
    try:
        mode = os.stat(folder).st_mode
    except OSError:
        return 0
    # A parent such as /tmp is open to everybody, which is not the same as shared with a group.
    return 0 if mode & stat.S_IWOTH or mode & _GROUP_READ_WRITE != _GROUP_READ_WRITE else _GROUP_READ_WRITE


def _user() -> str:
    return f"user id {os.geteuid()}"
