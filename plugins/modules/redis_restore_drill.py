#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: prove a set of a Redis server by loading it elsewhere."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_restore_drill
short_description: Prove a set of a Redis or Valkey server by loading it elsewhere
version_added: "0.1.0"
description:
  - Lets C(redis-check-rdb) read a copy of the set's file, loads it into a server of its own that only the module can reach, compares its
    keys with the manifest, and removes all traces. Nothing live is touched.
  - The set is marked as proven, or as failed when it does not hold what was backed up.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.restored_set.rehearsed
options:
  work_folder:
    description: Folder for the copy. By default the one that holds the set.
    type: path
  container:
    description: Container whose image has the programs. By default those of this host are used.
    type: str
    default: ""
  container_engine:
    description: Client of the container engine.
    type: str
    choices: [docker, podman]
    default: docker
  tool_folder:
    description: Folder of the server's programs. By default the search path.
    type: path
  start_timeout_s:
    description: Seconds until the file must have been loaded.
    type: int
    default: 600
seealso:
  - module: sre.runbooks.redis_restore
"""

EXAMPLES = r"""
- name: Would the set restore?
  sre.runbooks.redis_restore_drill:
    set_folder: /var/backups/sre-runbooks/20261121T020000Z-cache-rdb-1f3a
"""

RETURN = r"""
backup_set:
  description: The set, with its new state.
  returned: success, not in check mode
  type: dict
restored_after_s:
  description: Time until the restored data served, in seconds.
  returned: success, not in check mode
  type: float
comparison:
  description: What was compared with the manifest, what differed (nothing, or the module fails) and what could not be compared.
  returned: success, not in check mode
  type: dict
durations_s:
  description: Time of each step, in seconds.
  returned: success, not in check mode
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import REHEARSED_SET_OPTIONS
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.place import place_from
from ansible_collections.sre.runbooks.plugins.module_utils.redis.rehearsal import describe, rehearse


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **REHEARSED_SET_OPTIONS,
            "work_folder": {"type": "path"},
            "container": {"type": "str", "default": ""},
            "container_engine": {"type": "str", "choices": ["docker", "podman"], "default": "docker"},
            "tool_folder": {"type": "path"},
            "start_timeout_s": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        one = read_set(options["set_folder"])
        place = place_from(options)
        if module.check_mode:
            return describe(one, place)
        return rehearse(one, place, options["work_folder"] or "", timeout_s=options["start_timeout_s"], run_id=options["run_id"])

    conclude(module, operation)


if __name__ == "__main__":
    main()
