# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The note of a change that has begun: written before it, gone when it is verified or taken back. A killed run leaves it to the next."""

from __future__ import annotations

import json
import os
import typing as t

from ..backup_set.sets import utc_now
from ..errors import RunbookError
from ..files import fsync_path, write_json
from ..state import slug


def note_of(home: str, service: str) -> str:
    """Where the note of a service is, if there is one."""
    return os.path.join(home, f".{slug(service) or 'service'}.change.json")


def noted(home: str, service: str) -> t.Dict[str, str]:
    """`point`, `run_id` and `at` (UTC ISO 8601) of the change that is under way, or was when its run was killed; empty for none.

    Raises:
        RunbookError: The note is not what was written.
    """
    path = note_of(home, service)
    try:
        with open(path, encoding="utf-8") as stream:
            told = json.load(stream)
        return {key: str(told[key]) for key in ("point", "run_id", "at")}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        step = "look by hand whether the service is configured as it should be, then remove the note"
        raise RunbookError("The note of an unfinished change is not what was written", where=path, next_step=step) from None


def begin(home: str, service: str, point: str, run_id: str, at: str = "") -> str:
    """Note that a change begins, or began `at`, and which point a failure goes back to. Returns when it began."""
    at = at or utc_now()
    write_json(note_of(home, service), {"point": point, "run_id": run_id, "at": at})
    return at


def end(home: str, service: str) -> bool:
    """Forget the note; returns whether there was one."""
    try:
        os.unlink(note_of(home, service))
    except FileNotFoundError:
        return False
    fsync_path(home)
    return True
