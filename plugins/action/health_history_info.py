# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module health_history_info: reads the history from the task's own process where the operator host is this host."""

from __future__ import annotations

from ansible_collections.sre.runbooks.plugins.module_utils.history.operation import READ_OPTIONS, read
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController


class ActionModule(OnController):
    """Entry point."""

    module = "sre.runbooks.health_history_info"
    options = READ_OPTIONS
    operate = staticmethod(read)


__all__ = ["ActionModule"]
