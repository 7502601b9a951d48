#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: restore a Redis or Valkey server from a backup set."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_restore
short_description: Restore a Redis or Valkey server from a backup set
version_added: "0.1.0"
description:
  - Copies the set's file beside the server's own, lets C(redis-check-rdb) read it, loads it into a server of its own, and compares its keys
    with the manifest. The live server serves meanwhile.
  - Then it stops the live server, lets the files change places, and starts it. With C(appendonly yes) a server ignores its RDB file, so the
    append-only files are made first, by the same program.
  - The replaced files are kept in the data folder as C(before_<time>). With files that it does not load the server gets its former ones back.
  - A server that does not run, or has lost its data, is restored in the same way.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.restored_set
  - sre.runbooks.redis
  - sre.runbooks.redis_data_folder
seealso:
  - module: sre.runbooks.redis_restore_undo
  - module: sre.runbooks.redis_restore_drill
"""

EXAMPLES = r"""
- name: Restore the cache
  sre.runbooks.redis_restore:
    port: 16379
    password: "{{ cache_password }}"
    set_folder: /var/backups/sre-runbooks/20261121T020000Z-cache-rdb-1f3a
    server_stop_command: [systemctl, stop, redis-server]
    server_start_command: [systemctl, start, redis-server]
"""

RETURN = r"""
store:
  description: The store that the set is of.
  returned: success
  type: str
kept_as:
  description: Folder in which the replaced files are kept.
  returned: success
  type: str
cut_off_s:
  description: Time for which clients could not work during the exchange, in seconds.
  returned: success, not in check mode
  type: float
serving_after_s:
  description: Time from the start of the module until the restored data served, in seconds.
  returned: success, not in check mode
  type: float
serving_at:
  description: The moment at which the restored data served, in seconds since 1970-01-01 UTC.
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
notes:
  description: What else the reader should know, in sentences.
  returned: success, not in check mode
  type: list
  elements: str
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import RESTORED_SET_OPTIONS, restored_set_from
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.redis.options import CONNECTION_OPTIONS, FILE_OPTIONS, server_from, wishes_from
from ansible_collections.sre.runbooks.plugins.module_utils.redis.restore import RestoreRequest, describe, restore


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_OPTIONS,
            **FILE_OPTIONS,
            **RESTORED_SET_OPTIONS,
        },
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        one = restored_set_from(options, module.check_mode)
        request = RestoreRequest(server_from(options), one, wishes_from(options))
        return describe(request) if module.check_mode else restore(request)

    conclude(module, operation)


if __name__ == "__main__":
    main()
