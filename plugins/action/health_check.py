# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module health_check: asks from the task's own process where that is the host in question."""

from __future__ import annotations

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

# Nothing here uses it: what this module imports is imported once, before Ansible forks a process for each host.
from ansible_collections.sre.runbooks.plugins.module_utils.checks import http as _http  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.sre.runbooks.plugins.module_utils.checks.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController


class ActionModule(OnController):
    """Entry point."""

    module = "sre.runbooks.health_check"
    options = OPTIONS
    operate = staticmethod(operate)

    def is_here(self, arguments: t.Mapping[str, t.Any]) -> bool:
        """Also for another host, where the task says that its checks shall be asked from the controller."""
        from_controller = boolean(arguments.get("from_controller", False), strict=False)
        return super().is_here(arguments) or (from_controller and not self._task.async_val)


__all__ = ["ActionModule"]
