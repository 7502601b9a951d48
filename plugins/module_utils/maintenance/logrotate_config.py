# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module logrotate_config: logrotate has a configuration for the service that it has tried out before."""

from __future__ import annotations

import os
import re
import tempfile
import typing as t

from ..command import Command, Place, run
from ..errors import BadInput
from ..files import fsync_path, write_atomically
from . import config_file
from .logrotate import MARK, render

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "rotations": {"type": "list", "elements": "dict", "default": []},
    "folder": {"type": "path", "default": "/etc/logrotate.d"},
}
"""Described in plugins/modules/logrotate_config.py."""
_TIMEOUT_S = 120.0
_ERROR = re.compile(r"^error:\s*(.*)", re.MULTILINE)


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Write the configuration of the options in `parameters`, valid for OPTIONS; without rotations remove it. In check mode only tell.

    Raises:
        BadInput: An entry makes no sense, logrotate does not take it, or somebody else's file is in the way; nothing was changed.
        ToolMissing: There is no logrotate.
    """
    service, folder = parameters["service"], parameters["folder"]
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", service) or service.endswith((".bak", ".disabled", ".rpmsave", ".dpkg-old")):
        raise BadInput("The name of the service cannot be the name of a file of logrotate", where=repr(service))
    path = os.path.join(folder, service)
    before, after = config_file.read_text(path), render(service, parameters["rotations"])
    if before is not None and not before.startswith(MARK.format(service)):
        if after:
            step = "move what it holds into maintenance_log_rotations and the file away, or choose another service_name"
            raise BadInput("A configuration that was not made from the profile lies where one is to be", where=path, next_step=step)
        before = None
    changed = after != (before or "")
    if changed and after:
        _try(path, after, folder)
    if changed and not check_mode:
        if after:
            config_file.replace_text(path, after, keep_former=False)
        else:
            os.unlink(path)
            fsync_path(folder)
    return {
        "changed": changed,
        "file": path,
        "notes": [],
        "diff": {"before_header": path, "after_header": path if after else "no file", "before": before or "", "after": after},
    }


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
            others = (
                sorted(entry.path for entry in os.scandir(folder) if entry.is_file() and entry.path != path)
                if os.path.isdir(folder)
                else []
            )
            done = run(Command([logrotate, "--debug", "--state", state, *others, draft], timeout_s=_TIMEOUT_S), check=False)
            # What is wrong with the others is none of ours.
            errors = [error for error in _errors(done.stderr, draft, path) if path in error]
        elif not errors:
            errors = [f"exit status {done.status}"]
    if errors:
        step = "correct maintenance_log_rotations of the profile; nothing was changed"
        raise BadInput("logrotate does not take the configuration", where=path, why="; ".join(errors[:5]), next_step=step)


def _errors(said: str, draft: str, path: str) -> t.List[str]:
    return [" ".join(found.split()).replace(draft, path) for found in _ERROR.findall(said)]
