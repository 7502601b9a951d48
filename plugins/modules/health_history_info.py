#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: tell what checks and metrics said over time."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_history_info
short_description: Tell what checks and metrics said over time
version_added: "0.1.0"
description:
  - Reads the history that M(sre.runbooks.health_history) writes - the newest results, how often each verdict was given, availability,
    percentiles, and the same by hour or by day.
  - Reads without any right to change the file. Where there is no history yet the lists are empty.
author: The sre.runbooks authors (@sre-runbooks)
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.state
options:
  service:
    description: Name of the service, as in the profile.
    type: str
    required: true
  checks:
    description: Names of checks to tell of. Default is all, an empty list none.
    type: list
    elements: str
  metrics:
    description: Names of metrics to tell of. Default is all, an empty list none.
    type: list
    elements: str
  days:
    description: How many days back from O(until).
    type: float
    default: 1
  until:
    description: End of the time to tell of, in UTC (ISO 8601) or in seconds since 1970. Default is now.
    type: str
    default: ""
  by:
    description: Whether numbers are also put together by hour or by day (UTC).
    type: str
    choices: [none, hour, day]
    default: none
  runs:
    description: At most so many runs.
    type: int
    default: 20
  documents:
    description: Names of documents to return.
    type: list
    elements: str
    default: []
seealso:
  - module: sre.runbooks.health_history
"""

EXAMPLES = r"""
- name: Look up last week's availability, day by day
  sre.runbooks.health_history_info:
    service: "{{ service_name }}"
    days: 7
    by: day
  register: week

- name: Show it
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.availability }} of {{ item.samples }} answers"
  loop: "{{ week.checks }}"
"""

RETURN = r"""
path:
  description: The file of the history.
  returned: success
  type: str
exists:
  description: Whether there is one.
  returned: success
  type: bool
since:
  description: Beginning of the time that is told of, in UTC (ISO 8601).
  returned: success
  type: str
until:
  description: Its end.
  returned: success
  type: str
size_bytes:
  description: Size of the history on disk in bytes.
  returned: success
  type: int
checks: &subject
  description: One entry for each name that ever had a result.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check or metric.
      type: str
    component:
      description: The part of the service that it tells of.
      type: str
    unit:
      description: Unit of the numbers; of a check they are latencies in milliseconds.
      type: str
    latest:
      description: Its newest result - C(at), C(verdict), C(value), C(latency_ms), C(reason), C(run_id) and more.
      type: dict
    counts:
      description: How often each verdict was given.
      type: dict
      sample: {pass: 280, warn: 6, unknown: 1, fail: 1}
    percentiles:
      description: C(p50), C(p95) and C(p99) by nearest rank, of a check's latencies or a metric's values; null without any.
      type: dict
    availability:
      description: Share of the answers that were V(pass) or V(warn), V(unknown) left out; for checks. Null without any answer.
      type: float
    samples:
      description: How many answers the availability stands on; for checks.
      type: int
    buckets:
      description: >-
        With O(by), for each hour or day that has results C(at), C(samples), C(minimum), C(mean), C(maximum), C(p50), C(p95)
        and the numbers of C(pass), C(warn), C(fail) and C(unknown).
      type: list
      elements: dict
metrics: *subject
runs:
  description: The runs that recorded something, the newest first - C(at), C(run_id), C(procedure), C(verdict), C(severity), C(score), C(summary).
  returned: success
  type: list
  elements: dict
documents:
  description: The documents that were asked for, with C(recorded_at) in seconds since 1970; null where there is none.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.history.operation import READ_OPTIONS, read
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec={name: dict(option) for name, option in READ_OPTIONS.items()}, supports_check_mode=True)
    conclude(module, lambda: read(module.params, module.check_mode))


if __name__ == "__main__":
    main()
