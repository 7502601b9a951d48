#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: put back what a restore of a Redis server replaced."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_restore_undo
short_description: Put back what a restore of a Redis or Valkey server replaced
version_added: "0.1.0"
description:
  - Stops the server, lets the files that a restore replaced take their place again, and starts it. The restored ones are kept in the data
    folder as C(undone_<time>).
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
    support: none
    details: Each run goes back by one restore.
options:
  replaced:
    description: Which kept folder to put back; by default the newest C(before_<time>).
    type: str
    default: ""
seealso:
  - module: sre.runbooks.redis_restore
"""

EXAMPLES = r"""
- name: It was the wrong set
  sre.runbooks.redis_restore_undo:
    port: 16379
    password: "{{ cache_password }}"
"""

RETURN = r"""
put_back:
  description: Folder whose files serve again.
  returned: success
  type: str
kept_as:
  description: Folder in which the restored files are kept.
  returned: success
  type: str
cut_off_s:
  description: Time for which clients could not work, in seconds.
  returned: success, not in check mode
  type: float
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.redis.options import CONNECTION_OPTIONS, FILE_OPTIONS, server_from, wishes_from
from ansible_collections.sre.runbooks.plugins.module_utils.redis.replaced import undo


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**CONNECTION_OPTIONS, **FILE_OPTIONS, "replaced": {"type": "str", "default": ""}},
        supports_check_mode=True,
    )
    options = module.params
    conclude(module, lambda: undo(server_from(options), wishes_from(options), options["replaced"], dry_run=module.check_mode))


if __name__ == "__main__":
    main()
