# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module says about itself: check mode, diff mode, idempotence."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes' meanings; each module states its own `support` and `details`."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode), changes nothing then, and predicts what a real run would change.
  diff_mode:
    description: Says in diff mode what has changed, or would change in C(check_mode).
  idempotent:
    description:
      - When run twice in a row outside check mode with the same arguments, the second run changes nothing.
      - This assumes that the system was not changed by anyone else in between.
"""

    # For modules that change nothing.
    READS = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode), changes nothing then, and predicts what a real run would change.
    support: full
    details: Only reads, so it does the same in check mode.
  diff_mode:
    description: Says in diff mode what has changed, or would change in C(check_mode).
    support: none
    details: Changes nothing.
  idempotent:
    description:
      - When run twice in a row outside check mode with the same arguments, the second run changes nothing.
      - This assumes that the system was not changed by anyone else in between.
    support: full
    details: Changes nothing; what it reports is the state of the moment.
"""
