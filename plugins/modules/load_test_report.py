#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: write the report of a load test."""

from __future__ import annotations

DOCUMENTATION = r"""
module: load_test_report
short_description: Write the report of a load test, as a page, as Markdown and as JSON
version_added: "0.1.0"
description:
  - Writes what M(sre.runbooks.load_test) found into C(reports/<service>) of the state folder, with plots that need no network.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: Nothing is written.
  diff_mode:
    support: none
  idempotent:
    support: full
    details: The report of the same test takes the place of the one before; it never reports a change, as reports are evidence.
options:
  service:
    description: Name of the service.
    type: str
    required: true
  title:
    description: Its title for readers. Default is the name.
    type: str
    default: ""
  environment:
    description: Which environment was tested.
    type: str
    default: ""
  result:
    description: What the task with M(sre.runbooks.load_test) registered.
    type: dict
    required: true
  keep_days:
    description: Older reports of the service are removed; V(0) keeps all.
    type: float
    default: 0
seealso:
  - module: sre.runbooks.load_test
"""

EXAMPLES = r"""
- name: Write the report
  sre.runbooks.load_test_report:
    service: paralegal
    result: "{{ load_test_result }}"
"""

RETURN = r"""
html:
  description: Path of the page; empty when nothing was written.
  returned: success
  type: str
markdown:
  description: Path of the same in Markdown.
  returned: success
  type: str
json:
  description: Path of the same for programs.
  returned: success
  type: str
index:
  description: Path of the page that lists all reports of the service.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.load.report import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    parameters = dict(module.params)
    module.params["result"] = "a load test's"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
