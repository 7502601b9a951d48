#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: what the sessions of a PostgreSQL server do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_sessions_info
short_description: Tell how full a PostgreSQL server is, what is open for long and what holds others up
version_added: "0.1.0"
description:
  - Counts the sessions by state, database, role and application, and says how many connections are left for the service. What is reserved for
    administrators is no room for it.
  - Tells long transactions, long queries, prepared transactions that nobody ended, replication slots that nobody uses, and the sessions that
    hold others up, each with those that wait for it.
  - The text of queries is shown without the values that are written in it.
  - Everything is asked in one connection, because a server that runs out of them may have no second one to give.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.postgresql
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  idempotent:
    support: full
options:
  warn_percent:
    description: Connections in use, in percent of those that the service can have, from which on it is a warning.
    type: float
    default: 80
  fail_percent:
    description: The same, from which on it is a failure.
    type: float
    default: 90
  long_transaction_s:
    description: Seconds after which an open transaction is told.
    type: float
    default: 300
  long_query_s:
    description: Seconds after which a running query is told.
    type: float
    default: 60
  slot_bytes:
    description: Bytes of write-ahead log that a replication slot which nobody uses may keep.
    type: int
    default: 1073741824
seealso:
  - module: sre.runbooks.pg_sessions
"""

EXAMPLES = r"""
- name: Look at the sessions
  sre.runbooks.pg_sessions_info:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
  register: sessions
"""

RETURN = r"""
summary:
  description: The sessions in lines for a reader, with the trees of who holds up whom.
  returned: success
  type: list
  elements: str
verdict:
  description: V(pass), V(warn), V(fail), or V(unknown) when our role may not see enough; the gravest of RV(findings).
  returned: success
  type: str
findings:
  description: What is to be known, the gravest first, each with its C(verdict) and C(text).
  returned: success
  type: list
  elements: dict
usage:
  description: How many connections are in use (C(connections)) of how many (C(available)), C(percent), C(verdict), and databases and roles
    with limits of their own.
  returned: success
  type: dict
by_state:
  description: Number of sessions by state.
  returned: success
  type: dict
by_database:
  description: Number of sessions by database.
  returned: success
  type: dict
by_user:
  description: Number of sessions by role.
  returned: success
  type: dict
by_application:
  description: Number of sessions by the name that the application gave.
  returned: success
  type: dict
blockers:
  description: Sessions that hold others up and wait for nobody, with C(holds_up) and, under C(waiting), those that wait, at any depth.
  returned: success
  type: list
  elements: dict
long_transactions:
  description: Sessions with a long transaction, the longest first.
  returned: success
  type: list
  elements: dict
long_queries:
  description: Sessions with a long query, the longest first.
  returned: success
  type: list
  elements: dict
prepared_transactions:
  description: Transactions that were prepared for two-phase commit.
  returned: success
  type: list
  elements: dict
replication_slots:
  description: Replication slots, with the bytes of write-ahead log that each keeps.
  returned: success
  type: list
  elements: dict
not_visible:
  description: How many sessions our role may not look at.
  returned: success
  type: int
server:
  description: The server's C(version) and C(system_identifier).
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_report import Limits, information
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, connection_from


def main() -> None:
    """Run the module."""
    limits = {
        "warn_percent": {"type": "float", "default": 80},
        "fail_percent": {"type": "float", "default": 90},
        "long_transaction_s": {"type": "float", "default": 300},
        "long_query_s": {"type": "float", "default": 60},
        "slot_bytes": {"type": "int", "default": 1073741824},
    }
    module = AnsibleModule(argument_spec={**CONNECTION_OPTIONS, **limits}, supports_check_mode=True)
    options = module.params
    wanted = Limits(**{name: options[name] for name in limits})
    conclude(module, lambda: information(connection_from(options), wanted, options["system_identifier"]))


if __name__ == "__main__":
    main()
