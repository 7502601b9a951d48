#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: take a backup set of files or of a Docker volume."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files_backup
short_description: Take a backup set of files or of a Docker volume
version_added: "0.1.0"
description:
  - Takes a new backup set of folders and files, with owners, modes, times to the nanosecond, hard and symbolic links, sparse files, extended
    attributes and access lists, whatever bytes their names are of.
  - GNU C(tar) reads the files. What it reads is hashed on its way, so that the set holds a list with the SHA-256 of every file, by which a
    restore is compared.
  - Files that change while they are read are read again up to three times; one that changes each time is told.
  - Files that O(encrypt) names go in encrypted, as does their list; they are in clear only in pipes.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.files
  - sre.runbooks.files.encryption
attributes:
  check_mode:
    support: full
    details: Looks at everything that could stop the backup, and tells what would be done.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: Each run takes a new set.
options:
  store:
    description: Name of the store in the profile.
    type: str
    required: true
  backup_folder:
    description: Folder of the backup sets on this host. Where it lies in one of the paths, it is left out.
    type: path
    required: true
  into:
    description: Folder in the set for the archives.
    type: str
    default: ""
  include:
    description: Only files that fit one of these patterns, written as those of O(exclude). By default all.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Files and folders that stay out. A pattern without a slash is held against every part of a path, one with a slash, be it in front,
        against the path below the source. What lies in a folder that fits, fits, too.
    type: list
    elements: str
    default: []
  encrypt:
    description: Files that go into the set encrypted, such as C(.env). Needs O(encryption).
    type: list
    elements: str
    default: []
  compression:
    description: V(auto) takes zstd level 1, or gzip level 1 where there is no zstd; or V(zstd:3), V(gzip:6).
    type: str
    default: auto
  run_id:
    description: Run that the set belongs to.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Back up the configuration, secrets encrypted
  sre.runbooks.files_backup:
    store: configuration
    paths:
      - /opt/insighthub/.env
      - /opt/insighthub/config
    encrypt:
      - .env
    encryption:
      recipients:
        - age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq
    backup_folder: /var/backups/sre-runbooks

- name: Back up the volume of Prometheus
  sre.runbooks.files_backup:
    store: prometheus_data
    volume: prometheus_data
    backup_folder: /var/backups/sre-runbooks
"""

RETURN = r"""
backup_set:
  description: The new set, as M(sre.runbooks.backup_set_info) shows it.
  returned: success, not in check mode
  type: dict
content:
  description: How many files, folders and links the set holds, of how many bytes, and for each path its archives.
  returned: success, not in check mode
  type: dict
duration_s:
  description: Time that the backup took, in seconds.
  returned: success, not in check mode
  type: float
notes:
  description: What else the reader should know, for example which files changed each time they were read.
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

from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up, describe
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.options import FILES_OPTIONS, SELECTION_OPTIONS, store_from
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **FILES_OPTIONS,
            **SELECTION_OPTIONS,
            "store": {"type": "str", "required": True},
            "backup_folder": {"type": "path", "required": True},
            "compression": {"type": "str", "default": "auto"},
            "run_id": {"type": "str", "default": ""},
        },
        mutually_exclusive=[("paths", "volume")],
        supports_check_mode=True,
    )
    options = module.params

    def operation() -> dict:
        store = store_from(options, options["store"])
        request = FilesBackup(store, options["backup_folder"], options["compression"], options["run_id"])
        return describe(request) if module.check_mode else back_up(request)

    conclude(module, operation)


if __name__ == "__main__":
    main()
