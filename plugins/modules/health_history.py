#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: record what checks and metrics said."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_history
short_description: Record what checks and metrics said
version_added: "0.1.0"
description:
  - Writes the results of M(sre.runbooks.health_check) and M(sre.runbooks.metrics_gate) into the history of the service, one SQLite file
    C(<state folder>/history/<service>.sqlite3). Reports, baselines and the status page read it.
  - All of a run is recorded or nothing, also when the process is killed. Several runs may record at the same time.
  - A damaged file is never overwritten; the task fails and says so.
  - A year of ten checks every five minutes takes about 55 MB. The folder must be on a local file system, not on NFS.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
attributes:
  check_mode:
    support: full
    details: Says what it would record; nothing is written.
  diff_mode:
    support: none
    details: What it records is new each time.
  idempotent:
    support: partial
    details: With the same O(at), O(procedure) and O(run_id) the results take the place of those that were recorded before.
options:
  service:
    description: Name of the service, as in the profile.
    type: str
    required: true
  checks:
    description: Results of M(sre.runbooks.health_check), its RV(sre.runbooks.health_check#module:results).
    type: list
    elements: dict
    default: []
  metrics:
    description: Results of M(sre.runbooks.metrics_gate), its RV(sre.runbooks.metrics_gate#module:metrics).
    type: list
    elements: dict
    default: []
  run_id:
    description: Id of the run that found them.
    type: str
    default: ""
  procedure:
    description: Its procedure.
    type: str
    default: ""
  at:
    description: When they were found, in UTC (ISO 8601) or in seconds since 1970. Default is now.
    type: str
    default: ""
  verdict:
    description: Verdict of the whole. Default is the one that outweighs the others.
    type: str
    choices: [fail, pass, unknown, warn]
  severity:
    description: Name of the severity that the profile gives it.
    type: str
    default: ""
  score:
    description: Share of what is well, from 0 to 1.
    type: float
  summary:
    description: What a reader should know of it, in a sentence or two.
    type: str
    default: ""
  documents:
    description: Whole results to keep as the newest of their name (C(health), C(metrics), C(logs), C(alerts)), for the status page.
    type: dict
    default: {}
  keep_days:
    description: Results and runs older than so many days are forgotten. Default is to forget nothing.
    type: float
seealso:
  - module: sre.runbooks.health_history_info
"""

EXAMPLES = r"""
- name: Ask all checks
  sre.runbooks.health_check:
    checks: "{{ health_checks }}"
    fail_on: []
  register: health

- name: Record what they said, and forget what is older than a year
  sre.runbooks.health_history:
    service: "{{ service_name }}"
    procedure: health_check
    checks: "{{ health.results }}"
    score: "{{ health.score }}"
    summary: "{{ health.summary }}"
    documents:
      health: "{{ health }}"
    keep_days: 366
"""

RETURN = r"""
path:
  description: The file of the history.
  returned: success
  type: str
  sample: /var/lib/sre-runbooks/history/paralegal.sqlite3
results:
  description: How many results were recorded, or would be.
  returned: success
  type: int
documents:
  description: Names of the documents that were kept, or would be.
  returned: success
  type: list
  elements: str
forgotten:
  description: How many old results were forgotten; 0 in check mode, where they are not counted.
  returned: success
  type: int
at:
  description: The moment of the results in UTC, ISO 8601.
  returned: success
  type: str
size_bytes:
  description: Size of the history on disk in bytes.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.history.operation import WRITE_OPTIONS, write
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec={name: dict(option) for name, option in WRITE_OPTIONS.items()}, supports_check_mode=True)
    conclude(module, lambda: write(module.params, module.check_mode))


if __name__ == "__main__":
    main()
