#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: a bounded load test of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: load_test
short_description: Send a bounded number of requests to a service and measure the answers
version_added: "0.1.0"
description:
  - Sends requests to a service at an even rate, or as fast as the answers come, and reports totals, failures by kind, latencies and throughput.
  - The requests are made by Locust, in a process of its own that ends with the test, with the task and with the run.
  - Latency counts from the moment at which a request was scheduled, so a service that makes requests wait cannot hide it.
  - Number, rate, connections and time are bounded, and production is refused unless its name is given in O(confirm).
author: The sre.runbooks authors (@sre-runbooks)
requirements:
  - locust (Python library) on the host that sends
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
    details:
      - Nothing is sent; the result says what would be.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run sends the requests again.
options:
  url:
    description: Scheme, host and perhaps the beginning of the path, to which the paths of the requests are added. It holds no credentials.
    type: str
    required: true
  requests:
    description: The kinds of requests, sent in turn.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What to call it. By default method and path.
        type: str
      method:
        description: HTTP method.
        type: str
        default: GET
      path:
        description: Path and query. C({number}) in it stands for the number of the request, from 1.
        type: str
        default: /
      headers:
        description: Headers, such as C(X-User-ID).
        type: dict
      body:
        description: What is sent. A dictionary or list is sent as JSON. C({number}) in it stands for the number of the request, from 1.
        type: raw
      expected_status:
        description: Status codes that are good, a number or a list.
        type: raw
        default: [200]
      contains:
        description: Texts that must be in a good answer, one or a list.
        type: raw
      weight:
        description: How many of them are sent for one of a kind with weight 1.
        type: int
        default: 1
  total:
    description: How many requests are sent in all, at most 100000.
    type: int
    default: 100
  concurrency:
    description: How many may be under way at the same time, at most 200. Each has a connection of its own.
    type: int
    default: 10
  rate_per_s:
    description:
      - How many requests are scheduled in a second, at most 1000. One that finds no free connection is sent late, and the wait counts.
      - With V(0) each connection sends the next request as soon as the one before is answered. Then a slow service is asked less,
        and the latencies are those of its own choosing.
    type: float
    default: 0
  timeout_s:
    description: Limit of one request in seconds, connection and answer included, at most 120.
    type: float
    default: 10
  duration_s:
    description: Limit of the whole test in seconds, at most 1800. What is not answered by then is cut off.
    type: float
    default: 120
  max_body_kb:
    description: How much of an answer is read at most, in KiB.
    type: int
    default: 1024
  verify_tls:
    description: Whether the server's certificate is verified.
    type: bool
    default: true
  ca_file:
    description: File of certificates that the server's must lead to.
    type: path
  thresholds:
    description: What the figures are held against.
    type: list
    elements: dict
    default: []
    suboptions:
      metric:
        description: The figure.
        type: str
        required: true
        choices: [error_rate, throughput_per_s, requests_ok, requests_failed, latency_average_ms, latency_minimum_ms, latency_maximum_ms,
                  latency_p50_ms, latency_p95_ms, latency_p99_ms]
      warn_above:
        description: Warn when it is greater.
        type: float
      fail_above:
        description: Fail when it is greater.
        type: float
      warn_below:
        description: Warn when it is less.
        type: float
      fail_below:
        description: Fail when it is less.
        type: float
      minimum_samples:
        description: With fewer requests behind it the figure is V(unknown).
        type: int
        default: 1
  service_name:
    description: Name of the service, for the confirmation.
    type: str
    default: ""
  service_environment:
    description: Which environment it is. V(production) is refused unless O(confirm) is O(service_name).
    type: str
    default: ""
  confirm:
    description: Name of the service, given by the person who wants a test on production.
    type: str
    default: ""
  python:
    description: Python interpreter for which Locust is installed. By default the one that runs this module.
    type: path
"""

EXAMPLES = r"""
- name: Ask a hundred questions, ten at a time
  sre.runbooks.load_test:
    url: http://127.0.0.1:8000
    requests:
      - method: POST
        path: /chat
        headers: {X-User-ID: load-test}
        body: {message: "What does section 12 say?"}
    total: 100
    concurrency: 10
    thresholds:
      - {metric: error_rate, fail_above: 0.01}
      - {metric: latency_p95_ms, warn_above: 1000, fail_above: 2000}
  register: load_test_result

- name: Two kinds of requests at an even rate
  sre.runbooks.load_test:
    url: http://127.0.0.1:8000
    requests:
      - path: /cases/1
        weight: 9
      - method: POST
        path: /parse
        body: {text: Meeting tomorrow at 3pm}
    total: 600
    rate_per_s: 20
"""

RETURN = r"""
verdict:
  description: The worst of the thresholds. V(fail) when no request succeeded, V(unknown) when not all were sent.
  returned: when requests were sent
  type: str
  sample: pass
summary:
  description: How it went, as a sentence.
  returned: when requests were sent
  type: str
began_at:
  description: When it began, UTC, ISO 8601.
  returned: when requests were sent
  type: str
plan:
  description: What was, or in check mode would be, sent; headers that hold secrets are masked.
  returned: success
  type: dict
total:
  description: Requests that were planned.
  returned: when requests were sent
  type: int
  sample: 100
sent:
  description: Requests that were sent.
  returned: when requests were sent
  type: int
ok:
  description: Requests with a good answer.
  returned: when requests were sent
  type: int
failed_requests:
  description: Requests without one. It is not called C(failed), which would be the failure of the task.
  returned: when requests were sent
  type: int
failures:
  description: Number of failed requests by kind.
  returned: when requests were sent
  type: dict
  sample: {"status 500": 3, "timeout": 1}
statuses:
  description: Number of answers by HTTP status.
  returned: when requests were sent
  type: dict
error_rate:
  description: Share of the planned requests that failed, from 0 to 1.
  returned: when requests were sent
  type: float
duration_s:
  description: From the beginning to the last answer, in seconds.
  returned: when requests were sent
  type: float
throughput_per_s:
  description: Good answers a second.
  returned: when requests were sent
  type: float
latency_ms:
  description:
    - From the scheduled moment to the end of the answer, in milliseconds; C(samples), C(average), C(minimum), C(p50), C(p95), C(p99), C(maximum).
    - Requests that ran into a limit of time count with the time until then, refused and broken connections do not.
  returned: when requests were sent
  type: dict
service_ms:
  description: The same from the moment of sending.
  returned: when requests were sent
  type: dict
late_ms:
  description: How much later than scheduled requests were sent.
  returned: when requests were sent
  type: dict
by_request:
  description: Sent, ok, failures and latencies of each kind of request.
  returned: when requests were sent
  type: list
  elements: dict
thresholds:
  description: Each threshold with its value, verdict and reason.
  returned: when requests were sent
  type: list
  elements: dict
curves:
  description: Points for plots, over time and over the share of requests.
  returned: when requests were sent
  type: dict
metrics:
  description: The figures as results of metrics, for M(sre.runbooks.health_history).
  returned: when requests were sent
  type: list
  elements: dict
measurements:
  description: The main figures by name and unit, for the record of the run; C(targets) has what O(thresholds) allow at most.
  returned: when requests were sent
  type: dict
table:
  description: The figures as lines to read.
  returned: when requests were sent
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.load.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    # The headers and bodies may hold secrets: they neither go to the system log nor come back with the result.
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True, no_log=True)
    parameters = dict(module.params)
    module.params["requests"] = f"{len(parameters['requests'])} kinds of requests"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
