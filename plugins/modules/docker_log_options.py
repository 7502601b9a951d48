#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: Give the logs of containers a largest size."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_log_options
short_description: Give the logs of containers a largest size
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Brings the log driver and its limits into C(daemon.json). Everything else in the file stays as it is. A copy of the former file is
    kept beside it.
  - A file that is no JSON is refused. Docker Engine 23 and newer tries the configuration out (C(dockerd --validate)) before it takes its
    place.
  - The engine reads the file when it starts. It is restarted only where O(restart_command) says how, and only if it has not read the file
    yet. When it does not come back, the former file is put back and the engine started with it. Containers that ran before run again
    afterwards.
  - A container keeps the log options with which it was made. Which running ones have others is told; make them anew (C(docker compose up
    --force-recreate)).
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  file:
    description: The configuration file of the engine.
    type: path
    default: /etc/docker/daemon.json
  driver:
    description: The log driver for new containers.
    type: str
    choices: [json-file, local]
    default: json-file
  max_size:
    description: Largest size of a log file, a number of bytes or one with C(k), C(m) or C(g).
    type: str
    default: 10m
  max_file:
    description: So many log files of a container are kept.
    type: int
    default: 3
  restart_command:
    description:
      - Program and arguments that restart the engine, such as C([systemctl, restart, docker]). Without it the engine is not restarted.
      - With C(live-restore) in the configuration containers run on meanwhile, otherwise they end and are started again.
    type: list
    elements: str
    default: []
  restart_timeout_s:
    description: Seconds within which another process of the engine must answer.
    type: float
    default: 120
"""

EXAMPLES = r"""
- name: Keep at most three log files of 10 MB of each container
  sre.runbooks.docker_log_options:
    max_size: 10m
    max_file: 3

- name: The same, and restart the engine
  sre.runbooks.docker_log_options:
    max_size: 10m
    max_file: 3
    restart_command: [systemctl, restart, docker]
"""

RETURN = r"""
file:
  description: The configuration file.
  returned: success
  type: str
former_file:
  description: Copy of the former file. Empty where there was none, or nothing was changed.
  returned: success
  type: str
before:
  description: C(log-driver) and C(log-opts) as the file had them, without what looks like a secret.
  returned: success
  type: dict
after:
  description: The same as it has them now, or would.
  returned: success
  type: dict
restarted:
  description: Whether the engine was restarted, or would be.
  returned: success
  type: bool
restart_needed:
  description: Whether the engine has yet to read the file.
  returned: success
  type: bool
old_containers:
  description: Running containers with other log options, each with C(name), C(driver), C(max_size) and C(max_file).
  returned: success
  type: list
  elements: dict
notes:
  description: What else the reader should know.
  returned: success
  type: list
  elements: str
diff:
  description: The file before and after.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.docker_log_options import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
