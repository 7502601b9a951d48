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
        description: Program and arguments. Secrets belong in O(processes[].environment) or a file.
        type: list
        elements: str
        required: true
      folder:
        description: Working folder, for its pid file and its log too.
        type: path
        required: true
      environment:
        description: Variables beside the module's own.
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
      http_path:
        description: Path that must answer, with any status, when it is ready.
        type: str
        default: ""
      own_pid_file:
        description: Pid file that the program writes itself, for programs that others may restart.
        type: path
      files:
        description: Configuration files in O(processes[].folder), name and content; written with mode 0600 before the program is started.
        type: dict
        default: {}
      stop_signal:
        description: Signal that asks it to end, without C(SIG).
        type: str
        default: TERM
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
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.local_process import Process, refuse_busy_port, start, stop
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude

PROCESS_OPTIONS = {
    "name": {"type": "str", "required": True},
    "argv": {"type": "list", "elements": "str", "required": True},
    "folder": {"type": "path", "required": True},
    "environment": {"type": "dict", "default": {}},
    "account": {"type": "str", "default": ""},
    "port": {"type": "int", "required": True},
    "http_path": {"type": "str", "default": ""},
    "own_pid_file": {"type": "path"},
    "files": {"type": "dict", "default": {}, "no_log": True},
    "stop_signal": {"type": "str", "default": "TERM"},
    "timeout_s": {"type": "float", "default": 60},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "processes": {"type": "list", "elements": "dict", "required": True, "options": PROCESS_OPTIONS},
        },
        supports_check_mode=True,
    )
    wanted = [{**options, "own_pid_file": options["own_pid_file"] or ""} for options in module.params["processes"]]
    processes = [
        Process(**{**options, "environment": {key: str(value) for key, value in options["environment"].items()}}) for options in wanted
    ]

    def operation() -> dict:
        starting = module.params["state"] == "started"
        if not module.check_mode:
            names = start(processes) if starting else stop(processes)
        else:
            hit = [process for process in processes if bool(process.pid()) != starting]
            for process in hit if starting else []:
                refuse_busy_port(process)
            names = [process.name for process in hit]
        return {"changed": bool(names), "processes": names}

    conclude(module, operation)


if __name__ == "__main__":
    main()
