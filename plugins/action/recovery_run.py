# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module recovery_run: playbooks are started where this one was, with the same inventory, variables and vault."""

from __future__ import annotations

import shutil
import sys
import typing as t
from pathlib import Path

from ansible import context
from ansible.utils.vars import load_extra_vars

from ansible_collections.sre.runbooks.plugins.module_utils.recovery.runs import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController, plain
from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import playbook_of, procedures

_ON_HOST = Path(__file__).resolve().parent.parent.parent / "roles" / "recovery" / "files" / "on_host.yml"
_PASSED_ON = (("remote_user", "--user"), ("private_key_file", "--private-key"), ("connection", "--connection"))


class ActionModule(OnController):
    """Entry point."""

    module = "sre.runbooks.recovery_run"
    options = OPTIONS
    operate = staticmethod(operate)

    def is_here(self, arguments: t.Mapping[str, t.Any]) -> bool:
        """Always: what is started is a run of Ansible, or a program of whoever runs it."""
        return True

    def arguments(self, task_vars: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """Those of the task, and how this very run was called."""
        return {
            **super().arguments(task_vars),
            "ansible_playbook": self._called(),
            "playbooks": {name: str(playbook_of(name)) for name in procedures()},
            "on_host_playbook": str(_ON_HOST),
            "hosts": [str(name) for name in task_vars.get("groups", {}).get("all", ())],
            "extra_vars": plain(load_extra_vars(self._loader)),
            "vault_secrets": self._vault(),
        }

    def _called(self) -> t.List[str]:
        beside = Path(sys.executable).parent / "ansible-playbook"
        called = [str(beside) if beside.is_file() else shutil.which("ansible-playbook") or "ansible-playbook"]
        given: t.Mapping[str, t.Any] = context.CLIARGS
        for source in given.get("inventory") or ():
            called += ["--inventory", str(source)]
        for name, option in _PASSED_ON:
            if given.get(name):
                called += [option, str(given[name])]
        if given.get("become"):
            called.append("--become")
        return [*called, *(["--check"] if self._task.check_mode else []), *(["--diff"] if self._task.diff else [])]

    def _vault(self) -> t.Dict[str, str]:
        """The vault's passwords by label, also those that were typed in: nobody is there to type them again."""
        found: t.Dict[str, str] = {}
        for label, secret in getattr(getattr(self._loader, "_vault", None), "secrets", None) or ():
            if secret is not None and getattr(secret, "bytes", None):
                found.setdefault(str(label), secret.bytes.decode())
        return found


__all__ = ["ActionModule"]
