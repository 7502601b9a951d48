# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""File systems of this host, and whether what a replica mounts is there."""

from __future__ import annotations

import os
import stat
import typing as t

from .model import Mount, Space
from .questions import Questions

_FILE_LIKE = (".conf", ".cfg", ".crt", ".env", ".ini", ".json", ".key", ".pem", ".properties", ".sh", ".sql", ".toml", ".yaml", ".yml")


def spaces(paths: t.Mapping[str, str]) -> t.List[Space]:
    """The file systems of `paths` (path -> what lies there), each once; a path that does not exist is passed over."""
    found: t.Dict[int, Space] = {}
    for path, what in paths.items():
        try:
            device, figures = os.stat(path).st_dev, os.statvfs(path)
        except OSError:
            continue
        if device in found or not figures.f_blocks:
            continue
        used = figures.f_blocks - figures.f_bfree
        # What the superuser keeps for itself counts as used, as df does it.
        share = 100.0 * used / ((used + figures.f_bavail) or 1)
        inodes = 100.0 * (figures.f_files - figures.f_ffree) / figures.f_files if figures.f_files else None
        free = figures.f_bavail * figures.f_frsize
        found[device] = Space(path, what, round(share, 1), inodes and round(inodes, 1), free, bool(figures.f_flag & os.ST_RDONLY))
    return list(found.values())


def mounts(wanted: t.Iterable[t.Tuple[str, str, str]], questions: Questions) -> t.List[Mount]:
    """What `mount` says of each source, target and user; one that this account may not look at is noted and left out."""
    found = []
    for source, target, user in wanted:
        try:
            found.append(mount(source, target, user))
        except OSError as error:
            questions.not_looked_at.append(f"{source}, which is mounted at {target}: {error.strerror}")
    return found


def mount(source: str, target: str, user: str = "") -> Mount:
    """What is wrong with a file or folder of this host that a replica mounts at `target` and reads as `user` (a number, or nothing).

    Raises:
        OSError: This account may not look at it, which says nothing of the service's.
    """
    try:
        status = os.stat(source)
    except FileNotFoundError:
        return Mount(source, target, "missing")
    if stat.S_ISDIR(status.st_mode) and target.lower().endswith(_FILE_LIKE) and not os.listdir(source):
        return Mount(source, target, "empty_folder")
    account, _colon, group = user.partition(":")
    if account.isdecimal() and int(account) and not _may_read(status, int(account), int(group) if group.isdecimal() else -1):
        return Mount(source, target, "not_readable", f"its owner is {status.st_uid}, its mode {stat.S_IMODE(status.st_mode):04o}")
    return Mount(source, target)


def _may_read(status: os.stat_result, account: int, group: int) -> bool:
    needed = 5 if stat.S_ISDIR(status.st_mode) else 4
    if status.st_uid == account:
        shift = 6
    elif status.st_gid == group:
        shift = 3
    else:
        shift = 0
    return (status.st_mode >> shift) & needed == needed
