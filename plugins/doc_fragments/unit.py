# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that a service is."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that name units of systemd."""

    DOCUMENTATION = r"""
options:
  unit:
    description: The unit of systemd, or the template such as V(app@.service).
    type: str
    default: ""
  instances:
    description: Names of the template's instances. By default those that are enabled, run or have failed.
    type: list
    elements: str
    default: []
"""
