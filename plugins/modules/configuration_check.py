#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: configuration_check
short_description: Let Docker Compose or systemd read the files of a service
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Fails when Docker Compose does not take the files of a project, or when a unit of systemd could not start with its files as they are. What systemd
    only warns of is no failure, and without C(systemd-analyze) its units are not looked at.
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.configured_service
  - sre.runbooks.unit
seealso:
  - module: sre.runbooks.rollback_point
"""

EXAMPLES = r"""
- name: Let Compose read the project
  sre.runbooks.configuration_check:
    compose:
      project_folder: /srv/rag7
      environment_file: .env.prod

- name: Let systemd read the instances of a template
  sre.runbooks.configuration_check:
    unit: app@.service
"""

RETURN = r"""
checked:
  description: The project, or the units, whose files were read.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.validity import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
