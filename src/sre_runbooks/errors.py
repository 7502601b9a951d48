# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be wrong with a request before anything has run. A run that fails is no exception: see `Result.status`."""

from __future__ import annotations


class RunbooksError(Exception):
    """A request that could not be carried out; nothing was run.

    Attributes:
        what: What is wrong, as a sentence without its full stop.
        next_step: What the reader should do now.
    """

    def __init__(self, what: str, *, next_step: str = "") -> None:
        self.what = what
        self.next_step = next_step
        super().__init__(f"{what}. Next: {next_step}." if next_step else f"{what}.")


class BadInput(RunbooksError):
    """An argument makes no sense or names something that is not there."""


class UnknownProcedure(BadInput):
    """No procedure of that name is in the catalogue."""


class CollectionNotFound(RunbooksError):
    """The Ansible collection `sre.runbooks` is not where Ansible would look for it."""


class AnsibleMissing(RunbooksError):
    """The program `ansible-playbook` is not installed."""


class RunNotFound(RunbooksError):
    """No run of that id has left a record."""
