# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What retention keeps."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of KEEP_OPTIONS in plugins/module_utils/backup_set/options.py."""

    DOCUMENTATION = r"""
options:
  keep_last:
    description: When pruning, so many of the newest sets of every store and method stay.
    type: int
    default: 7
  keep_days:
    description: When pruning, sets younger than so many days stay.
    type: int
    default: 30
  keep_daily:
    description: When pruning, the newest good set of each of so many days stays. Days without one do not count.
    type: int
    default: 0
  keep_weekly:
    description: The same for weeks, which begin on Monday.
    type: int
    default: 0
  keep_monthly:
    description: The same for months.
    type: int
    default: 0
  time_zone:
    description: Time zone by whose calendar days, weeks and months are told apart.
    type: str
    default: UTC
"""
