#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: slow queries of a PostgreSQL database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_slow_queries_info
short_description: Tell the slow queries of a PostgreSQL database
version_added: "0.1.0"
description:
  - Tells the queries whose mean duration is above a limit, as the extension C(pg_stat_statements) has gathered them, and what is slow at this
    moment, which needs no extension.
  - Where the extension is not there, or not loaded, it says in RV(next_steps) how to get it, and the verdict is V(unknown).
  - The text of queries is shown without the values that are written in it.
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
  database:
    description: Database whose queries are meant.
    type: str
    required: true
  warn_ms:
    description: Mean milliseconds above which a query is slow.
    type: float
    default: 500
  fail_ms:
    description: Mean milliseconds above which a query is far too slow.
    type: float
    default: 1000
  top:
    description: How many queries are told.
    type: int
    default: 10
  order:
    description: Which come first, those with the longest mean, the most time in all, the longest single run, or the most calls.
    type: str
    choices: [mean, total, max, calls]
    default: mean
  min_calls:
    description: Queries that were called less often are left out.
    type: int
    default: 1
"""

EXAMPLES = r"""
- name: Look for slow queries
  sre.runbooks.pg_slow_queries_info:
    login_host: 127.0.0.1
    login_port: 15432
    login_password: "{{ postgresql_password }}"
    database: reference
  register: slow
"""

RETURN = r"""
summary:
  description: The slow queries in lines for a reader.
  returned: success
  type: list
  elements: str
verdict:
  description: V(pass), V(warn) when there are slow queries, V(fail) when some are far too slow, V(unknown) when nothing is gathered.
  returned: success
  type: str
available:
  description: Whether the server gathers the durations of queries.
  returned: success
  type: bool
next_steps:
  description: How to have them gathered, where they are not.
  returned: success
  type: list
  elements: str
queries:
  description: The slow queries, with C(id), C(user), C(query), C(calls), C(rows), C(mean_ms), C(max_ms), C(total_ms), C(percent_of_time),
    C(cache_hit_percent), C(temporary_bytes) and C(verdict).
  returned: success
  type: list
  elements: dict
slow:
  description: How many slow queries there are in all.
  returned: success
  type: int
far_too_slow:
  description: How many of them are far too slow.
  returned: success
  type: int
counting_since:
  description: Since when the server counts (PostgreSQL 14 and newer).
  returned: success
  type: str
running:
  description: Queries that run at this moment for longer than O(warn_ms), the longest first.
  returned: success
  type: list
  elements: dict
notes:
  description: What else is to be known.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.database_care.slow_queries import ORDERS, SlowRequest, information
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, connection_from


def main() -> None:
    """Run the module."""
    wanted = {
        "database": {"type": "str", "required": True},
        "warn_ms": {"type": "float", "default": 500},
        "fail_ms": {"type": "float", "default": 1000},
        "top": {"type": "int", "default": 10},
        "order": {"type": "str", "choices": list(ORDERS), "default": "mean"},
        "min_calls": {"type": "int", "default": 1},
    }
    module = AnsibleModule(argument_spec={**CONNECTION_OPTIONS, **wanted}, supports_check_mode=True)
    options = module.params

    def operation() -> t.Dict[str, t.Any]:
        chosen = {name: options[name] for name in wanted}
        return information(SlowRequest(connection_from(options), expected_identifier=options["system_identifier"], **chosen))

    conclude(module, operation)


if __name__ == "__main__":
    main()
