#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: verify, mark, prune or seal backup sets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set
short_description: Verify, mark, prune or seal backup sets
version_added: "0.1.0"
description:
  - Works on finished backup sets of any kind. What was found is written into the set's C(proof.json).
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.keep
attributes:
  check_mode:
    support: full
    details: A verification reads everything and writes nothing down; pruning tells what would go and why.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: Pruning and sealing change nothing when there is nothing to do; verifications and marks add a line to the proofs each time.
options:
  backup_folder:
    description: Folder of the backup sets on this host.
    type: path
    required: true
  operation:
    description:
      - V(verify) reads every file, compares it with the manifest, and lets the store's own tool look at it. Where that tool is missing,
        or older than the set, the proof says so.
      - V(mark) writes down what else was found out, see O(state).
      - V(prune) removes the sets that no rule keeps. The newest proven set and the newest good one of every store and method always stay,
        and so does a set that is being verified, copied or restored, and one that another is built on.
      - V(seal) makes a set of the files in O(folder).
    type: str
    choices: [verify, mark, prune, seal]
    required: true
  set:
    description: Name of the set. Required to verify and to mark.
    type: str
  state:
    description: What was found out. Required to mark.
    type: str
    choices: [verified, proven, failed]
  detail:
    description: A sentence about it.
    type: str
    default: ""
  folder:
    description: Folder of the files to seal, on the file system of O(backup_folder). It is gone afterwards.
    type: path
  store:
    description: Name of the store that is sealed.
    type: str
  kind:
    description: What the files to seal are.
    type: str
    default: files
  tool_folder:
    description: Folder of the tools that look at the set after its checksums, for PostgreSQL sets C(pg_restore). By default the search path.
    type: path
  run_id:
    description: Run that this belongs to.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Verify a set
  sre.runbooks.backup_set:
    backup_folder: /var/backups/sre-runbooks
    operation: verify
    set: 20261121T020000Z-reference-logical-1f3a

- name: Remove what is no longer needed
  sre.runbooks.backup_set:
    backup_folder: /var/backups/sre-runbooks
    operation: prune
    keep_last: 7
    keep_days: 30
    keep_monthly: 12
    time_zone: Europe/Berlin

- name: Seal a folder of files
  sre.runbooks.backup_set:
    backup_folder: /var/backups/sre-runbooks
    operation: seal
    folder: /var/backups/sre-runbooks/.configuration
    store: configuration
"""

RETURN = r"""
backup_set:
  description: The set, its state and its proofs.
  returned: when verifying, marking or sealing
  type: dict
removed:
  description: Names of the sets that were removed.
  returned: when pruning
  type: list
  elements: str
leftovers:
  description: What killed runs had left and was removed.
  returned: when pruning
  type: list
  elements: str
reasons:
  description: For every set why it stays or goes.
  returned: when pruning
  type: dict
listing:
  description: One line for every set, the newest first, with its state and why it stays or goes.
  returned: when pruning
  type: list
  elements: str
freed_bytes:
  description: Size of what was removed, in bytes.
  returned: when pruning
  type: int
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set import operations
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.options import KEEP_OPTIONS, keep_from
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.tool_checks import problems_by_tool


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "backup_folder": {"type": "path", "required": True},
            "operation": {"type": "str", "choices": ["verify", "mark", "prune", "seal"], "required": True},
            "set": {"type": "str"},
            "state": {"type": "str", "choices": ["verified", "proven", "failed"]},
            "detail": {"type": "str", "default": ""},
            **KEEP_OPTIONS,
            "folder": {"type": "path"},
            "store": {"type": "str"},
            "kind": {"type": "str", "default": "files"},
            "tool_folder": {"type": "path"},
            "run_id": {"type": "str", "default": ""},
        },
        required_if=[
            ("operation", "verify", ["set"]),
            ("operation", "mark", ["set", "state"]),
            ("operation", "seal", ["folder", "store"]),
        ],
        supports_check_mode=True,
    )
    options, folder, dry_run = module.params, module.params["backup_folder"], module.check_mode

    def operation() -> dict:
        if options["operation"] == "prune":
            return operations.prune(folder, keep_from(options), dry_run=dry_run)
        if options["operation"] == "seal":
            return operations.seal(options["folder"], folder, options["store"], options["kind"], dry_run=dry_run)
        one = operations.open_set(folder, options["set"])
        if options["operation"] == "verify":
            look = partial(problems_by_tool, tool_folder=options["tool_folder"] or "")
            return operations.verify(one, run_id=options["run_id"], tool_check=look, dry_run=dry_run)
        return operations.mark(one, options["state"], run_id=options["run_id"], detail=options["detail"], dry_run=dry_run)

    conclude(module, operation)


if __name__ == "__main__":
    main()
