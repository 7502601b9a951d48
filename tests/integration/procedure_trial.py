# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A playbook with the role procedure, its inventory and its state folder, in which ansible-playbook is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from integration import playbook_runs
from integration.playbook_runs import ROOT, start
from tools.waiting import wait_until

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
        return playbook_runs.command(self.folder / playbook, self.folder / "inventory", *options)

    def environment(self, **more: str) -> dict[str, str]:
        (self.folder / "tmp").mkdir(exist_ok=True)
        return playbook_runs.environment(self.state, **{"TMPDIR": str(self.folder / "tmp"), **more})

    def run(self, *options: str, playbook: str = "trial.yml", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; both streams apart, since what is shown while it works goes to the second."""
        command = self.command(*options, playbook=playbook)
        return subprocess.run(command, cwd=ROOT, env=self.environment(**environment), capture_output=True, text=True, timeout=120)

    def start(self, *options: str) -> subprocess.Popen[str]:
        return start(self.command(*options), self.environment())

    def records(self) -> list[dict[str, Any]]:
        """The oldest first."""
        return playbook_runs.records(self.state)

    def leases(self) -> list[str]:
        return [path.name for path in (self.state / "leases").glob("*.json")] if self.state.exists() else []

    def wait_for_lease(self, run: subprocess.Popen[str]) -> None:
        wait_until("a lease is taken", lambda: self.leases() and self.records(), run=run)
