# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module configuration_check: works in the task's own process where it can."""

from __future__ import annotations

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.validity import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController


class ActionModule(OnController):
    """Entry point."""

    module = "sre.runbooks.configuration_check"
    options = OPTIONS
    operate = staticmethod(operate)


__all__ = ["ActionModule"]
