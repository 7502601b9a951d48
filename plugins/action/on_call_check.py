# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module on_call_check: what people on call use is on the controller, and so is the profile."""

from __future__ import annotations

import shutil
import sys
import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.on_call.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import OfProfile, leaves_record, playbook_of, procedures


class ActionModule(OfProfile):
    """Entry point."""

    module = "sre.runbooks.on_call_check"
    options = OPTIONS
    operate = staticmethod(operate)

    def collection(self) -> t.Dict[str, t.Any]:
        """The catalogue with what each playbook leaves, where the playbooks are, and the program that reads them."""
        catalogue = procedures()
        return {
            "procedures": {name: {**entry, "leaves_record": leaves_record(name)} for name, entry in catalogue.items()},
            "playbooks": {name: str(playbook_of(name)) for name in catalogue},
            "ansible_playbook": _program(),
        }


def _program() -> str:
    """ansible-playbook beside the Python that runs this one, else that of the search path."""
    beside = Path(sys.executable).parent / "ansible-playbook"
    return str(beside) if beside.is_file() else shutil.which("ansible-playbook") or "ansible-playbook"


__all__ = ["ActionModule"]
