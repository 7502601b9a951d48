#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: run a command in a container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_exec
short_description: Run a command in a container, bounded in time and output
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Runs a command in a container and returns the end of what it printed.
  - Values of the container's variables whose names say that they are secret, and what looks like a secret, are masked in what is returned.
  - The command is ended in the container when its time is up, by the program C(timeout) there. Where the container has none, only the client
    is ended, and the command may run on in the container.
  - M(community.docker.docker_container_exec) has neither bound.
requirements:
  - docker or podman
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
    details: Runs nothing, and says that it would change something.
  diff_mode:
    support: none
    details: What a command changes is not known.
  idempotent:
    support: none
    details: The command runs every time.
options:
  container:
    description: Name of the container.
    type: str
    required: true
  argv:
    description: The command, as a list of arguments. No shell reads it.
    type: list
    elements: str
    required: true
  timeout_s:
    description: Seconds after which it is ended, in whole seconds.
    type: float
    default: 60
  output_bytes:
    description: How many of the last bytes of each stream are returned.
    type: int
    default: 65536
"""

EXAMPLES = r"""
- name: See which migration the database has
  sre.runbooks.container_exec:
    container: paralegal-app-1
    argv: [alembic, current]
    timeout_s: 30
"""

RETURN = r"""
replica:
  description: The container.
  returned: success
  type: str
stdout:
  description: The end of its output, without secrets.
  returned: success
  type: str
stderr:
  description: The end of its error output, without secrets.
  returned: success
  type: str
exit_status:
  description: Its exit status; null in check mode.
  returned: success
  type: int
duration_s:
  description: Seconds that it took; null in check mode.
  returned: success
  type: float
cut:
  description: Whether it printed more than is returned.
  returned: success
  type: bool
notes:
  description: What a reader must know.
  returned: success
  type: list
  elements: str
steps:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
conclusion:
  description: One sentence.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.exec import OPTIONS, operate


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
