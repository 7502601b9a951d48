# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evaluates profiles as Ansible does, in a process of its own since Ansible changes how Python imports collections.

Run: python -m tools.profile_values inventories/paralegal ...; prints JSON: folder -> {values, unresolved}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


def evaluated(*folders: Path) -> dict[str, dict[str, Any]]:
    """Values of the variables of profiles, and why those that have none cannot be evaluated, by folder.

    Raises:
        RuntimeError: Ansible could not read them.
    """
    from tools.process import run_shown

    done = run_shown([sys.executable, "-W", "ignore", str(Path(__file__)), *map(str, folders)], folder=REPOSITORY)
    if done.returncode != 0:
        raise RuntimeError(done.last_words())
    found: dict[str, dict[str, Any]] = json.loads(done.output[done.output.index("{") :])
    return found


def _evaluate(folder: str) -> dict[str, Any]:
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar
    from ansible.vars.manager import VariableManager

    from ansible_collections.sre.runbooks.plugins.module_utils.profile.conformity import plain
    from ansible_collections.sre.runbooks.plugins.module_utils.profile.source import read
    from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import templated

    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[folder])
    seen = VariableManager(loader=loader, inventory=inventory).get_vars(host=inventory.get_host("localhost"))
    seen["ansible_playbook_python"] = sys.executable
    values, unresolved = templated(read(folder).files, seen, Templar(loader=loader, variables=seen))
    return {"values": plain(values), "unresolved": unresolved}


if __name__ == "__main__":
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([str(REPOSITORY / "collections")])
    print(json.dumps({folder: _evaluate(folder) for folder in sys.argv[1:]}))
