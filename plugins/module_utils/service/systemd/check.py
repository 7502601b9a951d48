# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Units' files are looked at before a unit that runs is touched."""

from __future__ import annotations

import re
import shutil
import typing as t

from ...command import Command, run
from ...errors import BadInput
from .control import systemctl
from .files import is_stale, notes_on
from .state import Unit, show

_TIMEOUT_S = 30.0
_HINDERS = re.compile(r"is not executable|Refusing|bad unit file setting|has no ExecStart|Failed to load|not found\.", re.IGNORECASE)
"""In what systemd-analyze says: what keeps a unit from starting. What systemd ignores it says, too, and that keeps none."""


def verify(names: t.Sequence[str], folder: str = "") -> t.List[str]:
    """What keeps units from starting, by what is in their files now; nothing where there is no systemd-analyze.

    Args:
        names: Units.
        folder: Where further drop-ins of them are, laid out as /etc/systemd/system.
    """
    if shutil.which("systemd-analyze") is None:
        return []
    # A path that ends with a colon comes before the folders of systemd itself.
    environment = {"SYSTEMD_UNIT_PATH": f"{folder}:"} if folder else {}
    argv = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "--", *names]
    done = run(Command(argv, environment=environment, timeout_s=_TIMEOUT_S), check=False)
    if done.status == 0:
        return []
    lines = [line for line in done.stderr.splitlines() if (folder and folder in line) or _HINDERS.search(line)]
    return list(dict.fromkeys(line.replace(f"{folder}/", "") if folder else line for line in lines))


def reload_and_check(units: t.Sequence[Unit], *, read_again: bool, check_mode: bool) -> t.List[str]:
    """See that units can start before one of them is stopped; returns what a reader should know.

    Args:
        units: As they run.
        read_again: Whether files that have changed shall take effect; systemd reads them again then.
        check_mode: Whether that is only said.

    Raises:
        BadInput: One could not start; none was touched.
    """
    stale = [unit.name for unit in units if is_stale(unit)]
    names = [unit.name for unit in units]
    # What systemd would start is what it has read; the files say that only where they have not changed since.
    hindered = verify(names) if names and (read_again or not stale) else []
    if hindered:
        raise BadInput(
            "A unit could not start again with its files as they are",
            where=", ".join(names),
            why="; ".join(hindered[:3]),
            next_step="mend its files or what they name; nothing was restarted",
        )
    if not read_again:
        return notes_on(units)
    if stale and not check_mode:
        systemctl("daemon-reload")
    now = units if check_mode else show(names)
    broken = [unit for unit in now if unit.get("LoadState") not in ("loaded", "") and not check_mode]
    if broken:
        raise BadInput(
            "systemd cannot use the file of a unit",
            where=", ".join(unit.name for unit in broken),
            why="; ".join(unit.get("LoadError", "").strip() or unit["LoadState"] for unit in broken),
            next_step="mend the file; nothing was restarted",
        )
    told = [f"systemd {'would read' if check_mode else 'has read'} the changed files of {', '.join(stale)}"] if stale else []
    return told + [note for note in notes_on(now) if not (check_mode and note.startswith("Files of"))]
