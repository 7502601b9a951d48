# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told about a store of files."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options in plugins/module_utils/file_store/options.py."""

    DOCUMENTATION = r"""
options:
  paths:
    description:
      - Folders and files of the store, by their absolute paths. One path must not lie in another.
      - For a restore, those that are to be restored; by default all of the set, where they were.
    type: list
    elements: path
    default: []
  volume:
    description:
      - Docker volume whose files they are, instead of O(paths). Its folder must be reachable on this host, which takes root.
    type: str
    default: ""
  engine:
    description: Client program of the container engine.
    type: str
    choices: [docker, podman]
    default: docker
  tool_folder:
    description: Folder of GNU C(tar) and C(zstd) (or C(gzip)). By default the search path.
    type: path
"""

    # How secret files are encrypted; of its own, since rehearsals take nothing else.
    ENCRYPTION = r"""
options:
  encryption:
    description: How secret files are encrypted at rest.
    type: dict
    suboptions:
      tool:
        description: V(age) (https://age-encryption.org) or V(gpg) (GnuPG 2.2 or newer).
        type: str
        choices: [age, gpg]
        default: age
      recipients:
        description: Public keys of age, or of SSH; for V(gpg) files with public keys. Any one of their private keys opens the set.
        type: list
        elements: str
        default: []
      identity_file:
        description: File with a private key on this host. Restores and rehearsals need it; backups and verifications do not.
        type: path
      tool_folder:
        description: Folder of the program. By default the search path.
        type: path
"""
