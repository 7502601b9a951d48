#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: end sessions of a PostgreSQL server that nobody needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_sessions
short_description: End sessions of a PostgreSQL server that nobody needs
version_added: "0.1.0"
description:
  - Ends the sessions that are in one of O(states) for longer than O(older_than_s) and fit the other options. They are counted first, and no
    more than O(most) are ended at once, the longest in their state first.
  - A running query is cancelled first; its session is ended only when that does not help.
  - A session is ended only if nothing has happened in it since it was looked at, which is found out in the same statement.
  - Never ended are replication, the server's own processes, programs that back up or maintain, running VACUUM, REINDEX and the like, sessions
    of this collection, and idle ones that hold advisory locks. Sessions of superusers stay unless O(spare_superusers=false).
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  states:
    description: States whose sessions are meant.
    type: list
    elements: str
    choices: [idle, idle in transaction, idle in transaction (aborted), active]
    default: [idle]
  older_than_s:
    description: Seconds that a session must have been in its state.
    type: float
    default: 600
  only_blocking:
    description: Only sessions that hold others up and wait for nobody themselves.
    type: bool
    default: false
  databases:
    description: Only sessions of these databases; empty for all.
    type: list
    elements: str
    default: []
  users:
    description: Only sessions of these roles; empty for all.
    type: list
    elements: str
    default: []
  applications:
    description: Only sessions whose application name fits one of these patterns (C(*), C(?), C([...])); empty for all.
    type: list
    elements: str
    default: []
  spare_users:
    description: Never sessions of these roles.
    type: list
    elements: str
    default: []
  spare_applications:
    description: Never sessions whose application name fits one of these patterns.
    type: list
    elements: str
    default: []
  spare_superusers:
    description: Never sessions of superusers. Say V(false) where the service itself logs in as one, as with the image's first user in a container.
    type: bool
    default: true
  most:
    description: How many sessions are ended at most.
    type: int
    default: 50
  terminate:
    description: Whether sessions are ended. With V(false) running queries are cancelled and nothing else is done, so O(states) must be V(active) alone.
    type: bool
    default: true
  cancel_wait_s:
    description: Seconds that a cancelled query has to stop before its session is ended.
    type: float
    default: 5
  terminate_wait_s:
    description: Seconds that is waited for sessions to be gone.
    type: float
    default: 5
seealso:
  - module: sre.runbooks.pg_sessions_info
"""

EXAMPLES = r"""
- name: End sessions of the application that have been idle for ten minutes
  sre.runbooks.pg_sessions:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    databases: [reference]
    older_than_s: 600

- name: End what has been holding others up for a minute without doing anything
  sre.runbooks.pg_sessions:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    states: [idle in transaction]
    older_than_s: 60
    only_blocking: true
"""

RETURN = r"""
found:
  description: How many sessions fit, those that stay included.
  returned: success
  type: int
ended:
  description: Sessions that were ended, or would be, each with its C(outcome) - V(ended), V(cancelled), V(went on by itself), V(still there).
  returned: success
  type: list
  elements: dict
spared:
  description: Sessions that fit and stay, each with the C(reason).
  returned: success
  type: list
  elements: dict
beyond_limit:
  description: How many more fit than may be ended at once.
  returned: success
  type: int
usage_before:
  description: Connections in use before.
  returned: success
  type: dict
usage_after:
  description: Connections in use afterwards.
  returned: success
  type: dict
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
notes:
  description: What else is to be known.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_choice import STATES, Wanted
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_end import EndRequest, end_sessions
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, connection_from


def main() -> None:
    """Run the module."""
    names = {"type": "list", "elements": "str", "default": []}
    wanted = {
        "states": {"type": "list", "elements": "str", "choices": list(STATES), "default": ["idle"]},
        "older_than_s": {"type": "float", "default": 600},
        "only_blocking": {"type": "bool", "default": False},
        "databases": names,
        "users": names,
        "applications": names,
        "spare_users": names,
        "spare_applications": names,
        "spare_superusers": {"type": "bool", "default": True},
        "most": {"type": "int", "default": 50},
    }
    how = {
        "terminate": {"type": "bool", "default": True},
        "cancel_wait_s": {"type": "float", "default": 5},
        "terminate_wait_s": {"type": "float", "default": 5},
    }
    module = AnsibleModule(argument_spec={**CONNECTION_OPTIONS, **wanted, **how}, supports_check_mode=True)
    options = module.params

    def operation() -> t.Dict[str, t.Any]:
        request = EndRequest(
            connection_from(options),
            Wanted(**{name: options[name] for name in wanted}),
            expected_identifier=options["system_identifier"],
            **{name: options[name] for name in how},
        )
        return end_sessions(request, dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
