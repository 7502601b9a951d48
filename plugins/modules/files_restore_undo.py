#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: put back the files that a restore replaced."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files_restore_undo
short_description: Put back the files that a restore replaced
version_added: "0.1.0"
description:
  - Lets what the newest restore of these paths replaced, or the one named, change places with what is in use, each path in one step.
  - What was in use is kept as C(.<name>_undone_<time>).
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
    support: none
    details: Each run goes back by one restore; without anything that was replaced it fails.
options:
  replaced:
    description: Which restore to undo, by the time at the end of the kept names, or by one of these. By default the newest.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Undo the last restore of the configuration
  sre.runbooks.files_restore_undo:
    paths:
      - /opt/insighthub/config
"""

RETURN = r"""
put_back:
  description: Path in use -> what took its place again.
  returned: success
  type: dict
kept_as:
  description: Path in use -> where what was in use until now is kept.
  returned: success
  type: dict
cut_off_s:
  description: Time that the exchange took, for a volume the time for which its containers were stopped, in seconds.
  returned: success, not in check mode
  type: float
notes:
  description: What else the reader should know, in sentences.
  returned: success
  type: list
  elements: str
plan:
  description: What is done, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.file_store.kept import undo
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.options import FILES_OPTIONS, store_from
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**FILES_OPTIONS, "replaced": {"type": "str", "default": ""}},
        mutually_exclusive=[("paths", "volume")],
        supports_check_mode=True,
    )
    options = module.params
    conclude(module, lambda: undo(store_from(options, ""), options["replaced"], dry_run=module.check_mode))


if __name__ == "__main__":
    main()
