#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: remove what restores of a Redis server replaced."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_restore_prune
short_description: Remove what restores of a Redis or Valkey server replaced
version_added: "0.1.0"
description:
  - Removes the folders C(before_<time>) and C(undone_<time>) of the server's data folder but for the newest.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.redis
  - sre.runbooks.redis_data_folder
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  keep:
    description: How many stay.
    type: int
    default: 1
seealso:
  - module: sre.runbooks.redis_restore
"""

EXAMPLES = r"""
- name: Free the room that restores of the cache still take
  sre.runbooks.redis_restore_prune:
    port: 16379
    password: "{{ cache_password }}"
    keep: 0
"""

RETURN = r"""
dropped:
  description: Folders that were removed, the newest first.
  returned: success
  type: list
  elements: str
kept:
  description: Folders that stay, the newest first.
  returned: success
  type: list
  elements: str
freed_bytes:
  description: Size of what was removed, in bytes.
  returned: success
  type: int
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.redis.options import CONNECTION_OPTIONS, FILE_OPTIONS, server_from, wishes_from
from ansible_collections.sre.runbooks.plugins.module_utils.redis.replaced import prune


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**CONNECTION_OPTIONS, **FILE_OPTIONS, "keep": {"type": "int", "default": 1}},
        supports_check_mode=True,
    )
    options = module.params
    conclude(module, lambda: prune(server_from(options), wishes_from(options), options["keep"], dry_run=module.check_mode))


if __name__ == "__main__":
    main()
