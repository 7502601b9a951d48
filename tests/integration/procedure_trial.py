# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A playbook with the role procedure, its inventory and its state folder, in which ansible-playbook is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

PLAYBOOK = """
- name: Trial
  hosts: "{{ trial_hosts | default('localhost') }}"
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Try it, from the lease to the report
      vars:
        procedure_results:
          - {name: Work a little, result: "{{ worked }}"}
          - {name: Work more, result: "{{ more }}"}
          - {name: Check the work, fact: checked}
        procedure_secrets: ["{{ trial_secret | default('') }}"]
      block:
        - name: Begin the procedure
          ansible.builtin.import_role: {name: sre.runbooks.procedure, tasks_from: begin}
          vars:
            procedure_name: trial
            procedure_title: Try it
            procedure_resource: "postgresql:reference"
            procedure_target: reference
            procedure_destroys: "{{ destroys | default(false) }}"
        - name: Work a little
          ansible.builtin.command:
            argv: ["{{ ansible_playbook_python }}", -c, "{{ trial_code | default('pass') }}"]
          changed_when: true
          register: worked
        - name: Work more
          ansible.builtin.assert:
            that: not (broken | default(false) | bool and inventory_hostname == ansible_play_hosts_all[-1])
            fail_msg: The pump is dry
          register: more
        - name: Check the work
          ansible.builtin.command: {argv: [echo, "{{ trial_secret | default('nothing') }}"]}
          changed_when: false
          register: checked
        - name: Finish the procedure
          ansible.builtin.import_role: {name: sre.runbooks.procedure, tasks_from: finish}
          vars:
            procedure_measurements: {rto_s: "{{ 12.25 }}"}
            procedure_targets: {rto_s: 3600}
      rescue:
        - name: Finish the procedure that failed
          ansible.builtin.import_role: {name: sre.runbooks.procedure, tasks_from: fail}
"""

INVENTORY = f"""
all:
  vars:
    ansible_python_interpreter: {sys.executable}
    ansible_connection: local
  hosts: {{localhost: {{}}, db1: {{}}, db2: {{}}}}
"""


class Trial:
    """A place to run the playbook in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "trial.yml").write_text(PLAYBOOK)
        (folder / "inventory").mkdir()
        (folder / "inventory" / "hosts.yml").write_text(INVENTORY)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def command(self, *options: str, playbook: str = "trial.yml") -> list[str]:
        return [str(BIN / "ansible-playbook"), "-i", str(self.folder / "inventory"), str(self.folder / playbook), *options]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SRE_RUNBOOKS_"))}
        (self.folder / "tmp").mkdir(exist_ok=True)
        own = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "SRE_RUNBOOKS_STATE": str(self.state),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "TMPDIR": str(self.folder / "tmp"),
            "COLUMNS": "400",
        }
        return {**kept, **own, **more}

    def run(self, *options: str, playbook: str = "trial.yml", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options, playbook=playbook),
            cwd=ROOT,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*options),
            cwd=ROOT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def records(self) -> list[dict[str, Any]]:
        """The oldest first."""
        found = [json.loads(path.read_text()) for path in (self.state / "runs").glob("*/record.json")]
        return sorted(found, key=lambda record: str(record["started_at"]))

    def leases(self) -> list[str]:
        return [path.name for path in (self.state / "leases").glob("*.json")] if self.state.exists() else []

    def wait_for_lease(self, run: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 30
        while not (self.leases() and self.records()):
            assert run.poll() is None, run.communicate()[0]
            assert time.monotonic() < deadline, "no lease was taken"
            time.sleep(0.05)
