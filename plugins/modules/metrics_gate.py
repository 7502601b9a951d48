#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: measure a service and judge the numbers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: metrics_gate
short_description: Measure a service, and judge the numbers by its own thresholds
version_added: "0.1.0"
author: "The sre.runbooks authors (@sre-runbooks)"
description:
  - Measures named metrics, all at the same time in one task, and holds each number against its thresholds and against what is usual.
  - A metric is a check that yields a number. It takes the keys of M(sre.runbooks.health_check) for its type, and those below.
  - The verdict on a metric is V(pass), V(warn), V(fail), or V(unknown) when there is no number that can be judged - nobody answers,
    the answer does not have it, it stands on too few observations, there is no baseline yet. Unknown never passes.
  - Where the profile has rules of severity, the gravest rule that is true gives the severity of the whole, with its reason.
  - All mistakes in the metrics are reported together before anything is asked.
requirements:
  - jmespath, where a metric of type V(json) or V(redis) has expressions
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
  - sre.runbooks.state
options:
  metrics:
    description:
      - What to measure. Which further keys a metric takes depends on its O(metrics[].type); a key that the type does not know is an error.
      - May be empty where O(checks) or O(events) are given.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the metric, unique in the list.
        type: str
        required: true
      type:
        description:
          - A type of M(sre.runbooks.health_check) whose answer holds a number, such as V(json), V(prometheus), V(promql), V(postgresql),
            V(redis), V(qdrant), V(alertmanager), V(disk), V(memory), V(cpu), V(tls), V(log) or V(log_freshness).
        type: str
        required: true
      title:
        description: What sentences and reports call it. Default is its name.
        type: str
      component:
        description: The part of the service that it tells of.
        type: str
      unit:
        description: >-
          Unit of the number as it is judged, V(ratio) (0 to 1, shown in percent), V(percent), V(ms), V(s), V(bytes), V(count),
          V(per_second), V(usd_per_hour), V(days) or another word.
        type: str
      warn_above:
        description: Warn when the number is greater.
        type: float
      fail_above:
        description: Fail when the number is greater.
        type: float
      warn_below:
        description: Warn when the number is less.
        type: float
      fail_below:
        description: Fail when the number is less.
        type: float
      divided_by:
        description:
          - A second number, by which the first is divided.
          - For types with C(observe) an expression like that of the number, over the same answer. For V(promql) and V(postgresql) a second query.
          - With O(metrics[].aggregate=increase) both grow over the window, and what the one grew by is divided by what the other did.
        type: str
      complement:
        description: Take 1 less the number, such as an error rate out of a success rate.
        type: bool
        default: false
      scale:
        description: Factor, applied last.
        type: float
        default: 1
      window_s:
        description:
          - Read again and again for so many seconds; V(0) for once. The task takes that long, all metrics side by side.
          - For V(cpu) it is the time in which the processor is watched, for V(log) how far back lines count (default an hour); in one reading.
        type: float
        default: 0
      every_s:
        description: Seconds between two readings. Default is a tenth of the window.
        type: float
      aggregate:
        description:
          - What the readings of a window come to.
          - V(increase) is what a counter grew by, V(rate) that by the second. A counter that is suddenly smaller has begun again at 0.
        type: str
        choices: [last, mean, maximum, minimum, increase, rate]
        default: last
      samples:
        description:
          - Expression or query, as for O(metrics[].divided_by), of how many observations the number stands on.
          - A number that is divided stands on what it is divided by when nothing else is said.
        type: str
      minimum_samples:
        description: With fewer observations the number is not judged.
        type: float
      too_few:
        description: The verdict then.
        type: str
        choices: [unknown, pass]
        default: unknown
      baseline:
        description: What the number is usually; thresholds are held against the number divided by it.
        type: dict
        suboptions:
          value:
            description: A fixed baseline.
            type: float
          from_history_days:
            description: The median of the last days in the history of O(service), see M(sre.runbooks.health_history).
            type: float
          minimum_samples:
            description: Fewer numbers in the history are no baseline yet.
            type: int
            default: 5
          missing:
            description: Verdict while there is no baseline.
            type: str
            choices: [unknown, pass]
            default: unknown
          warn_ratio_above:
            description: Warn when the number is more than so many times the baseline.
            type: float
          fail_ratio_above:
            description: Fail when the number is more than so many times the baseline.
            type: float
          warn_ratio_below:
            description: Warn when the number is less than so many times the baseline.
            type: float
          fail_ratio_below:
            description: Fail when the number is less than so many times the baseline.
            type: float
      promql:
        description: The same metric as an expression of Prometheus, for alert rules and dashboards; not used here.
        type: str
      weight:
        description: How much the metric counts in the score.
        type: float
        default: 1
  checks:
    description: Results of an earlier M(sre.runbooks.health_check); their verdicts count, and the rules of severity see them.
    type: list
    elements: dict
    default: []
  logs:
    description: The logs of the service, C(service_logs), whose names metrics of type V(log) use.
    type: list
    elements: dict
    default: []
  events:
    description: Names of what has happened, for the rules of severity, such as V(security_breach).
    type: list
    elements: str
    default: []
  severities:
    description: The severities of the profile, C(incident_severities), the gravest first.
    type: list
    elements: dict
    default: []
  severity_rules:
    description: The rules that give them, C(incident_severity_rules).
    type: list
    elements: dict
    default: []
  service:
    description: Name of the service, by which baselines are looked up in the history.
    type: str
    default: ""
  timeout_s:
    description: Deadline of a reading in seconds, for metrics that name none.
    type: float
    default: 10
  retries:
    description: Further attempts of a reading, for metrics that name none.
    type: int
    default: 1
  concurrency:
    description: Questions under way at the same time.
    type: int
    default: 100
  fail_on:
    description: Verdicts that make the task fail; none for a task that only reports.
    type: list
    elements: str
    choices: [warn, fail, unknown]
    default: [fail, unknown]
seealso:
  - module: sre.runbooks.health_check
  - module: sre.runbooks.health_history
"""

EXAMPLES = r"""
- name: Let nobody deploy while the service is not good enough
  sre.runbooks.metrics_gate:
    metrics: "{{ numbers }}"
    service: paralegal
    severities: "{{ incident_severities }}"
    severity_rules: "{{ incident_severity_rules }}"
  vars:
    numbers:
      - name: error_rate
        title: Failed requests
        type: prometheus
        url: http://127.0.0.1:8000/metrics
        metric: http_requests_total{status=~"5.."}
        empty: zero
        divided_by: http_requests_total
        aggregate: increase
        window_s: 60
        minimum_samples: 20
        unit: ratio
        warn_above: 0.01
        fail_above: 0.05
      - name: response_time
        type: json
        url: http://127.0.0.1:8000/metrics
        headers: {Accept: application/json}
        value: latency_ms.p95
        unit: ms
        fail_above: 2000
        baseline: {from_history_days: 7, warn_ratio_above: 2}

- name: Measure, and decide later
  sre.runbooks.metrics_gate:
    metrics: "{{ health_metrics }}"
    fail_on: []
  register: gate
"""

RETURN = r"""
verdict:
  description: The verdict that outweighs the others, in the order V(fail), V(unknown), V(warn), V(pass).
  returned: when the metrics were measured
  type: str
  sample: warn
severity:
  description: >-
    The gravest severity of which a rule is true, with C(name), C(title), C(rank) (0 is the gravest), C(respond_within_s),
    C(escalate_after_s), C(notify), C(reasons), C(reason) and the severity's other keys; null when no rule is true.
  returned: when the metrics were measured
  type: dict
  sample: {name: P2, title: High, rank: 1, respond_within_s: 1800, escalate_after_s: null, notify: critical, reason: "15 to 25 % fail"}
score:
  description: Weighted share of the metrics that are well, from 0 to 1; a warning counts half, a failure and an unknown nothing.
  returned: when the metrics were measured
  type: float
counts:
  description: Number of metrics and checks for each verdict.
  returned: when the metrics were measured
  type: dict
  sample: {pass: 8, warn: 1, fail: 0, unknown: 0}
duration_ms:
  description: Duration of all metrics together, in milliseconds.
  returned: when the metrics were measured
  type: float
summary:
  description: The severity, and what is not well, as text.
  returned: when the metrics were measured
  type: str
table:
  description: A line for each metric, the worst first (the first 200).
  returned: when the metrics were measured
  type: list
  elements: str
  sample: ["FAIL    error_rate    16 %  Error rate is 16 %, more than 15 %"]
metrics:
  description: One entry for each metric, in the order of O(metrics).
  returned: when the metrics were measured
  type: list
  elements: dict
  contains:
    name:
      description: Name of the metric.
      type: str
    title:
      description: What reports call it; empty for its name.
      type: str
    component:
      description: The part of the service that it tells of.
      type: str
    type:
      description: Its type.
      type: str
    target:
      description: What was asked, without credentials.
      type: str
    unit:
      description: Unit of the number.
      type: str
    value:
      description: The number; null where there is none.
      type: float
    verdict:
      description: V(pass), V(warn), V(fail) or V(unknown).
      type: str
    reason:
      description: One sentence with the number, and why it is not V(pass).
      type: str
      sample: Error rate is 16 % over 60 s (340 observations), more than 15 %
    samples:
      description: How many observations the number stands on; null when that is not known.
      type: float
    readings:
      description: How often it was read.
      type: int
    baseline:
      description: What the number is usually; null without a baseline.
      type: float
    ratio:
      description: The number divided by its baseline; null without one.
      type: float
    thresholds:
      description: The thresholds that it was held against.
      type: dict
    window_s:
      description: Seconds over which it was read again and again.
      type: float
    latency_ms:
      description: Duration of the newest reading in milliseconds; null without an answer.
      type: float
    attempts:
      description: How often the newest reading was tried.
      type: int
    observed:
      description: What else the newest answer had, secrets masked.
      type: dict
    weight:
      description: Share in the score.
      type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.metrics.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    # Nothing of the arguments goes to the system log: nobody knows yet which of them are secret.
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, no_log=True)
    parameters = dict(module.params)
    # Nor do they come back with the result; what was asked is in it, without credentials.
    module.params["metrics"] = f"{len(parameters['metrics'])} metrics"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
