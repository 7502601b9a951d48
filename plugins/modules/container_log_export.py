#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: Write the logs of containers to dated files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_log_export
short_description: Write the logs of containers to dated files
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Appends what containers of Docker have written since the last run to the files of its days. Each line goes to the file of the day on
    which the engine got it, in the time zone of the host, as C(date +%Y%m%d) tells it.
  - Each line is written once, in order, also when a run is killed or the disk is full. Before lines are appended they are kept in the state
    folder, with the size of the file and the bookmarks behind them, so that the next run can complete what is half done. Nothing is
    ever cut off from a file, and what others append to it stays.
  - Lines of several containers of a Compose service are merged in order of time, each behind the name of its container, as C(docker compose
    logs) shows them. Those of a single container are as C(docker logs) shows them. Lines of more than a megabyte become several.
  - Only what the engine still has can be had. What it has rotated away (C(max-size), C(max-file)) and what went with a removed container
    between two runs is lost, which C(gaps) tells as far as it is known. Run it more often than that happens.
  - The last line of a container without its end is written when its process has ended; where the container has a terminal, not before the
    end of the line.
  - A new file has owner and mode of the newest of its kind in the folder; the first has mode 0640 and the folder's owner. A folder that is
    missing is made with mode 0750. Nothing is written into the last 64 MB of a disk.
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
      - Those with C(source) (name of one of O(logs)) and C(write_to) (absolute path, with what strftime makes of the time) are carried out;
        others are for M(sre.runbooks.log_files_age).
      - C(follow_to) is kept as a symbolic link to the newest file. Where something else has that name, it stays.
    type: list
    elements: dict
    required: true
  logs:
    description:
      - The logs of the service, as C(service_logs) of a profile describes them. One that a rule names has C(container), or C(compose_service)
        with C(project_folder), C(compose_files) or C(project_name). Other kinds are refused.
    type: list
    elements: dict
    default: []
  state_folder:
    description: Where the bookmarks are kept. By default C(/var/lib/sre-runbooks), for other accounts than root in their own state folder.
    type: path
seealso:
  - module: sre.runbooks.log_files_age
  - module: sre.runbooks.log_scan
"""

EXAMPLES = r"""
- name: Write what the application has said to the files of its days
  sre.runbooks.container_log_export:
    rules:
      - name: rotate
        source: app
        write_to: /opt/paralegal/logs/app_%Y%m%d.log
        follow_to: /opt/paralegal/logs/app_current.log
    logs:
      - {name: app, compose_service: app, project_folder: /opt/paralegal}
"""

RETURN = r"""
plan:
  description: What was done, or would be, in sentences with numbers of lines.
  returned: success
  type: list
  elements: str
files:
  description: Files that lines were appended to, or would be, each with C(rule), C(path), C(lines) and C(bytes).
  returned: success
  type: list
  elements: dict
lines:
  description: Lines in all. What they say is in no result.
  returned: success
  type: int
bytes:
  description: Bytes in all.
  returned: success
  type: int
gaps:
  description: What is lost, or may be, in sentences with the time from which on.
  returned: success
  type: list
  elements: str
containers:
  description: The containers that were read, each with C(rule) and C(names).
  returned: success
  type: list
  elements: dict
notes:
  description: What else the reader should know.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.container_log_export import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
