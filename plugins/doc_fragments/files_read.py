# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a service reads by itself, when it starts."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that module_utils/service/reading.py reads."""

    DOCUMENTATION = r"""
options:
  files:
    description:
      - Files and folders that the service reads by itself when it starts. What runs since before one of them changed last (its ctime, that of
        anything in a folder, or that of the folder in which one has been) has former ones.
      - A container has those that are mounted into it from the host; others it does not see.
    type: list
    elements: path
    default: []
  started_since:
    description:
      - A moment, UTC in ISO 8601. Given that, what has started then or later has former O(files), and what started before it has not. So that
        a change is taken back without a restart of what has never read it.
    type: str
    default: ""
"""
