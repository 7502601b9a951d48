#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: what keys a Redis or Valkey server has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_keys_info
short_description: What keys a Redis or Valkey server has
version_added: "0.1.0"
description:
  - Counts the keys of a pattern by C(SCAN), a few at a time, and tells the beginnings of their names, types of a sample, memory and hits.
  - Whole names of keys are never shown, since they may hold secrets.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.redis
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  idempotent:
    support: full
options:
  database:
    description: Number of the database.
    type: int
    default: 0
  pattern:
    description: Pattern of the names, as C(SCAN) understands it.
    type: str
    default: "*"
  type:
    description: Type of the values, for example V(string) or V(hash). By default any.
    type: str
    default: ""
seealso:
  - module: sre.runbooks.redis_keys
"""

EXAMPLES = r"""
- name: What is in the cache
  sre.runbooks.redis_keys_info:
    port: 16379
    password: "{{ cache_password }}"
    pattern: "cache:*"
"""

RETURN = r"""
matching:
  description: Keys that fit; one that came or went meanwhile may be counted or not.
  returned: success
  type: int
prefixes:
  description: The most frequent beginnings of their names up to the first colon, ids left out, that several keys have; with the number of keys.
  returned: success
  type: dict
sampled_types:
  description: Types of the first 200 of them.
  returned: success
  type: dict
databases:
  description: Keys of every database, and how many of them expire.
  returned: success
  type: dict
memory:
  description: C(used_bytes), C(maximum_bytes), C(policy), C(fragmentation).
  returned: success
  type: dict
hit_ratio:
  description: Look-ups that found a key since the server was started, as a part of 1; null when there were none.
  returned: success
  type: float
longest_command_ms:
  description: The longest that one command took, in milliseconds, as seen from here.
  returned: success
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.redis.keys import KeysRequest, information
from ansible_collections.sre.runbooks.plugins.module_utils.redis.options import CONNECTION_OPTIONS, server_from


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            "database": {"type": "int", "default": 0},
            "pattern": {"type": "str", "default": "*", "no_log": False},
            "type": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params
    conclude(module, lambda: information(KeysRequest(server_from(options), options["database"], options["pattern"], options["type"])))


if __name__ == "__main__":
    main()
