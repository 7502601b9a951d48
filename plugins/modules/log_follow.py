#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: follow logs for a while."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_follow
short_description: Follow the logs of a service while they are written, for a bounded time
version_added: "0.1.0"
author: "The sre.runbooks authors (@sre-runbooks)"
description:
  - Follows files (through rotations), the output of containers, Compose services and Kubernetes workloads, and the systemd journal, all at once,
    until the time is up, enough lines have come, or all logs have ended.
  - On the controller's own host each line is shown as it comes, by the callback P(sre.runbooks.progress#callback); everywhere the last ones
    are returned.
  - Secrets are masked in everything that is shown or returned.
requirements:
  - tail, docker or podman, journalctl, for logs that they keep
  - the Python package C(kubernetes) for logs of pods; credentials as for M(sre.runbooks.service_kubernetes)
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
options:
  sources:
    description: The logs, in the form of the option O(sre.runbooks.log_scan#module:sources).
    type: list
    elements: dict
    required: true
  follow_s:
    description: Seconds to follow them, at most 3600.
    type: float
    default: 60
  search:
    description: A regular expression; only lines in which it is found are shown. Empty for all lines.
    type: str
    default: ""
  ignore_case:
    description: Whether it finds capitals and small letters alike.
    type: bool
    default: true
  lines:
    description: How many lines of each log's past come first.
    type: int
    default: 10
  stop_after:
    description: End after so many lines that fit; V(0) for never.
    type: int
    default: 0
  keep:
    description: How many of the last lines that fit are returned, at most 10000.
    type: int
    default: 1000
  secrets:
    description: Texts that must not be shown, besides what looks like a secret.
    type: list
    elements: str
    default: []
seealso:
  - module: sre.runbooks.log_scan
"""

EXAMPLES = r"""
- name: Wait for the first error of the next five minutes
  sre.runbooks.log_follow:
    sources:
      - {name: api, path: /opt/calendar-api/logs/calendar-api.log}
      - {name: database, container: postgres}
    follow_s: 300
    search: error|refused
    lines: 0
    stop_after: 1
"""

RETURN = r"""
lines:
  description: The last lines that fit, each with its C(log) and C(line).
  returned: success
  type: list
  elements: dict
seen:
  description: How many lines came.
  returned: success
  type: int
fitting:
  description: How many of them fit.
  returned: success
  type: int
by_log:
  description: How many of them fit, by log.
  returned: success
  type: dict
ended_by:
  description: V(time), V(lines) or V(logs), whichever ended it.
  returned: success
  type: str
duration_s:
  description: Seconds that it took.
  returned: success
  type: float
notes:
  description: Logs that could not be followed, and why.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.logs.follow import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
