#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: Compress and delete log files by their age and size."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_files_age
short_description: Compress and delete log files by their age and size
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Compresses log files that were not written to for some days, or that are large, and deletes those that are older still. The compressed
    file has the owner, mode and time of the log file.
  - The compressed form is written under a temporary name, made durable, unpacked again and compared before it gets its name, and only
    then the log file goes. So nothing is lost when the run is killed or the disk is full. The next run completes what a killed one has
    begun.
  - Nothing is compressed into the last 64 MB of a disk, which servers may need; what is deleted goes first.
  - Never touched are symbolic links and what they point to, files with several names, what a rule's C(write_to) or C(follow_to) names as
    the present log, and files that a process has open for writing, or may have, where this account cannot see that. What it has written
    after the file was compressed would be lost. Let C(logrotate) turn such a log (M(sre.runbooks.logrotate_config)).
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  rules:
    description:
      - Each with C(name), C(path) (a folder), C(pattern) (of names; C(**/) in front of it means all folders below, too), and at least one
        of C(compress_after_days), C(compress_above_bytes), C(delete_after_days). A file is compressed when one of the first two is
        exceeded.
      - Rules without these say where the service writes to (C(write_to), with C(%Y%m%d), and C(follow_to)), and protect those files.
        M(sre.runbooks.container_log_export) writes them where there is a C(source).
      - The age of a file is the time since it was last written to.
    type: list
    elements: dict
    required: true
  quiet_s:
    description: A file that was written to in the last so many seconds is in use, though nobody may have it open at this moment.
    type: float
    default: 60
seealso:
  - module: sre.runbooks.container_log_export
  - module: sre.runbooks.logrotate_config
"""

EXAMPLES = r"""
- name: Compress logs after 30 days, delete them after 90
  sre.runbooks.log_files_age:
    rules:
      - {name: rotate, write_to: "/opt/paralegal/logs/app_%Y%m%d.log", follow_to: /opt/paralegal/logs/app_current.log}
      - {name: compress, path: /opt/paralegal/logs, pattern: "*.log", compress_after_days: 30}
      - {name: delete, path: /opt/paralegal/logs, pattern: "*.gz", delete_after_days: 90}
"""

RETURN = r"""
plan:
  description: What was done, or would be, in sentences with size and reason.
  returned: success
  type: list
  elements: str
deleted:
  description: Files that were deleted, or would be, each with C(path), C(size_bytes) and C(reason).
  returned: success
  type: list
  elements: dict
compressed:
  description:
    - Files that were compressed, or would be, each with C(path), C(to), C(size_bytes), C(compressed_bytes) (null in check mode) and
      C(reason).
  returned: success
  type: list
  elements: dict
kept:
  description: Files that a rule would have had compressed or deleted and that stay, with the reason.
  returned: success
  type: list
  elements: dict
saved_bytes:
  description: Bytes that were set free. In check mode what compressing sets free is not known and not counted.
  returned: success
  type: int
notes:
  description: What else the reader should know.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.log_files_age import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
