# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The errors of the library: each says what failed, on what, why, and what to do next."""

from __future__ import annotations

import typing as t


class RunbookError(Exception):
    """A failure that a person can act on.

    Attributes:
        what: What could not be done, as a sentence without its full stop.
        where: The thing it happened on (a host, database, file or URL); empty when `what` names it.
        why: The cause as far as it is known, a tool's own last words included.
        next_step: What the reader should do now.
        changed: Whether anything had been changed before the failure (False: everything is as it was).
        facts: Further values for programs (JSON types only); they are returned by the module beside `msg`.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        why: str = "",
        next_step: str = "",
        changed: bool = False,
        facts: t.Optional[t.Mapping[str, t.Any]] = None,
    ) -> None:
        self.what = what
        self.where = where
        self.why = why
        self.next_step = next_step
        self.changed = changed
        self.facts: dict[str, t.Any] = dict(facts or {})
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole message on one line per part, the part that matters first."""
        text = self.what
        if self.where:
            text += f" ({self.where})"
        if self.why:
            text += f": {self.why.rstrip('.')}"
        text += "."
        if self.next_step:
            text += f" Next: {self.next_step.rstrip('.')}."
        return text

    @property
    def kind(self) -> str:
        """The name of the error's class, for programs that decide on it."""
        return type(self).__name__


class BadInput(RunbookError):
    """What was asked for makes no sense or cannot be done; nothing was changed."""


class ToolMissing(RunbookError):
    """A program that the work needs is not where it was looked for, or is too old."""


class CommandFailed(RunbookError):
    """A program ran and reported failure; `why` holds the end of what it said."""


class DeadlineExceeded(RunbookError):
    """The work did not end within the time that it was given."""


class NoSpace(RunbookError):
    """The file system has, or had, too little room."""


class Unreachable(RunbookError):
    """A server or store could not be reached, or refused the credentials."""


class Undecided(RunbookError):
    """The connection broke during a step that is done as a whole or not at all, and which of the two it was cannot be found out yet."""


class WrongTarget(RunbookError):
    """The server is not the one that the inventory, or the backup set, says it should be."""


class NotConfirmed(RunbookError):
    """Something that destroys was asked for without naming its target."""


class LeaseHeld(RunbookError):
    """Another run works on the same resource."""


class SetDamaged(RunbookError):
    """A backup set is not what its manifest says."""


class SetNotFound(RunbookError):
    """No backup set fits what was asked for."""


class NotTheSame(RunbookError):
    """What was restored differs from what was backed up."""


class HistoryDamaged(RunbookError):
    """The file of a service's history is damaged; it was neither changed nor replaced."""
