#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: background processes of this host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: local_process
short_description: Start and stop background processes on this host
version_added: "0.1.0"
description:
  - Starts programs that have no service manager, all at once, and waits until each answers on its port; or stops them.
  - A process is known by its number and the moment of its start, so that a stale pid file never hits another program.
  - One that runs, but was started with other arguments, variables or files, is stopped and started anew.
  - Meant for stacks on a person's own machine; a service belongs to systemd or a container engine.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description: Whether they shall run.
    type: str
    choices: [started, stopped]
    default: started
  processes:
    description: The processes. None is started when a port of one that has to be is taken.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What to call it.
        type: str
        required: true
      argv:
        description: Program and arguments. Needed to start it. Secrets belong in O(processes[].secrets) or O(processes[].files).
        type: list
        elements: str
        default: []
      folder:
        description: Working folder, for its pid file and its log too.
        type: path
        required: true
      environment:
        description: Variables beside the module's own.
        type: dict
        default: {}
      secrets:
        description: Further variables, which are not shown.
        type: dict
        default: {}
      account:
        description: Account to run it as when the module runs as root.
        type: str
        default: ""
      port:
        description: Loopback port on which it answers when it is ready.
        type: int
        required: true
      ports:
        description:
          - Every loopback port that it takes, by the name of the setting that decides it.
          - By default only O(processes[].port).
        type: dict
        default: {}
      http_path:
        description: Path that must answer with a status below 500 when it is ready.
        type: str
        default: ""
      own_pid_file:
        description: Pid file that the program writes itself, for programs that others may restart.
        type: path
      ready_word:
        description: Word that is in O(processes[].own_pid_file) once it is ready, for programs that listen before they serve.
        type: str
        default: ""
      files:
        description: Configuration files in O(processes[].folder), name and content; written with mode 0600 before the program is started.
        type: dict
        default: {}
      leftovers:
        description: Files outside O(processes[].folder) that it leaves when it is killed. Removed before it starts and after it has ended.
        type: list
        elements: path
        default: []
      stop_signal:
        description: Signal that asks it to end, without C(SIG).
        type: str
        default: TERM
      wait:
        description: Whether to wait until it is ready. One that is not waited for is named again in a later task.
        type: bool
        default: true
      timeout_s:
        description: Seconds until it must be ready, and until it must have ended.
        type: float
        default: 60
"""

EXAMPLES = r"""
- name: Start a cache
  sre.runbooks.local_process:
    processes:
      - name: valkey
        argv: [valkey-server, /home/me/stack/valkey.conf]
        folder: /home/me/stack
        port: 16379
"""

RETURN = r"""
processes:
  description: Names of the processes that were, or in check mode would be, started or stopped.
  returned: success
  type: list
  elements: str
running:
  description: Numbers of the processes that run at the end, by name.
  returned: success
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.local_process import Process
from ansible_collections.sre.runbooks.plugins.module_utils.local_processes import plan_start, running, start, stop
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude

PROCESS_OPTIONS = {
    "name": {"type": "str", "required": True},
    "argv": {"type": "list", "elements": "str", "default": []},
    "folder": {"type": "path", "required": True},
    "environment": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "account": {"type": "str", "default": ""},
    "port": {"type": "int", "required": True},
    "ports": {"type": "dict", "default": {}},
    "http_path": {"type": "str", "default": ""},
    "own_pid_file": {"type": "path"},
    "ready_word": {"type": "str", "default": ""},
    "files": {"type": "dict", "default": {}, "no_log": True},
    "leftovers": {"type": "list", "elements": "path", "default": []},
    "stop_signal": {"type": "str", "default": "TERM"},
    "wait": {"type": "bool", "default": True},
    "timeout_s": {"type": "float", "default": 60},
}


def process_from(options: t.Mapping[str, t.Any]) -> Process:
    """The process that one entry of the list describes."""
    return Process(
        **{
            **options,
            "own_pid_file": options["own_pid_file"] or "",
            "ports": {name: int(port) for name, port in options["ports"].items()},
            "environment": {name: str(value) for name, value in options["environment"].items()},
            "secrets": {name: str(value) for name, value in options["secrets"].items()},
        }
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "processes": {"type": "list", "elements": "dict", "required": True, "options": PROCESS_OPTIONS},
        },
        supports_check_mode=True,
    )
    processes = [process_from(options) for options in module.params["processes"]]

    def operation() -> t.Dict[str, t.Any]:
        if module.params["state"] == "started":
            names = plan_start(processes).names if module.check_mode else start(processes)
        else:
            names = list(running(processes)) if module.check_mode else stop(processes)
        return {"changed": bool(names), "processes": names, "running": running(processes)}

    conclude(module, operation)


if __name__ == "__main__":
    main()
