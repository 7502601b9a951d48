# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the modules for point in time are told where a server's log is archived."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the option in plugins/module_utils/pitr/options.py."""

    DOCUMENTATION = r"""
options:
  pitr:
    description: How and where the server's log is archived with pgBackRest, which must be installed on the server's own host.
    type: dict
    required: true
    suboptions:
      stanza:
        description: Name of the server in the repository, such as the store's.
        type: str
        required: true
      config_file:
        description: pgBackRest's configuration for this server. It belongs to this collection alone. By default C(/etc/pgbackrest/<stanza>.conf).
        type: path
      program:
        description: Name or path of pgBackRest.
        type: str
        default: pgbackrest
      repository:
        description: Where backups and log are kept.
        type: dict
        default: {}
        suboptions:
          type:
            description: A folder, or an object store that is spoken to over HTTPS.
            type: str
            choices: [posix, s3]
            default: posix
          path:
            description: The folder, or the path in the bucket. It begins with C(/).
            type: str
            default: /var/lib/pgbackrest
          bucket:
            description: Name of the bucket.
            type: str
            default: ""
          endpoint:
            description: Host, or host and port, of the object store.
            type: str
            default: ""
          region:
            description: Region of the object store.
            type: str
            default: us-east-1
          access_key:
            description: Access key. It is kept in O(pitr.config_file), which only the server's account can read.
            type: str
            default: ""
          secret_key:
            description: Secret key. It is kept in O(pitr.config_file), which only the server's account can read.
            type: str
            default: ""
          ca_file:
            description: Certificates that the object store's must lead to. By default the system's.
            type: path
          uri_style:
            description: Where the bucket's name stands in a URL.
            type: str
            choices: [host, path]
            default: host
          passphrase:
            description:
              - Encrypts the repository (aes-256-cbc). Without it nothing can be restored, so keep it where a disaster does not reach it.
              - It cannot be changed once the stanza exists.
            type: str
            default: ""
      compression:
        description: Algorithm and level, in pgBackRest's words.
        type: str
        default: zst:1
      jobs:
        description: Parallel jobs.
        type: int
        default: 2
      keep_full:
        description: How many full backups stay, each with the log from it on. Every moment since the oldest of them can be restored.
        type: int
        default: 2
      keep_days:
        description: When more than 0, full backups stay as long as they are needed to restore every moment of so many days.
        type: int
        default: 0
      archive_timeout_s:
        description:
          - After so many seconds a log segment in which anything was written is archived although it is not full. Together with the time to
            archive it this is the most that can be lost.
        type: int
        default: 60
      wal_wait_s:
        description: Seconds to wait for a log segment to be archived.
        type: int
        default: 60
      lock_folder:
        description: Folder of pgBackRest's locks. By default its own.
        type: path
"""
