# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where leases, run records, histories and reports are kept."""

from __future__ import annotations


class ModuleDocFragment:
    """The option that module_utils/state.py reads."""

    DOCUMENTATION = r"""
options:
  state_folder:
    description:
      - Folder of leases, run records, histories, alerts and reports.
      - The environment variable E(SRE_RUNBOOKS_STATE) outweighs it.
      - The default is C(/var/lib/sre-runbooks) for root, C($XDG_STATE_HOME/sre-runbooks) or C(~/.local/state/sre-runbooks) for others.
    type: path
"""
