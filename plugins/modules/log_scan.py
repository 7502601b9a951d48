#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: put questions to logs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_scan
short_description: Put many questions to the logs of a service, in one pass
version_added: "0.1.0"
author: "The sre.runbooks authors (@sre-runbooks)"
description:
  - Reads files with their rotated and packed generations, the output of containers, Compose services and Kubernetes workloads, and the
    systemd journal, and answers all questions in one pass and in constant memory.
  - Lines may be broken, huge or not UTF-8, and files may be rotated or cut while they are read. What could not be read as it should be is
    counted and told in RV(logs) and RV(notes).
  - A line without a time of its own counts with the time of the line before it, where times are asked for.
  - A file that was last written before O(since) is not read. In a file of 16 MiB and more whose times are in order at 65 places, reading
    begins five minutes before O(since).
  - Secrets are masked in everything that is returned.
requirements:
  - docker or podman, journalctl, for logs that they keep
  - the Python package C(kubernetes) for logs of pods; credentials as for M(sre.runbooks.service_kubernetes)
  - the program zstd, or Python 3.14, or the library zstandard, for files packed by zstd
extends_documentation_fragment:
  - sre.runbooks.attributes.reads
options:
  sources:
    description: The logs. Each is one of O(sources[].path), O(sources[].compose_service), O(sources[].container), O(sources[].kubernetes_workload)
      and O(sources[].systemd_unit); O(sources[].path) with O(sources[].container) is a file in a container.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the log, unique in the list.
        type: str
        required: true
      title:
        description: What reports call it. Default is its name.
        type: str
        default: ""
      path:
        description: Files, with wildcards (C(**) for folders of any depth).
        type: list
        elements: str
        default: []
      generations:
        description: Whether rotated generations are read, too, the oldest first (C(app.log.2.gz), C(app.log.1), C(app.log-20261121.zst)).
        type: bool
        default: true
      compose_service:
        description: Service of a Compose project.
        type: str
        default: ""
      project_folder:
        description: Folder of that project.
        type: path
        default: ""
      compose_files:
        description: Its Compose files, where they are not found in its folder.
        type: list
        elements: path
        default: []
      container:
        description: Container.
        type: str
        default: ""
      engine:
        description: Client program of the container engine.
        type: str
        choices: [docker, podman]
        default: docker
      kubernetes_workload:
        description: Workload, as C(kind/name) or with O(sources[].kind); a name alone is that of a pod. All its pods are read, and those that have
          no log, such as one that waits for its image, are noted.
        type: str
        default: ""
      kind:
        description: Kind of the workload, V(deployment), V(statefulset), V(daemonset), V(replicaset), V(job), or another with its group, such as
          V(rollout.argoproj.io).
        type: str
        default: ""
      namespace:
        description: Its namespace; that of the context when it is left out.
        type: str
        default: ""
      kube_config:
        description: The kubeconfig. Without it and O(sources[].kube_context) the variables C(K8S_AUTH_*), C(KUBECONFIG), C(~/.kube/config), or the
          account of the pod in which this runs, say who asks.
        type: path
        default: ""
      kube_context:
        description: Context of the kubeconfig.
        type: str
        default: ""
      pod_container:
        description: Container in the pods; all of them when it is left out.
        type: str
        default: ""
      previous:
        description: Whether the pods' previous containers are read, those that crashed.
        type: bool
        default: false
      systemd_unit:
        description: Unit in the journal.
        type: str
        default: ""
      journal_folder:
        description: Folder of the journal's files; the machine's own journal when it is left out.
        type: path
        default: ""
      format:
        description: How it is written. V(auto) looks at the first lines, V(docker) is a file of the driver json-file, V(journal) an export as JSON.
        type: str
        choices: [auto, json, plain, docker, journal]
        default: auto
      time_field:
        description: Field with the time in JSON lines, dotted for a member of a member; of several the first that has a value.
        type: list
        elements: str
        default: [timestamp, time, ts, "@timestamp", asctime, datetime]
      level_field:
        description: Field with the level. Questions mean it by C(level), in the words V(TRACE), V(DEBUG), V(INFO), V(NOTICE), V(WARNING), V(ERROR)
          and V(CRITICAL), whatever the program calls them (C(warn), C(fatal), numbers of syslog and pino).
        type: list
        elements: str
        default: [level, severity, levelname, log.level, lvl]
      message_field:
        description: Field with the message. Questions mean it by C(message).
        type: list
        elements: str
        default: [message, msg, event]
      type_field:
        description: Field with the type of an error. Questions mean it by C(type); in a plain line it is the first word that ends in Error, Exception
          or Timeout.
        type: list
        elements: str
        default: [type, error_type, exc_type, error.type, exception.type]
      fields:
        description: Regular expressions by field for plain lines; the first group is the value. Without one, a field's value follows C(name=) or C(name:).
        type: dict
        default: {}
      time_zone:
        description: Zone of times that name none - V(UTC), V(local), an offset or a name such as V(Europe/Zurich).
        type: str
        default: UTC
  questions:
    description: The questions. Each selects lines and says what is wanted of them; levels and counts of the whole log are told in any case.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the question, unique in the list.
        type: str
        required: true
      sources:
        description: Names of the logs that it is put to; all of them when it is left out.
        type: list
        elements: str
        default: []
      since:
        description: Only lines from this time on, as O(since), for a question that looks less far back than the others.
        type: str
        default: ""
      levels:
        description: Only lines of these levels.
        type: list
        elements: str
        default: []
      pattern:
        description: Only lines in which this regular expression (Python) is found. A search that takes too long is given up, and the answer says so.
        type: str
        default: ""
      ignore_case:
        description: Whether capitals and small letters are alike in O(questions[].pattern).
        type: bool
        default: false
      where:
        description: Only lines whose fields have these values; each is a value or a list of values.
        type: dict
        default: {}
      lines:
        description: How many of the last lines are returned.
        type: int
        default: 0
      group_by:
        description: Fields by whose values lines are counted, C(source) for the log.
        type: list
        elements: str
        default: []
      per:
        description: Period, in UTC, by which lines are counted, alone or with O(questions[].group_by).
        type: str
        choices: ["", minute, hour, day]
        default: ""
      top:
        description: How many groups (of each period), and how many of the highest numbers, are returned.
        type: int
        default: 20
      number:
        description: Field whose numbers are looked at.
        type: str
        default: ""
      percentiles:
        description: Percentiles of these numbers.
        type: list
        elements: float
        default: [50.0, 95.0, 99.0]
      above:
        description: Limits; how many numbers are above each is counted.
        type: list
        elements: float
        default: []
      distinct:
        description: Field whose different values are counted; exactly up to 16384, with a standard error of 0.8 % beyond.
        type: str
        default: ""
      last_value:
        description: Field whose last values are returned, one or as many as O(questions[].lines).
        type: str
        default: ""
      every_s:
        description: Length in seconds of the periods of a series of counts.
        type: int
        default: 0
  profile_questions:
    description: Further questions, in the form of a profile's C(service_log_questions).
    type: list
    elements: dict
    default: []
  used_by:
    description: Of O(profile_questions) only those that are used by one of these; all of them when it is empty.
    type: list
    elements: str
    default: []
  since:
    description: Only lines from this time on - a time (C(2026-11-21T09:00:00Z)), or how long ago (C(90s), C(15min), C(1h), C(7d)).
    type: str
    default: ""
  until:
    description: Only lines before this time, as O(since).
    type: str
    default: ""
  last_lines:
    description: Only so many of the last lines of each log (of each container, and of each file with its generations) are read, and counts are theirs;
      V(0) for all. Docker counts a line of more than 16 KiB as several. Not with O(until).
    type: int
    default: 0
  timeout_s:
    description: Seconds after which reading ends. What was found out until then is returned, and RV(complete) is false.
    type: float
    default: 300
  missing_ok:
    description: Whether a log that is not there, or cannot be read, is only noted.
    type: bool
    default: false
  secrets:
    description: Texts that must not appear in the result, besides what looks like a secret.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Look for what went wrong in the last hour
  sre.runbooks.log_scan:
    sources:
      - {name: api, path: /opt/calendar-api/logs/calendar-api.log}
      - {name: database, compose_service: postgres, project_folder: /opt/calendar-api}
    since: 1h
    questions:
      - {name: errors by type, levels: [ERROR, CRITICAL], group_by: [type]}
      - {name: last errors, levels: [ERROR, CRITICAL], lines: 20}
      - {name: refused connections, pattern: connection refused, ignore_case: true, lines: 10}
      - {name: latency, sources: [api], number: duration_ms, percentiles: [50, 95, 99], above: [2000], top: 20}
      - {name: errors over time, levels: [ERROR, CRITICAL], every_s: 300}

- name: Look at refused requests and at who uses the service
  sre.runbooks.log_scan:
    sources:
      - {name: access, path: [/var/log/app/access*.log], time_field: [ts], level_field: [severity]}
    since: 7d
    questions:
      - {name: refused, where: {status: [401, 403, 429]}, lines: 50}
      - {name: requests of each user, group_by: [user_id], per: day}
      - {name: users, distinct: user_id}
      - {name: success rate, last_value: success_rate}

- name: Put the profile's own questions to its logs
  sre.runbooks.log_scan:
    sources: "{{ service_logs }}"
    profile_questions: "{{ service_log_questions }}"
    used_by: [morning_check]
    since: 24h
    missing_ok: true
"""

RETURN = r"""
complete:
  description: Whether everything was read within O(timeout_s).
  returned: success
  type: bool
since:
  description: Begin of the window, UTC ISO 8601; null for none.
  returned: success
  type: str
until:
  description: End of the window, UTC ISO 8601.
  returned: success
  type: str
logs:
  description: The logs, in the order of O(sources).
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Name of the log., type: str}
    title: {description: What reports call it., type: str}
    lines: {description: Lines in the window., type: int}
    bytes_read: {description: "Bytes read, unpacked.", type: int}
    broken: {description: Lines that should be JSON and are not., type: int}
    not_utf8: {description: Lines that are not UTF-8., type: int}
    cut: {description: "Lines longer than 1 MiB, of which only the beginning was looked at.", type: int}
    untimed: {description: Lines left out because their time is not known., type: int}
    errors: {description: Lines of the levels V(ERROR) and V(CRITICAL)., type: int}
    levels: {description: Lines by level; V(NONE) for those without one., type: dict}
    first: {description: "Time of the first line, UTC ISO 8601.", type: str}
    last: {description: Time of the last line., type: str}
    problem: {description: Why it could not be read; empty when it could., type: str}
    notes: {description: What a reader must know., type: list, elements: str}
answers:
  description: The answers, in the order of O(questions).
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Name of the question., type: str}
    problem: {description: Why it could not be answered; empty when it could., type: str}
    count: {description: Number of lines that were selected., type: int}
    share: {description: "Share of them in the window, from 0 to 1; null without lines.", type: float}
    first: {description: "Time of the first of them, where lines, a pattern or a last value are asked for.", type: str}
    last: {description: Time of the last of them., type: str}
    lines: {description: "The last lines (C(at), C(source), C(text)), secrets masked.", type: list, elements: dict}
    groups: {description: "Groups with their C(count), the largest first, or by period.", type: list, elements: dict}
    groups_all: {description: Number of groups., type: int}
    groups_others: {description: "Lines of groups past the first 20000, which are not counted one by one.", type: int}
    numbers:
      description:
        - C(count), C(minimum), C(maximum), C(mean), C(percentiles) and C(above) by percentile and limit, and the C(highest) with their lines.
        - C(relative_error) is 0 while percentiles are exact (up to 4.5 million numbers in all questions together), and 0.004 beyond.
      type: dict
    distinct: {description: Number of different values., type: int}
    distinct_error: {description: Relative standard error of that number; 0 when it is exact., type: float}
    value: {description: Last value of the field., type: raw}
    last_values: {description: Last values with their times., type: list, elements: dict}
    series: {description: "Counts by period (C(at), C(count), C(per_second)).", type: list, elements: dict}
notes:
  description: What a reader must know about all logs and questions.
  returned: success
  type: list
  elements: str
duration_ms:
  description: Duration in milliseconds.
  returned: success
  type: float
processes:
  description: Number of processes that read.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.logs.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
