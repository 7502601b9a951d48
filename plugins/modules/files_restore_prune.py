#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: remove the files that earlier restores replaced."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files_restore_prune
short_description: Remove the files that earlier restores replaced
version_added: "0.1.0"
description:
  - Removes what restores and undos of these paths kept beside them, but for the newest, and what killed restores left half done.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.files
  - sre.runbooks.files.encryption
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  keep:
    description: So many restores' replaced files stay.
    type: int
    default: 1
"""

EXAMPLES = r"""
- name: Keep only what the last restore of the configuration replaced
  sre.runbooks.files_restore_prune:
    paths:
      - /opt/insighthub/config
"""

RETURN = r"""
dropped:
  description: What was removed.
  returned: success
  type: list
  elements: str
kept:
  description: What stays, the newest first.
  returned: success
  type: list
  elements: str
freed_bytes:
  description: Sum of the sizes of what was removed, in bytes.
  returned: success
  type: int
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.file_store.kept import prune
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.options import FILES_OPTIONS, store_from
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**FILES_OPTIONS, "keep": {"type": "int", "default": 1}},
        mutually_exclusive=[("paths", "volume")],
        supports_check_mode=True,
    )
    options = module.params
    conclude(module, lambda: prune(store_from(options, ""), options["keep"], dry_run=module.check_mode))


if __name__ == "__main__":
    main()
