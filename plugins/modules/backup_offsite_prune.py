#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: remove off-site copies that no rule keeps."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_offsite_prune
short_description: Remove the off-site copies that no rule keeps
version_added: "0.1.0"
description:
  - Copies have rules of their own; without any of them (all are V(0)) nothing is removed. The newest proven copy and the newest
    good one of every store and method always stay.
  - A copy loses its manifest first, so that a removal that is cut off leaves nothing that looks like a set. What uploads and removals that
    were cut off a day ago or longer have left is cleared away too. Nothing that does not bear the name of a set is touched.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.offsite
  - sre.runbooks.keep
attributes:
  check_mode:
    support: full
    details: Tells for every copy why it stays or goes.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  offsite:
    required: true
  keep_last:
    default: 0
  keep_days:
    default: 0
"""

EXAMPLES = r"""
- name: Remove the copies that are no longer needed
  sre.runbooks.backup_offsite_prune:
    offsite:
      endpoint: https://s3.example.com
      bucket: backups
      access_key: "{{ offsite_access_key }}"
      secret_key: "{{ offsite_secret_key }}"
    keep_last: 14
    keep_monthly: 12
"""

RETURN = r"""
removed:
  description: Names of the copies that were removed.
  returned: success
  type: list
  elements: str
leftovers:
  description: What interrupted uploads and removals had left and was removed.
  returned: success
  type: list
  elements: str
reasons:
  description: For every copy why it stays or goes.
  returned: success
  type: dict
listing:
  description: One line for every copy, the newest first, with its state and why it stays or goes.
  returned: success
  type: list
  elements: str
service_sets:
  description: Records of sets that were taken together, of which no copy is left, and which were removed.
  returned: success
  type: list
  elements: str
decisions:
  description: That nothing is ever removed, where there is no rule.
  returned: success
  type: list
  elements: str
freed_bytes:
  description: Size of what was removed, in bytes.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite_prune import prune_offsite
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import (
    OFFSITE_KEEP_OPTIONS,
    OFFSITE_OPTION,
    keep_from,
    object_store_from,
)
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"offsite": {**OFFSITE_OPTION, "required": True}, **OFFSITE_KEEP_OPTIONS}, supports_check_mode=True
    )
    options = module.params

    def operation() -> dict:
        return prune_offsite(object_store_from(options["offsite"]), keep_from(options), dry_run=module.check_mode)

    conclude(module, operation)


if __name__ == "__main__":
    main()
