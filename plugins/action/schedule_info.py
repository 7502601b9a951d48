# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module schedule_info: looks from the task's own process where that is the host in question."""

from __future__ import annotations

import typing as t

from ansible_collections.sre.runbooks.plugins.module_utils.schedule.watch import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController
from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import leaves_record, procedures


class ActionModule(OnController):
    """Entry point."""

    module = "sre.runbooks.schedule_info"
    options = OPTIONS
    operate = staticmethod(operate)

    def arguments(self, task_vars: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """Those of the task, and which procedures leave no record."""
        return {"without_record": [name for name in procedures() if not leaves_record(name)], **super().arguments(task_vars)}


__all__ = ["ActionModule"]
