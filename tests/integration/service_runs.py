# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the playbooks service_* and of single entry points of the role, with an inventory and a state folder of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t
from pathlib import Path

from integration import playbook_runs
from integration.playbook_runs import OPERATOR, Finished, finish

HOSTS = f"""{OPERATOR}[app]
localhost
"""
ENTRY = """- name: Entry points of the role, one after the other
  hosts: app
  gather_facts: false
  tasks:
    - name: Carry out each
      ansible.builtin.include_tasks: step.yml
      loop: "{{ steps }}"
      loop_control: {loop_var: step, index_var: number}
"""
STEP = """- name: Set its variables
  ansible.builtin.set_fact:
  args: "{{ step.variables }}"
  when: step.variables | length > 0
- name: Carry it out
  ansible.builtin.include_role: {name: sre.runbooks.service, tasks_from: "{{ step.verb }}"}
- name: Keep what it says
  ansible.builtin.copy:
    content: "{{ lookup('ansible.builtin.vars', 'service_' ~ step.verb ~ '_result') | to_json }}"
    dest: "{{ result_folder }}/{{ number }}"
    mode: "0600"
  check_mode: false
"""
Result = dict[str, t.Any]
Step = str | tuple[str, dict[str, t.Any]]


class Runs:
    """An inventory for one service.

    Attributes:
        folder: Everything of it.
        variables: The variables of its profile; change them before a run.
    """

    def __init__(self, folder: Path, variables: dict[str, t.Any]) -> None:
        self.folder, self.variables = folder, variables
        (folder / "inventory" / "group_vars" / "all").mkdir(parents=True)
        (folder / "inventory" / "hosts.ini").write_text(HOSTS)
        (folder / "entry.yml").write_text(ENTRY)
        (folder / "step.yml").write_text(STEP)
        (folder / "tmp").mkdir()

    def command(self, playbook: str, *options: str, **variables: t.Any) -> list[str]:
        """The call of ansible-playbook, with the inventory as it is now written to disk."""
        (self.folder / "inventory" / "group_vars" / "all" / "service.yml").write_text(json.dumps(self.variables))
        path = self.folder / "entry.yml" if playbook == "entry" else playbook
        return playbook_runs.command(path, self.folder / "inventory", *options, **variables)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a run."""
        return playbook_runs.environment(self.folder / "state", **{"TMPDIR": str(self.folder / "tmp"), **more})

    def start(self, playbook: str, *options: str, **variables: t.Any) -> subprocess.Popen[str]:
        """Begin a run; `finish` waits for it."""
        return playbook_runs.start(self.command(playbook, *options, **variables), self.environment())

    def run(self, playbook: str, *options: str, **variables: t.Any) -> Finished:
        """Run a playbook to its end."""
        return finish(self.start(playbook, *options, **variables))

    def verbs(self, *steps: Step, check: bool = False) -> list[Result]:
        """The results of entry points of the role, one after the other in one run, which must succeed."""
        results = self.folder / "results"
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir()
        done = self.run("entry", *(["--check"] if check else []), steps=_as_data(steps), result_folder=str(results))
        assert done.status == 0, done.output
        return [json.loads((results / str(number)).read_text()) for number in range(len(steps))]

    def verb(self, verb: str, *, check: bool = False, **variables: t.Any) -> Result:
        """The result of one entry point."""
        return self.verbs((verb, variables), check=check)[0]

    def begin_verb(self, verb: str, **variables: t.Any) -> subprocess.Popen[str]:
        """Begin an entry point; `refusal` waits for its end."""
        return self.start("entry", steps=_as_data([(verb, variables)]), result_folder=str(self.folder))

    def refused(self, verb: str, **variables: t.Any) -> str:
        """What an entry point of the role says that must fail."""
        return refusal(self.begin_verb(verb, **variables))

    def records(self) -> list[dict[str, t.Any]]:
        """The run records, the oldest first."""
        return playbook_runs.records(self.folder / "state")


def refusal(process: subprocess.Popen[str]) -> str:
    """What a run says that must fail, without a traceback."""
    done = finish(process)
    assert done.status != 0, done.output
    assert "Traceback" not in done.output, done.output
    return done.message


def _as_data(steps: t.Iterable[Step]) -> list[dict[str, t.Any]]:
    named = [(step, {}) if isinstance(step, str) else step for step in steps]
    return [{"verb": verb, "variables": variables} for verb, variables in named]
