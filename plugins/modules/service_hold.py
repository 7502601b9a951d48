#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: hold a service's writes, and let them go again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_hold
short_description: Hold a service's writes, and let them go again
version_added: "0.1.0"
description:
  - Holds what the steps name, in their order, and releases it in the opposite order. When a step cannot be held, those that were are
    released at once.
  - Before the first is held a note is written in the state folder, which goes when all are released. What a run that was killed left held
    is released by the next V(hold) or V(release), by that note.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: Releasing what is not held changes nothing.
options:
  operation:
    description: V(hold) holds, V(release) lets go what the note says is held.
    type: str
    choices: [hold, release]
    required: true
  service:
    description: Name of the service; the note bears it.
    type: str
    required: true
  steps:
    description: Everything that the profile can hold, and how. What is not held now may be what an earlier run left held.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is.
        type: str
        required: true
      stores:
        description: It is held only for backups of these stores.
        type: list
        elements: str
      hold:
        description: How it is held, either by a command or by an HTTP call.
        type: dict
        required: true
        suboptions: &step
          command:
            description: Program and arguments.
            type: list
            elements: str
          url:
            description: Address to call.
            type: str
          method:
            description: Method of the call.
            type: str
            default: POST
          body:
            description: What is sent as JSON.
            type: dict
          status:
            description: Status codes that mean success; by default all from 200 to 299.
            type: list
            elements: int
          user:
            description: Account for basic authentication.
            type: str
          password:
            description: Its password.
            type: str
          token:
            description: Bearer token.
            type: str
          ca_file:
            description: File of certificates that the server's must lead to.
            type: path
          verify_tls:
            description: Whether the server's certificate is verified.
            type: bool
            default: true
          timeout_s:
            description: Seconds that it may take.
            type: float
            default: 30
      release:
        description: How it is released, either by a command or by an HTTP call.
        type: dict
        required: true
        suboptions: *step
  stores:
    description: The stores that are backed up. Steps that are for others alone are not held. By default all steps are.
    type: list
    elements: str
    default: []
  run_id:
    description: Run that this belongs to.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Hold all writes
  sre.runbooks.service_hold:
    operation: hold
    service: calendar_api
    steps:
      - name: calendar service
        hold:
          command: [systemctl, stop, calendar-api]
        release:
          command: [systemctl, start, calendar-api]
"""

RETURN = r"""
held:
  description: Names of what is held.
  returned: after V(hold)
  type: list
  elements: str
held_at:
  description: The moment after the last was held, UTC ISO 8601; empty when there is nothing to hold.
  returned: after V(hold)
  type: str
released:
  description: Names of what was released.
  returned: after V(release)
  type: list
  elements: str
released_at:
  description: The moment before the first was released, UTC ISO 8601.
  returned: after V(release)
  type: str
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.quiesce import hold, release, steps_from
from ansible_collections.sre.runbooks.plugins.module_utils.state import slug, state_folder

_WAY = {
    "command": {"type": "list", "elements": "str"},
    "url": {"type": "str"},
    "method": {"type": "str", "default": "POST"},
    "body": {"type": "dict"},
    "status": {"type": "list", "elements": "int"},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "token": {"type": "str", "no_log": True},
    "ca_file": {"type": "path"},
    "verify_tls": {"type": "bool", "default": True},
    "timeout_s": {"type": "float", "default": 30},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "operation": {"type": "str", "choices": ["hold", "release"], "required": True},
            "service": {"type": "str", "required": True},
            "steps": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "stores": {"type": "list", "elements": "str"},
                    "hold": {"type": "dict", "required": True, "options": _WAY},
                    "release": {"type": "dict", "required": True, "options": _WAY},
                },
            },
            "stores": {"type": "list", "elements": "str", "default": []},
            "run_id": {"type": "str", "default": ""},
            "state_folder": {"type": "path"},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> t.Dict[str, t.Any]:
        steps = steps_from(options["steps"])
        note = os.path.join(state_folder(options["state_folder"]), "held", (slug(options["service"]) or "service") + ".json")
        if options["operation"] == "hold":
            return hold(steps, note, stores=options["stores"], run_id=options["run_id"], dry_run=module.check_mode)
        return release(steps, note, dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
