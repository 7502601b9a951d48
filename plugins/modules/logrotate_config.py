#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: Let logrotate turn the logs of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: logrotate_config
short_description: Let logrotate turn the logs of a service
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Writes the configuration of C(logrotate) for a service. C(logrotate --debug) reads it before it takes its place, by itself and
    together with the other files of O(folder), so that no log is turned by two of them.
  - Only a file that it has made itself is replaced or removed.
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
  service:
    description: Name of the service, and of the file.
    type: str
    required: true
  rotations:
    description:
      - What is turned, each with C(name) and C(paths) (a list). Without any, the file is removed.
      - When, by C(frequency) (hourly, daily, weekly, monthly, yearly), C(size) (such as C(100M)), or both, whichever comes first.
      - C(rotate) is how many turned logs are kept (7), C(max_age_days) deletes older ones. C(compress) (true) and C(delay_compress)
        (false) say whether and when they are compressed, C(date_in_name) (true) whether they are named by their date.
      - C(copytruncate) (false) copies the log and empties it, for services that keep it open. What they write between the two is lost.
        C(postrotate) (program and arguments) instead tells the service to open it again.
      - C(create) (mode, owner, group) makes the new log, C(account) (user, group) is who turns it, needed where others than root may
        write to the folder.
    type: list
    elements: dict
    default: []
  folder:
    description: Folder of the configuration files.
    type: path
    default: /etc/logrotate.d
seealso:
  - module: sre.runbooks.log_files_age
"""

EXAMPLES = r"""
- name: Turn the logs above 100 MB
  sre.runbooks.logrotate_config:
    service: calendar-api
    rotations:
      - name: logs
        paths: ["/opt/calendar-api/logs/*.log"]
        size: 100M
        rotate: 30
        max_age_days: 30
        copytruncate: true
"""

RETURN = r"""
file:
  description: The configuration file.
  returned: success
  type: str
notes:
  description: What else the reader should know.
  returned: success
  type: list
  elements: str
diff:
  description: The file before and after.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.logrotate_config import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
