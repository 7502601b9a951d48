# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges a service as its profile's procedures do, without a playbook run for each judgement.

The arguments are those of the roles' own tasks, evaluated by Ansible with the roles' defaults and the profile's inventory; the operations
are those that these tasks call. Each judgement is made in a process of its own, as each task is.

Run: python profile_judge.py inventories/paralegal; a line of JSON with further variables asks for a judgement, and is answered by a line of
JSON: `{}`, or an `error`. What was found is noted in the service's history.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import typing as t
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def judge(seen: dict[str, t.Any], loader: t.Any) -> None:
    """Ask the checks, measure and grade, note it: the tasks of health/check, health/gate and monitoring/_note."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
    from ansible.template import Templar

    from ansible_collections.sre.runbooks.plugins.module_utils.checks import operation as checks
    from ansible_collections.sre.runbooks.plugins.module_utils.history import operation as history
    from ansible_collections.sre.runbooks.plugins.module_utils.metrics import operation as metrics
    from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import plain

    def call(path: str, module: str, options: t.Any, operate: t.Any, **more: t.Any) -> dict[str, t.Any]:
        (task,) = [one for one in loader.load_from_file(str(ROOT / path), trusted_as_template=True) if f"sre.runbooks.{module}" in one]
        templar = Templar(loader=loader, variables={**seen, **task.get("vars", {}), **more})
        given = plain(templar.template(task[f"sre.runbooks.{module}"]))
        for asked in [*given.get("checks", []), *given.get("metrics", [])] if "judge_patience_s" in seen else []:
            asked["timeout_s"] = seen["judge_patience_s"]
        validated = ArgumentSpecValidator(dict(options)).validate(given)
        assert not validated.error_messages, validated.error_messages
        found: dict[str, t.Any] = operate(validated.validated_parameters, False)
        seen[str(task.get("register"))] = found
        return found

    call("roles/health/tasks/check.yml", "health_check", checks.OPTIONS, checks.operate, health_fail_on=[])
    call("roles/health/tasks/gate.yml", "metrics_gate", metrics.OPTIONS, metrics.operate, health_gate_fail_on=[])
    named = {"procedure_name": "morning_check", "procedure_begun": {"run_id": f"judged-{uuid.uuid4()}"}}
    call("roles/monitoring/tasks/_note.yml", "health_history", history.WRITE_OPTIONS, history.write, **named)


def main(inventory: str) -> None:
    """Answer until nobody asks any more."""
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.vars.manager import VariableManager

    init_plugin_loader([str(ROOT / "collections")])
    loader = DataLoader()
    known = InventoryManager(loader=loader, sources=[inventory])
    seen: dict[str, t.Any] = {"ansible_playbook_python": sys.executable}
    for role in ("monitoring", "health"):
        seen |= loader.load_from_file(str(ROOT / "roles" / role / "defaults" / "main.yml"), trusted_as_template=True)
    seen |= VariableManager(loader=loader, inventory=known).get_vars(host=known.get_host("localhost"))
    for line in sys.stdin:
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            continue
        said = {}
        try:
            judge({**seen, **json.loads(line)}, loader)
        except BaseException:
            said = {"error": traceback.format_exc()}
        print(json.dumps(said), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
