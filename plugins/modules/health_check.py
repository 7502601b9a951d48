#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: health_check
short_description: Put many read-only questions to a service at once
version_added: "0.1.0"
author: "The sre.runbooks authors (@sre-runbooks)"
description:
  - Asks HTTP endpoints, metrics, certificates, names, databases, monitoring systems and the host itself whether they are well, all at the
    same time in one task.
  - The answer to a check is V(pass), V(warn), V(fail), or V(unknown) when the question could not be put. What was reached and is bad,
    or does not answer in time, is V(fail). What could not be measured is V(unknown) - a name that does not resolve, no route from here,
    a missing client program, a failed dependency, a condition on a value that the answer does not have. Unknown is never good.
  - Each check has one deadline for everything it does, name resolution, connection, TLS, request, answer and retries.
  - All mistakes in the list of checks are reported together before anything is asked.
requirements:
  - jmespath, where a check has O(checks[].conditions), O(checks[].value) or O(checks[].observe)
  - psql, for checks of type V(postgresql), in the place where it runs
  - docker with Compose, kubectl or systemctl, for the checks that ask them
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
options:
  checks:
    description:
      - The questions. Which keys a check takes depends on its O(checks[].type); a key that the type does not know is an error.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the check, unique in the list.
        type: str
        required: true
      type:
        description:
          - What is asked.
          - V(http) sends a request and looks at status, text and latency.
          - V(json) does the same and looks into the JSON document that comes back.
          - V(prometheus) reads a page of metrics in Prometheus' text format (or OpenMetrics); the series of one metric make the number.
          - V(promql) lets a Prometheus server evaluate an expression, which makes the number.
          - V(prometheus_server) asks a Prometheus server, or an Alertmanager, whether it is alive and ready (C(/-/healthy), C(/-/ready)).
          - V(alertmanager) counts the alerts that are active, and neither silenced nor inhibited (version 2 of the API).
          - V(grafana) asks whether Grafana's database is well (C(/api/health)).
          - V(qdrant) asks whether Qdrant is ready, and whether collections are there and green; the number is the points of one of them.
          - V(statuspage) reads a provider's status page (C(/api/v2/status.json)). V(minor) and V(maintenance) warn, V(major) and V(critical)
            fail.
          - All these ask by HTTP and share the keys for it. For V(prometheus) O(checks[].url) is the page itself, for V(json) and V(http)
            too; for the others it is the address of the server, with or without the path.
          - V(tls) negotiates TLS and looks at the certificate, its chain and its name; the number is the days until the first
            certificate of the chain ends. Days are told also when the certificate is not accepted.
          - V(dns) looks up the addresses of a name, by the host's resolver or from a given server.
          - V(tcp) connects to a port, and may expect some text.
          - V(postgresql) logs in and runs a query, read-only, through C(psql).
          - V(redis) logs in, sends C(PING), and may look into C(INFO).
          - V(compose_service) asks Docker Compose whether enough containers of a service run and are healthy; the number is how many.
          - V(kubernetes_workload) asks whether a workload has the replicas that it wants, ready, of its newest version; the number is how
            many are ready.
          - V(systemd_unit) asks whether a unit is loaded and active; the number is how often systemd restarted it.
          - V(process) asks whether processes run, and whether a port is listened on; the number is how many processes.
          - V(disk) measures how full the file system of a path is, in percent as C(df) reckons it.
          - V(memory) measures used memory, of the host, of a process (its resident set) or of a container.
          - V(cpu) measures used processor time, of the host or of a container.
          - V(log) reads logs back over a window; the number is what O(checks[].measure) makes of the lines.
          - V(log_freshness) measures how long ago a file was last written to, in seconds.
          - V(command) runs a program that only reads, on your promise, and looks at its exit status and at what it prints.
          - V(process), V(memory) and V(cpu) read C(/proc); where there is none they need the Python library psutil, or are V(unknown).
        type: str
        required: true
        choices:
          [
            alertmanager, command, compose_service, cpu, disk, dns, grafana, http, json, kubernetes_workload, log, log_freshness,
            memory, postgresql, process, prometheus, prometheus_server, promql, qdrant, redis, statuspage, systemd_unit, tcp, tls,
          ]
      title:
        description: What reports call the check. Default is its name.
        type: str
      component:
        description: The part of the service that the check tells of, for reports.
        type: str
      timeout_s:
        description: Deadline of the whole check in seconds. Default is O(timeout_s).
        type: float
      attempt_timeout_s:
        description: Seconds after which one attempt is given up, so that a retry can follow. Default is the whole deadline.
        type: float
      retries:
        description:
          - Further attempts within the deadline, after a random pause.
          - Only refused and broken connections, timeouts and the statuses 502, 503 and 504 are tried again. Default is O(retries).
        type: int
      weight:
        description: How much the check counts in the score.
        type: float
        default: 1
      depends_on:
        description: Names of checks that must not fail, or this one is not asked and V(unknown).
        type: list
        elements: str
      warn_latency_ms:
        description: Warn when the answer took longer, in milliseconds.
        type: float
      fail_latency_ms:
        description: Fail when the answer took longer, in milliseconds.
        type: float
      url:
        description: Address for the types that ask by HTTP, without user and password.
        type: str
      method:
        description: Method of the request for V(http) and V(json).
        type: str
        default: GET
      headers:
        description: Headers of the request for the types that ask by HTTP. Their values are kept secret.
        type: dict
      body:
        description: Body of the request for V(http) and V(json); what is not text is sent as JSON.
        type: raw
      status:
        description: Statuses that are good for V(http) and V(json), numbers or classes such as V(2xx).
        type: list
        elements: str
        default: ["200"]
      contains:
        description: Texts that the answer must contain, for V(http), V(json), V(tcp) and V(command).
        type: list
        elements: str
      matches:
        description: Regular expressions (Python) that must be found in the answer, for V(http) and V(json).
        type: list
        elements: str
      token:
        description: Bearer token for the types that ask by HTTP.
        type: str
      redirects:
        description:
          - Whether the types that ask by HTTP follow a redirect, and then only to the same host. Requests go out directly, never by a proxy.
        type: str
        choices: [none, same_host]
        default: none
      max_body_kb:
        description:
          - How much of an answer is read at most, in KiB, for the types that ask by HTTP, V(tcp) and V(command).
          - The default is 64, but 1024 for V(promql) and V(qdrant), 4096 for V(alertmanager), and 16384, the most there is, for V(prometheus), which
            keeps no more of it than the lines of its metrics.
        type: int
      tls:
        description: Whether V(redis) speaks TLS.
        type: bool
        default: false
      verify_tls:
        description: Whether the types that ask by HTTP, and V(redis), verify the server's certificate. V(tls) always does.
        type: bool
        default: true
      ca_file:
        description: File of certificates that the server's must lead to, for the types that ask by HTTP, V(tls), V(postgresql) and V(redis).
        type: path
      warn_certificate_days:
        description: Warn when the server's certificate is valid for fewer days, for the types that ask by HTTP, V(tls) and V(redis).
        type: float
      fail_certificate_days:
        description: Fail when the server's certificate is valid for fewer days, for the types that ask by HTTP, V(tls) and V(redis).
        type: float
      conditions:
        description:
          - JMESPath expressions that must be V(true), for V(json) over the document, for V(redis) over the fields of C(INFO).
          - Each is the expression alone, or a dictionary of C(that) (the expression), C(otherwise) (V(fail) or V(warn)) and C(msg) (what to say).
          - An expression that gives neither true nor false makes the check V(unknown).
        type: list
        elements: raw
      value:
        description: JMESPath expression of the number that the thresholds are held against, for V(json) and V(redis).
        type: str
      observe:
        description:
          - Further values to report, by name. For V(json) and V(redis) a JMESPath expression each, for V(prometheus) a metric with labels in
            braces, whose series are added up.
        type: dict
      metric:
        description:
          - Metric for V(prometheus), as it stands on the page; conditions on labels may follow in braces as in PromQL, such as
            C(http_requests_total{status=~"5.."}). Regular expressions are Python's.
        type: str
      labels:
        description: Labels that the series of V(prometheus), or the alerts of V(alertmanager), must have, each with its whole value.
        type: dict
      sum:
        description:
          - What several series come to. V(sum) is the default of V(prometheus); V(worst), the one whose verdict is the gravest, that of
            V(promql), which alone has it.
        type: str
        choices: [worst, sum, max, min, mean, count]
      quantile:
        description:
          - For V(prometheus), take this quantile, between 0 and 1, of the histogram that O(checks[].metric) names, over all that the process
            has observed since it began.
        type: float
      empty:
        description: What it means to V(prometheus) and V(promql) that there is no series. With V(zero) their number is 0.
        type: str
        choices: [unknown, pass, zero]
        default: unknown
      api_key:
        description: Key for V(qdrant).
        type: str
      collections:
        description: Collections of V(qdrant) that must be there and green. Yellow and grey warn, red fails.
        type: list
        elements: str
        default: []
      collection:
        description: Collection of V(qdrant) whose points are the number, as the server counts them, which is approximate.
        type: str
      server_name:
        description: Name that the certificate for V(tls) must bear, where it is not O(checks[].host).
        type: str
      addresses:
        description: Addresses that the name of V(dns) must lead to, and to no others. One family is enough; nothing is expected of the other.
        type: list
        elements: str
      records:
        description: Types of records that V(dns) asks for. One address is enough.
        type: list
        elements: str
        choices: [A, AAAA]
        default: [A, AAAA]
      server:
        description: Server that V(dns) asks; the host's own resolver when it is left out.
        type: str
      warn_above:
        description: Warn when the number is greater, for the types that have one.
        type: float
      fail_above:
        description: Fail when the number is greater, for the types that have one.
        type: float
      warn_below:
        description: Warn when the number is less, for the types that have one.
        type: float
      fail_below:
        description: Fail when the number is less, for the types that have one.
        type: float
      host:
        description:
          - Host name or address, for V(tcp), V(tls), V(postgresql) and V(redis); for V(postgresql) also the folder of a socket.
          - The name that V(dns) looks up.
        type: str
      port:
        description:
          - Port, for V(tcp), V(tls) (default 443), V(postgresql) (default 5432) and V(redis) (default 6379); for V(dns) that of its server
            (default 53).
        type: int
      send:
        description: Text that V(tcp) sends after connecting.
        type: str
      user:
        description: Account, for the types that ask by HTTP (basic authentication), V(postgresql) (default V(postgres)) and V(redis).
        type: str
      password:
        description: Its password.
        type: str
      database:
        description: Database that V(postgresql) connects to.
        type: str
        default: postgres
      query:
        description:
          - Query of V(postgresql) (default C(SELECT 1)). It runs in a read-only transaction; the first column of its first row is the value.
          - PromQL expression of V(promql). Of several series the worst counts, unless O(checks[].sum) says otherwise.
        type: str
      ssl_mode:
        description: The C(sslmode) of libpq for V(postgresql).
        type: str
      service:
        description: Service of Docker Compose for V(compose_service).
        type: str
      project_folder:
        description: Folder of the project for V(compose_service); one of this, O(checks[].compose_files) and O(checks[].project_name) is needed.
        type: path
      project_name:
        description: Name of the project for V(compose_service), where it is not that of its folder.
        type: str
      compose_files:
        description: Compose files for V(compose_service), where they are not found in the project's folder.
        type: list
        elements: path
      env_files:
        description: Files of variables for V(compose_service), where the project has others than C(.env).
        type: list
        elements: path
      replicas:
        description:
          - Number of containers that must run and be healthy for V(compose_service) (default 1).
          - Number of replicas that must be ready for V(kubernetes_workload); without it all that the workload wants.
        type: int
      kind:
        description: Kind of the workload for V(kubernetes_workload).
        type: str
        choices: [deployment, statefulset, daemonset]
        default: deployment
      workload:
        description: Name of the workload for V(kubernetes_workload).
        type: str
      namespace:
        description: Its namespace; that of the context when it is left out.
        type: str
      kubeconfig:
        description: File of the client's configuration for V(kubernetes_workload).
        type: path
      unit:
        description: Unit for V(systemd_unit).
        type: str
      scope:
        description: Whether V(systemd_unit) asks the system's or the account's own service manager.
        type: str
        choices: [system, user]
        default: system
      oneshot:
        description: For a V(systemd_unit) that runs and ends, such as that of a timer. It is well while its last run was.
        type: bool
        default: false
      pattern:
        description:
          - Regular expression (Python) searched in the command lines of processes, for V(process), or in the lines of V(log).
          - For V(command), one with one group around the number that is looked for in what the program prints.
        type: str
      pid_file:
        description: File with the process's id, for V(process) and V(memory).
        type: path
      pid:
        description: Id of the process for V(memory).
        type: int
      minimum:
        description: How many processes there must be, for V(process).
        type: int
        default: 1
      path:
        description:
          - A path in the file system for V(disk) (default V(/)).
          - The file for V(log_freshness). With wildcards the newest of several.
        type: path
      measure:
        description:
          - Which number the thresholds are held against.
          - For V(postgresql), instead of a query, V(connections_percent) (of those that are not reserved for superusers), V(connections),
            V(idle_in_transaction), V(longest_transaction_s), V(database_size_bytes) or V(replication_lag_s). Sessions and standbys of others
            are seen by members of C(pg_monitor) only; what cannot be seen is V(unknown).
          - For V(disk) V(used_percent) (default), V(inodes_percent) or V(free_bytes).
          - For V(memory) V(used_percent) (default), V(used_bytes) or V(swap_percent).
          - For V(log_freshness) V(age_s) (default) or V(size_bytes).
          - For V(log) V(share) of the lines that are selected, V(count), V(per_second), and of the values of O(checks[].field)
            V(percentile), V(mean), V(maximum), V(minimum), V(above) (share of them above O(checks[].limit)), V(last) or V(distinct).
        type: str
      window_s:
        description: For how many seconds V(cpu) watches the processors (default 1); how far back V(log) reads (default 3600, 0 for all).
        type: float
      source:
        description:
          - For V(log) the name of one of O(checks[].logs), or the description of a log as an item of O(sre.runbooks.log_scan#module:sources).
          - Default is all of O(checks[].logs).
        type: raw
      logs:
        description: Logs of the service for V(log), C(service_logs); M(sre.runbooks.metrics_gate) puts them here by itself.
        type: list
        elements: dict
      levels:
        description: Levels of the lines that V(log) selects, such as V(ERROR).
        type: list
        elements: str
      where:
        description: Fields of the lines that V(log) selects, and the value, or list of values, that they must have.
        type: dict
      ignore_case:
        description: Whether capitals and small letters are the same in the patterns of V(log).
        type: bool
        default: false
      of_levels:
        description: For the V(share) of V(log), levels of the lines that it is a share of. Default is all lines.
        type: list
        elements: str
      of_pattern:
        description: The same by a regular expression.
        type: str
      of_where:
        description: The same by fields.
        type: dict
      field:
        description: Field whose values V(log) looks at, with dots for fields within fields.
        type: str
      percentile:
        description: Which percentile V(log) takes, 0 to 100.
        type: float
        default: 95
      limit:
        description: Number for V(above) of V(log).
        type: float
      argv:
        description: Program and arguments of V(command). No shell reads it.
        type: list
        elements: str
      exit_status:
        description: Exit statuses of V(command) that are good.
        type: list
        elements: int
        default: [0]
      environment:
        description: Variables that V(command) sees besides its usual ones; the place for its secrets.
        type: dict
      folder:
        description: Working folder of V(command).
        type: path
      container:
        description: Container to look into, for V(postgresql), V(systemd_unit), V(disk), V(memory), V(cpu), V(log_freshness) and V(command).
        type: str
      container_engine:
        description: Client program of the container engine.
        type: str
        choices: [docker, podman]
        default: docker
      pod:
        description: Pod to look into, for V(postgresql), V(systemd_unit), V(disk), V(log_freshness) and V(command). No password can be passed into it.
        type: str
      pod_namespace:
        description: Namespace of the pod.
        type: str
      pod_container:
        description: Container in the pod.
        type: str
      kube_context:
        description: Context of the kubeconfig.
        type: str
      tool_folder:
        description: Folder of the programs that the check calls, in their place.
        type: str
  timeout_s:
    description: Deadline of a check in seconds, for those that name none.
    type: float
    default: 10
  retries:
    description: Further attempts of a check, for those that name none.
    type: int
    default: 1
  concurrency:
    description:
      - Checks under way at the same time.
      - A measured latency includes what the asking side itself needs, about 0.3 ms for each check under way.
    type: int
    default: 100
  fail_on:
    description: Verdicts that make the task fail; none for a task that only reports.
    type: list
    elements: str
    choices: [warn, fail, unknown]
    default: [fail, unknown]
  hold_s:
    description:
      - Seconds for which the checks must stay good. They are asked again every O(every_s) seconds; the first answer of a verdict in O(fail_on) ends it.
    type: float
    default: 0
  every_s:
    description: Seconds between two rounds of questions, with O(hold_s).
    type: float
    default: 1
  from_controller:
    description:
      - Whether the controller asks in the host's place, over the network and from the process of the task itself.
      - That costs 15 ms where a task on a host costs 200, so it is the way to ask of hundreds of hosts. Addresses are those that the
        controller sees; V(127.0.0.1) is the controller.
      - Checks that look at the host itself, such as V(disk), are then refused.
      - Where the connection is local and there is no C(become), the controller asks in any case.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ask whether the service is well
  sre.runbooks.health_check:
    checks:
      - name: API
        type: json
        url: http://127.0.0.1:8000/health
        conditions:
          - healthy == `true`
          - that: cache.hit_rate > `0.8`
            otherwise: warn
            msg: the cache is cold
        warn_latency_ms: 1000
      - name: Metrics page
        type: http
        url: http://127.0.0.1:8000/metrics
        contains: [http_requests_total]
        depends_on: [API]
      - name: Database
        type: postgresql
        host: 127.0.0.1
        user: paralegal_user
        password: "{{ lookup('ansible.builtin.env', 'PARALEGAL_DB_PASSWORD') }}"
        database: paralegal_prod
        query: SELECT count(*) FROM pg_stat_activity
        warn_above: 80
        fail_above: 95
      - name: Cache
        type: redis
        host: 127.0.0.1
        value: used_memory
        warn_above: 1000000000
      - name: Vector store
        type: qdrant
        url: http://127.0.0.1:6333
        api_key: "{{ lookup('ansible.builtin.env', 'QDRANT_API_KEY') }}"
        collections: [statutes_prod]

- name: Ask for numbers that the service and its monitoring know
  sre.runbooks.health_check:
    checks:
      - name: Server errors
        type: prometheus
        url: http://127.0.0.1:8000/metrics
        metric: 'http_requests_total{status=~"5.."}'
        empty: zero
        fail_above: 100
      - name: Latency
        title: 95 of 100 answers come within 2 s
        component: api
        type: promql
        url: http://127.0.0.1:9090
        query: histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))
        warn_above: 2
      - {name: Critical alerts, type: alertmanager, url: "http://127.0.0.1:9093", labels: {severity: critical}, fail_above: 0}
      - {name: Prometheus, type: prometheus_server, url: "http://127.0.0.1:9090"}
      - {name: Grafana, type: grafana, url: "http://127.0.0.1:3000"}
      - {name: Connections, type: postgresql, host: 127.0.0.1, measure: connections_percent, warn_above: 80, fail_above: 90}

- name: Ask about the way to the service, and about whom it depends on
  sre.runbooks.health_check:
    checks:
      - {name: Certificate, type: tls, host: api.example.com, warn_certificate_days: 30, fail_certificate_days: 7}
      - {name: Name, type: dns, host: api.example.com, addresses: [203.0.113.10], server: 192.0.2.53}
      - {name: Provider, type: statuspage, url: "https://status.example.com"}

- name: Ask for every host of a large fleet, from here
  sre.runbooks.health_check:
    checks:
      - name: API
        type: http
        url: "http://{{ ansible_host | default(inventory_hostname) }}:8000/health"
    from_controller: true

- name: Look at the host itself
  sre.runbooks.health_check:
    checks:
      - {name: Disk, type: disk, path: /, warn_above: 75, fail_above: 85}
      - {name: Memory, type: memory, warn_above: 80, fail_above: 90}
      - {name: Processor, type: cpu, window_s: 5, warn_above: 70, fail_above: 85}
      - {name: Worker, type: process, pattern: "celery .*worker", minimum: 2}
      - {name: Log, type: log_freshness, path: "/opt/app/logs/app_*.log", fail_above: 600}
      - {name: Proxy, type: systemd_unit, unit: haproxy.service}
      - {name: API containers, type: compose_service, project_folder: /opt/app, service: api, replicas: 2}
      - name: Queue
        type: command
        argv: [app-admin, queue-length]
        pattern: "([0-9]+) messages"
        warn_above: 1000

- name: Ask, and decide later
  sre.runbooks.health_check:
    checks: "{{ health_checks }}"
    fail_on: []
  register: health
"""

RETURN = r"""
held_s:
  description: Seconds from the first question to the last answer.
  returned: always
  type: float
verdict:
  description: The verdict that outweighs the others, in the order V(fail), V(unknown), V(warn), V(pass).
  returned: when the checks were asked
  type: str
  sample: warn
score:
  description: Weighted share of what is well, from 0 to 1; a warning counts half, a failure and an unknown nothing.
  returned: when the checks were asked
  type: float
  sample: 0.95
counts:
  description: Number of checks for each verdict.
  returned: when the checks were asked
  type: dict
  sample: {pass: 8, warn: 1, fail: 0, unknown: 0}
duration_ms:
  description: Duration of all checks together, in milliseconds.
  returned: when the checks were asked
  type: float
  sample: 83.5
summary:
  description: What is not well, as text.
  returned: when the checks were asked
  type: str
table:
  description: A line for each check, the worst first (the first 200).
  returned: when the checks were asked
  type: list
  elements: str
  sample: ["WARN    API      12 ms  not true: cache.hit_rate > `0.8` (it is 0.62)"]
results:
  description: One entry for each check, in the order of O(checks).
  returned: when the checks were asked
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check.
      type: str
    title:
      description: What reports call it.
      type: str
    component:
      description: The part of the service that it tells of; empty for none.
      type: str
    type:
      description: Its type.
      type: str
    target:
      description: What was asked, without credentials.
      type: str
    verdict:
      description: V(pass), V(warn), V(fail) or V(unknown).
      type: str
    latency_ms:
      description: Duration of the attempt that decided, from name resolution to the end of the answer, in milliseconds; null without an answer.
      type: float
    attempts:
      description: How often it was asked; more than 1 means that it was tried again, 0 that a dependency kept it from being asked.
      type: int
    reason:
      description: Why it is not V(pass); empty when there is nothing to say.
      type: str
    value:
      description: The number that was asked for; null where the check has none, or none came.
      type: float
    observed:
      description:
        - Measured values, such as C(status), C(value), C(certificate_days_left), and the beginning of a bad answer as C(body), secrets masked.
      type: dict
    weight:
      description: Share in the score.
      type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.checks.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    # Nothing of the arguments goes to the system log: nobody knows yet which of them are secret.
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True, no_log=True)
    parameters = dict(module.params)
    # Nor do they come back with the result; what was asked is in it, without credentials.
    module.params["checks"] = f"{len(parameters['checks'])} checks"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
