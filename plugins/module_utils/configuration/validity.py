# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module configuration_check: what runs a service reads its files, before they are applied."""

from __future__ import annotations

import typing as t

from ..command import run
from ..errors import BadInput
from ..service.compose.project import words
from ..service.systemd.check import verify
from ..service.systemd.state import target_of, units_of
from .sources import OPTIONS, project_named

_STEP = "correct the files; nothing was restarted"


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Let Docker Compose or systemd read the files of `parameters`, valid for OPTIONS; check mode does the same.

    Raises:
        BadInput: It does not take them, or they name no service.
        RunbookError: It does not answer.
    """
    if parameters["compose"]:
        project = project_named(parameters["compose"])
        done = run(project.compose("config", "--quiet"), check=False)
        if done.status != 0:
            why = project.compose("config").failure(done.status, words(done.stderr)).why
            raise BadInput("Docker Compose does not take the project's files", where=project.where, why=why, next_step=_STEP)
        return {"changed": False, "checked": [project.where]}
    target = target_of(parameters["unit"], parameters["instances"])
    names = [unit.name for unit in units_of(target)] or [target.of("1")]
    hindered = verify(names)
    if hindered:
        raise BadInput("A unit could not start with its files", where=", ".join(names), why="; ".join(hindered[:3]), next_step=_STEP)
    return {"changed": False, "checked": names}


__all__ = ["OPTIONS", "operate"]
