#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: maintenance of a PostgreSQL database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_maintenance
short_description: Vacuum, analyse and rebuild what a PostgreSQL database needs, beside the service
version_added: "0.1.0"
description:
  - Drops what killed rebuilds have left, vacuums and analyses tables, and rebuilds bloated indexes with REINDEX CONCURRENTLY, each only where it
    is needed, and those first that need it most.
  - Nothing it does takes a lock that readers or writers wait for. What would have to wait too long for others is postponed and told.
  - A run that is killed leaves every index in use as it was. The half-made one that it leaves is found and dropped by the next run.
  - How much of an index holds nothing is estimated from the planner's statistics; with the extension C(pgstattuple) it is measured before
    anything is rebuilt.
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
  database:
    description: Database to maintain.
    type: str
    required: true
  steps:
    description: What may be done. Leftovers of killed rebuilds are dropped with V(reindex).
    type: list
    elements: str
    choices: [vacuum_analyze, analyze, reindex]
    default: [vacuum_analyze, reindex]
  everything:
    description: Whether every table is vacuumed and analysed, needed or not.
    type: bool
    default: false
  tables:
    description: Only these tables, as V(name) or V(schema.name); empty for all.
    type: list
    elements: str
    default: []
  dead_percent:
    description: Dead rows in percent of all, above which a table is vacuumed.
    type: float
    default: 5
  dead_rows:
    description: How many dead rows it must have at least.
    type: int
    default: 1000
  changed_percent:
    description: Rows changed since the last ANALYZE, in percent, above which a table is analysed.
    type: float
    default: 10
  freeze_percent:
    description: Age of a table's oldest row, in percent of C(autovacuum_freeze_max_age), above which it is vacuumed before all others.
    type: float
    default: 50
  waste_percent:
    description: Share of an index that holds nothing, in percent, above which it is rebuilt. Below 30 a rebuild is soon undone.
    type: float
    default: 40
  waste_bytes:
    description: How many bytes of it must hold nothing at least.
    type: int
    default: 10000000
  jobs:
    description: How many tables are vacuumed at once.
    type: int
    default: 2
  budget_s:
    description: Seconds that all of it may take. What is not reached is told.
    type: float
    default: 3600
  lock_timeout_s:
    description: Seconds to wait for a lock, or for older transactions to end.
    type: float
    default: 10
"""

EXAMPLES = r"""
- name: Do what the reference database needs, in half an hour at most
  sre.runbooks.pg_maintenance:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    database: reference
    budget_s: 1800
"""

RETURN = r"""
summary:
  description: What was done, and sizes before and after, in lines for a reader.
  returned: success
  type: list
  elements: str
plan:
  description: What is done, in sentences and in its order.
  returned: success
  type: list
  elements: str
steps:
  description: Each step with its C(action), C(name) and C(reason), and outside check mode its C(outcome) - V(done), V(postponed), V(failed) -,
    C(why) and C(duration_s).
  returned: success
  type: list
  elements: dict
tables:
  description: The tables concerned, with bytes, bytes that hold nothing, and dead rows, before and after.
  returned: success
  type: list
  elements: dict
indexes:
  description: The indexes concerned, with bytes and bytes that hold nothing, before and after.
  returned: success
  type: list
  elements: dict
freed_bytes:
  description: By how much tables and indexes have become smaller.
  returned: success
  type: int
held_back_by:
  description: Transactions and replication slots because of which dead rows stay.
  returned: success
  type: list
  elements: str
notes:
  description: What needs a person, and what was postponed.
  returned: success
  type: list
  elements: str
duration_s:
  description: Seconds that it took.
  returned: success
  type: float
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance import MaintenanceRequest, maintain
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance_plan import STEPS, Rules
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, connection_from


def main() -> None:
    """Run the module."""
    rules = {
        "steps": {"type": "list", "elements": "str", "choices": list(STEPS), "default": ["vacuum_analyze", "reindex"]},
        "everything": {"type": "bool", "default": False},
        "tables": {"type": "list", "elements": "str", "default": []},
        "dead_percent": {"type": "float", "default": 5},
        "dead_rows": {"type": "int", "default": 1000},
        "changed_percent": {"type": "float", "default": 10},
        "freeze_percent": {"type": "float", "default": 50},
        "waste_percent": {"type": "float", "default": 40},
        "waste_bytes": {"type": "int", "default": 10000000},
    }
    how = {
        "database": {"type": "str", "required": True},
        "jobs": {"type": "int", "default": 2},
        "budget_s": {"type": "float", "default": 3600},
        "lock_timeout_s": {"type": "float", "default": 10},
    }
    module = AnsibleModule(argument_spec={**CONNECTION_OPTIONS, **rules, **how}, supports_check_mode=True)
    options = module.params

    def operation() -> t.Dict[str, t.Any]:
        request = MaintenanceRequest(
            connection_from(options),
            rules=Rules(**{name: options[name] for name in rules}),
            expected_identifier=options["system_identifier"],
            **{name: options[name] for name in how},
        )
        return maintain(request, dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
