#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_point_info
short_description: Say which rollback points there are
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Lists the points that M(sre.runbooks.rollback_point) took, what they keep and why they were taken, and whether a change was begun and not ended.
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.state
options:
  service:
    description: Name of the service; by default points of all are listed.
    type: str
    default: ""
  point:
    description:
      - One point. By default all; with O(with_objects) the one that an unfinished change goes back to, else the newest that was not taken by a restore.
    type: str
    default: ""
  verify:
    description: Whether the files of each point are compared with its seal.
    type: bool
    default: false
  with_objects:
    description:
      - Whether the objects of Kubernetes in the point are returned, to be applied again. They may hold secrets, so the task wants C(no_log).
    type: bool
    default: false
seealso:
  - module: sre.runbooks.rollback_point
"""

EXAMPLES = r"""
- name: See which points there are, and whether they are whole
  sre.runbooks.rollback_point_info:
    service: rag7
    verify: true

- name: Get the objects of the newest point
  sre.runbooks.rollback_point_info:
    service: rag7
    with_objects: true
  no_log: true
"""

RETURN = r"""
points:
  description:
    - The points, the newest first, each with C(id), C(folder), C(service), C(at) (UTC, ISO 8601), C(reason), C(run_id), C(before_restore_of),
      C(size_bytes), C(paths), C(absent), C(objects), C(images), C(units), C(problems).
  returned: success
  type: list
  elements: dict
table:
  description: One line for each point.
  returned: with_objects is false
  type: list
  elements: str
unfinished:
  description: The change that a run began and did not end, with C(point), C(run_id), C(at) (UTC, ISO 8601). Empty when there is none.
  returned: with_objects is false
  type: dict
interrupted:
  description: Whether a restore died in the middle, which the next call of M(sre.runbooks.rollback_point) takes back.
  returned: with_objects is false
  type: bool
objects:
  description: The objects of Kubernetes in the point, as they can be applied.
  returned: with_objects is true
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.rollback import INFO_OPTIONS, inform
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(INFO_OPTIONS), supports_check_mode=True)
    conclude(module, lambda: inform(module.params, module.check_mode))


if __name__ == "__main__":
    main()
