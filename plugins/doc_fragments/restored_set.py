# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told which set to restore, and what all restores and rehearsals say about themselves."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of RESTORED_SET_OPTIONS and REHEARSED_SET_OPTIONS in plugins/module_utils/backup_set/options.py."""

    DOCUMENTATION = r"""
options:
  set_folder:
    description: Folder of the backup set; M(sre.runbooks.backup_set_select) finds the best one. Needed unless O(set_manifest) is given.
    type: path
  set_manifest:
    description:
      - Manifest of a set that would have to be fetched first, as M(sre.runbooks.backup_set_select) gives it. For check mode alone, which
        then looks at everything but the set's files.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Can run in C(check_mode), changes nothing then, and predicts what a real run would change.
    support: full
    details: Checks the set and everything that could stop the restore, and tells what would be done.
  diff_mode:
    description: Says in diff mode what has changed, or would change in C(check_mode).
    support: full
  idempotent:
    description:
      - When run twice in a row outside check mode with the same arguments, the second run changes nothing.
      - This assumes that the system was not changed by anyone else in between.
    support: none
    details: Each run restores anew.
"""

    # For modules that restore a set elsewhere, to prove it.
    REHEARSED = r"""
options:
  set_folder:
    description: Folder of the backup set.
    type: path
    required: true
  run_id:
    description: Run that this belongs to.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in C(check_mode), changes nothing then, and predicts what a real run would change.
    support: full
    details: Reads the set and compares its checksums; nothing is restored or marked.
  diff_mode:
    description: Says in diff mode what has changed, or would change in C(check_mode).
    support: none
  idempotent:
    description:
      - When run twice in a row outside check mode with the same arguments, the second run changes nothing.
      - This assumes that the system was not changed by anyone else in between.
    support: none
    details: Each run rehearses anew.
"""
