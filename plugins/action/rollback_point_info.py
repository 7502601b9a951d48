# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module rollback_point_info: works in the task's own process where it can."""

from __future__ import annotations

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.rollback import INFO_OPTIONS, inform
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController


class ActionModule(OnController):
    """Entry point."""

    module = "sre.runbooks.rollback_point_info"
    options = INFO_OPTIONS
    operate = staticmethod(inform)


__all__ = ["ActionModule"]
