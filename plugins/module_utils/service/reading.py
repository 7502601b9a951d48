# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether what runs has read the files that it is configured by as they are now; most programs read them only when they start.

The kernel's clock tells both. A file's ctime is set by whatever changes it, a rename included, and by nobody at will, so that a file
which comes back from a rollback point has changed when it came. A start that lies in the future tells that the clock was set back since:
it counts as before the change, and the program starts once more than it need.
"""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import dataclass

from ..errors import BadInput
from ..monitoring.moments import moment_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "files": {"type": "list", "elements": "path", "default": []},
    "started_since": {"type": "str", "default": ""},
}
"""Described in the documentation fragment sre.runbooks.files_read."""


@dataclass(frozen=True)
class Reading:
    """Files that the service reads by itself.

    Attributes:
        files: They, and folders.
        started_since: What started then or later (seconds since 1970 UTC) has read what is not there any more, and what started before has
            not. None: what started before one of the files changed has not read it.
    """

    files: t.Tuple[str, ...] = ()
    started_since: t.Optional[float] = None

    def is_outdated(self, started_at: float, seen: t.Callable[[str], t.Iterable[str]] = lambda path: (path,)) -> bool:
        """Whether a program that started at `started_at` (seconds since 1970 UTC) has to start again.

        Args:
            started_at: Its start.
            seen: What of a file or folder the program has in its sight.
        """
        paths = [one for path in self.files for one in seen(path)]
        if self.started_since is not None:
            return bool(paths) and started_at >= self.started_since
        return bool(paths) and (started_at > time.time() or any(changed_at(path) > started_at for path in paths))


def reading_of(parameters: t.Mapping[str, t.Any]) -> Reading:
    """What `parameters`, valid for OPTIONS, name.

    Raises:
        BadInput: The moment is none.
    """
    text = parameters["started_since"]
    moment = moment_of(text)
    if text and moment is None:
        raise BadInput(f"{text!r} is no moment", next_step="give started_since in UTC, as in 2026-11-22T05:15:48Z")
    return Reading(tuple(map(os.path.abspath, parameters["files"])), moment.timestamp() if moment else None)


def changed_at(path: str) -> float:
    """When a file changed last, in seconds since 1970 UTC; of a folder, anything in it; of what is gone, the folder that it was in."""
    while not os.path.lexists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
        if os.path.isdir(path):
            return ctime_of(path)
    inside = (os.path.join(top, name) for top, folders, names in os.walk(path) for name in (*folders, *names))
    return max(map(ctime_of, (path, *inside)))


def ctime_of(path: str) -> float:
    """When a path itself changed last; of a symbolic link the later of it and of its target; long ago for what cannot be looked at."""
    found = []
    for follow in (False, True):
        try:
            found.append(os.stat(path, follow_symlinks=follow).st_ctime)
        except OSError:
            pass
    return max(found, default=0.0)
