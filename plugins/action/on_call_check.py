# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module on_call_check: what people on call use is on the controller, and so is the profile."""

from __future__ import annotations

import shutil
import sys
import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.on_call.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.profile.source import read
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController
from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import leaves_record, playbook_of, procedures, role_options, templated


class ActionModule(OnController):
    """Entry point."""

    module = "sre.runbooks.on_call_check"
    options = OPTIONS
    operate = staticmethod(operate)

    def is_here(self, arguments: t.Mapping[str, t.Any]) -> bool:
        """Always: credentials, tools and contexts of this machine are what is tried."""
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
        catalogue = procedures()
        arguments.setdefault("variables", values)
        arguments.setdefault("unresolved", unresolved)
        arguments.setdefault("role_options", role_options())
        arguments.setdefault("procedures", {name: {**entry, "leaves_record": leaves_record(name)} for name, entry in catalogue.items()})
        arguments.setdefault("playbooks", {name: str(playbook_of(name)) for name in catalogue})
        arguments.setdefault("ansible_playbook", _program())
        return arguments


def _program() -> str:
    """ansible-playbook beside the Python that runs this one, else that of the search path."""
    beside = Path(sys.executable).parent / "ansible-playbook"
    return str(beside) if beside.is_file() else shutil.which("ansible-playbook") or "ansible-playbook"


__all__ = ["ActionModule"]
