# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told where off-site copies are kept."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the option in plugins/module_utils/backup_set/options.py."""

    DOCUMENTATION = r"""
options:
  offsite:
    description: The S3 object store with the off-site copies. It is reached by C(rclone), which must be installed.
    type: dict
    suboptions:
      bucket:
        description: The bucket; it must exist.
        type: str
        required: true
      endpoint:
        description: URL of the service. Empty for Amazon's own.
        type: str
        default: ""
      prefix:
        description: Folder in the bucket.
        type: str
        default: ""
      region:
        description: Region of the bucket.
        type: str
        default: ""
      access_key:
        description: Access key. Empty to use the environment's or the instance's own credentials.
        type: str
        default: ""
      secret_key:
        description: Secret key.
        type: str
        default: ""
      ca_file:
        description: Certificates that the service's certificate must lead to.
        type: path
      tool_folder:
        description: Folder of C(rclone). By default the search path.
        type: path
"""
