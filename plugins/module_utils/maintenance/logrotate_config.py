# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module logrotate_config: logrotate has a configuration for the service that it has tried out before."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import typing as t
from fnmatch import fnmatchcase

from ..command import Command, Place, run
from ..configuration.in_place import Present
from ..errors import BadInput
from ..files import fsync_path, write_atomically
from .config_file import found
from .logrotate import MARK, render

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "rotations": {"type": "list", "elements": "dict", "default": []},
    "folder": {"type": "path", "default": "/etc/logrotate.d"},
}
"""Described in plugins/modules/logrotate_config.py."""
_TIMEOUT_S = 120.0
_TABOO = (
    *(",v", ".bak", ".cfsaved", ".disabled", ".dpkg-bak", ".dpkg-del", ".dpkg-dist", ".dpkg-new", ".dpkg-old", ".dpkg-tmp"),
    *(".rhn-cfg-tmp-*", ".rpmnew", ".rpmorig", ".rpmsave", ".swp", ".ucf-dist", ".ucf-new", ".ucf-old", "~"),
)
"""Files whose names end so are none of logrotate's (logrotate(8), `tabooext`)."""
_ERROR = re.compile(r"^error:\s*(.*)", re.MULTILINE)


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Write the configuration of the options in `parameters`, valid for OPTIONS; without rotations remove it. In check mode only tell.

    Raises:
        BadInput: An entry makes no sense, logrotate does not take it, or somebody else's file is in the way; nothing was changed.
        ToolMissing: There is no logrotate.
    """
    service, folder = parameters["service"], parameters["folder"]
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", service) or _is_taboo(service):
        raise BadInput("The name of the service cannot be the name of a file of logrotate", where=repr(service))
    path = os.path.join(folder, service)
    there, after = found(path), render(service, parameters["rotations"])
    before = (there.data or b"").decode(errors="replace")
    if before and not before.startswith(MARK.format(service)):
        if after:
            step = "move what it holds into maintenance_log_rotations and the file away, or choose another service_name"
            raise BadInput("A configuration that was not made from the profile lies where one is to be", where=path, next_step=step)
        before = ""
    changed = after != before
    if changed and after:
        _try(path, after, folder)
    if changed and not check_mode:
        if after:
            _put(there, after)
        else:
            os.unlink(path)
            fsync_path(folder)
    return {
        "changed": changed,
        "file": path,
        "notes": [],
        "diff": {"before_header": path, "after_header": path if after else "no file", "before": before, "after": after},
    }


def _is_taboo(name: str) -> bool:
    return any(fnmatchcase(name, f"*{ending}") for ending in _TABOO)


def _put(there: Present, text: str) -> None:
    """Give the file this text, by way of a folder beside it: logrotate reads every file that lies there, whatever a killed run has left
    among them, but nothing in a folder below."""
    folder, name = os.path.split(there.path)
    aside = os.path.join(folder, f".sre-runbooks-{name}")
    shutil.rmtree(aside, ignore_errors=True)
    os.makedirs(aside, mode=0o755)
    try:
        draft = os.path.join(aside, name)
        write_atomically(draft, text.encode(), there.mode, there.owner)
        os.rename(draft, there.path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    fsync_path(folder)


def _try(path: str, text: str, folder: str) -> None:
    """Let logrotate read the configuration by itself, and together with the others of the folder, without doing anything."""
    logrotate = Place().program("logrotate")
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as scratch:
        draft = os.path.join(scratch, os.path.basename(path))
        write_atomically(draft, text.encode(), 0o644)
        state = os.path.join(scratch, "state")
        done = run(Command([logrotate, "--debug", "--state", state, draft], timeout_s=_TIMEOUT_S), check=False)
        errors = _errors(done.stderr, draft, path)
        if done.status == 0 and not errors:
            entries = os.scandir(folder) if os.path.isdir(folder) else ()
            others = sorted(one.path for one in entries if one.is_file() and one.path != path and not _is_taboo(one.name))
            done = run(Command([logrotate, "--debug", "--state", state, *others, draft], timeout_s=_TIMEOUT_S), check=False)
            # What is wrong with the others is none of ours.
            errors = [error for error in _errors(done.stderr, draft, path) if f"{path}:" in error]
        elif not errors:
            errors = [f"exit status {done.status}"]
    if errors:
        step = "correct maintenance_log_rotations of the profile; nothing was changed"
        raise BadInput("logrotate does not take the configuration", where=path, why="; ".join(errors[:5]), next_step=step)


def _errors(said: str, draft: str, path: str) -> t.List[str]:
    return [" ".join(found.split()).replace(draft, path) for found in _ERROR.findall(said)]
