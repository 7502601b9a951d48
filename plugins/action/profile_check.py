# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module profile_check: a profile lies on the controller, and only there can its templates be evaluated."""

from __future__ import annotations

import typing as t

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.profile.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.profile.source import read
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController
from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import procedures, role_options, templated


class ActionModule(OnController):
    """Entry point."""

    module = "sre.runbooks.profile_check"
    options = OPTIONS
    operate = staticmethod(operate)

    def is_here(self, arguments: t.Mapping[str, t.Any]) -> bool:
        """Always: the files are here."""
        return True

    def arguments(self, task_vars: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """Those of the task, the profile's variables, and what the collection says of roles and procedures."""
        arguments = super().arguments(task_vars)
        try:
            names = read(str(arguments.get("folder", ""))).files
        except RunbookError:
            # It is told once the arguments have been validated.
            return arguments
        values, unresolved = templated(names, task_vars, self._templar)
        arguments.setdefault("variables", values)
        arguments.setdefault("unresolved", unresolved)
        arguments.setdefault("role_options", role_options())
        arguments.setdefault("procedures", procedures())
        return arguments


__all__ = ["ActionModule"]
