#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring_config
short_description: Make alerting rules, routing and boards from a profile, check them, put them in place
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Makes from the profile of a service the rule file of Prometheus with its unit tests, the configuration of Alertmanager, boards for
    Grafana, C(alert_config.json), and the folders of monitoring.
  - Each metric with a PromQL expression becomes a series of its own, and each of its thresholds an alert with a C(severity) (V(warning),
    V(critical)), the C(priority) that the severity rules give it, and annotations with what, why, the next step and the procedure to run.
  - An alert that holds for longer comes again with the label C(escalation_level) for each of O(incident_escalation_levels).
  - What is made is shown to C(promtool) and C(amtool) before anything is written - syntax, the rules' unit tests (below, at and above
    every threshold), the boards' expressions, and the receiver that each kind of alert reaches.
  - A server that refuses its new file, or does not answer when it is told to read it, gets the former files back, and the task fails.
  - No file holds a secret; Alertmanager reads them from files in O(secrets_folder).
requirements:
  - promtool and amtool, unless O(tools=none); without them the files are not checked, and the result says so
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.web
attributes:
  check_mode:
    support: full
    details: Everything is made and checked, nothing is written or reloaded.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  service_name:
    description: Name of the service; it becomes the label C(service) of every alert.
    type: str
    required: true
  service_title:
    description: What a reader calls it.
    type: str
    default: ""
  service_environment:
    description: Where it runs, such as V(production).
    type: str
    default: ""
  health_metrics:
    description:
      - The metrics of the profile with their thresholds (C(warn_above), C(fail_above), C(warn_below), C(fail_below), C(baseline)).
      - Prometheus evaluates a metric's C(promql), the C(query) of one of type V(promql), or what follows from one of type V(prometheus).
        Others are left out, and RV(left_out) says so.
    type: list
    elements: dict
    default: []
  incident_severities:
    description: The severities of incidents, the gravest first.
    type: list
    elements: dict
    default: []
  incident_severity_rules:
    description: What makes an incident how grave; those about a metric give its alerts their C(priority), and further alerts where they
      name a number of their own.
    type: list
    elements: dict
    default: []
  incident_escalation_levels:
    description: Who takes over when (C(level), C(title), C(after_s), and C(notify), a level of O(notify_channels), or C(contact)).
    type: list
    elements: dict
    default: []
  incident_contacts:
    description: Who the contacts of O(incident_escalation_levels) are.
    type: list
    elements: dict
    default: []
  notify_channels:
    description:
      - Addresses by level.
      - Alertmanager sends to V(slack://channel), V(email://name@host), V(pagerduty://name), V(opsgenie://team) and addresses of web hooks
        itself; to others by O(webhook_url).
    type: dict
    default: {}
  monitoring_alerts:
    description: More about the alerts of a metric, by its name - C(alert) (their name), C(enabled), C(warning_for_s), C(critical_for_s),
      C(why), C(next_step), C(procedure), C(labels).
    type: dict
    default: {}
  monitoring_rules:
    description: Further alerts, which are about no metric of the profile - C(alert), C(promql), C(severity), C(priority), C(for_s), C(what),
      C(why), C(next_step), C(procedure), C(component), C(labels).
    type: list
    elements: dict
    default: []
  monitoring_dashboards:
    description: Boards, each with C(name), C(title) and C(panels), each of these with C(title), C(metric) or C(promql), and C(unit).
    type: list
    elements: dict
    default: []
  monitoring_warning_for_s:
    description: Seconds for which a warning must hold before it is sent.
    type: float
    default: 300
  monitoring_critical_for_s:
    description: Seconds for which a critical alert must hold before it is sent.
    type: float
    default: 60
  monitoring_every_s:
    description: Seconds between two evaluations of the rules; V(0) for Prometheus's own setting.
    type: float
    default: 0
  monitoring_group_wait_s:
    description: Seconds for which Alertmanager waits for further alerts of a group before it tells of the first.
    type: float
    default: 30
  monitoring_group_interval_s:
    description: Seconds until Alertmanager tells of what is new in a group, or over.
    type: float
    default: 300
  enabled:
    description: Whether alerts are evaluated, for C(alert_config.json).
    type: bool
    default: true
  interval_s:
    description: Seconds between two evaluations, for C(alert_config.json).
    type: float
    default: 300
  folder:
    description: Folder of monitoring. What has no other place lies below it. Default is C(monitoring/<service>) in the state folder.
    type: path
  folders:
    description: Further folders to make.
    type: list
    elements: path
    default: []
  rules_file:
    description: Rule file of Prometheus. Default is C(prometheus/<service>.rules.yml) in O(folder).
    type: path
  alertmanager_file:
    description: Configuration of Alertmanager. Default is C(alertmanager/alertmanager.yml) in O(folder).
    type: path
  alertmanager_shared:
    description:
      - Whether other services use that file, too. Then only the part between this service's own marks is written - a route for the alerts with its
        label C(service), its receivers and its rules of inhibition -, and all else stays as it is.
    type: bool
    default: false
  alert_config_file:
    description: Thresholds and channels for other programs. Default is C(alert_config.json) in O(folder).
    type: path
  secrets_folder:
    description: Folder on Alertmanager's host with the files C(slack_api_url), C(smtp_password), C(pagerduty_routing_key) and
      C(opsgenie_api_key), as far as they are needed. They are never read here.
    type: path
    default: /etc/alertmanager/secrets
  smtp_smarthost:
    description: Mail server for V(email://), C(host:port).
    type: str
    default: ""
  smtp_from:
    description: Sender's address.
    type: str
    default: ""
  smtp_user:
    description: Account at the mail server. Its password is in the file C(smtp_password).
    type: str
    default: ""
  smtp_tls:
    description: Whether the mail server must speak TLS.
    type: bool
    default: true
  webhook_url:
    description: Address that takes what Alertmanager cannot send itself; the channel is its parameter C(to).
    type: str
    default: ""
  webhook_token_file:
    description: File on Alertmanager's host with the bearer token for O(webhook_url).
    type: path
  tools:
    description: Whether the files are checked with promtool and amtool - V(auto) where they are, V(required) fails without them.
    type: str
    choices: [auto, required, none]
    default: auto
  tool_folder:
    description: Folder of promtool and amtool. Default is the search path.
    type: path
  prometheus_url:
    description: Address of a Prometheus that reads the rule file; empty for none.
    type: str
    default: ""
  alertmanager_url:
    description: Address of an Alertmanager that reads the configuration; empty for none.
    type: str
    default: ""
  reload:
    description: Whether the servers are told to read a file that changed.
    type: bool
    default: true
seealso:
  - module: sre.runbooks.alerts_info
  - module: sre.runbooks.alert_silence
"""

EXAMPLES = r"""
- name: Write the rules and the routing of a service, and let the servers read them
  sre.runbooks.monitoring_config:
    service_name: calendar
    health_metrics:
      - {name: error_rate, type: promql, url: "http://127.0.0.1:9090", unit: ratio, warn_above: 0.01, fail_above: 0.1,
         query: 'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))'}
    notify_channels:
      critical: [slack://team-alerts]
      warning: [slack://monitoring]
    folder: /opt/calendar/.monitoring
    rules_file: /etc/prometheus/rules/calendar.yml
    prometheus_url: http://127.0.0.1:9090
"""

RETURN = r"""
alerts:
  description: The alerts, those of escalation left out, each with C(name), C(severity), C(priority), C(expression) and C(for_s) (seconds).
  returned: success
  type: list
  elements: dict
files:
  description: All files, each with C(path), C(kind) and C(changed).
  returned: success
  type: list
  elements: dict
folders:
  description: All folders.
  returned: success
  type: list
  elements: str
dashboards:
  description: Paths of the boards.
  returned: success
  type: list
  elements: str
checks:
  description: What promtool and amtool said, each with C(tool), C(what), C(passed) (null where the tool is missing) and C(said).
  returned: success
  type: list
  elements: dict
servers:
  description:
    - The servers, each with C(server), C(reloaded), C(current) (whether it has what the files say, null when that could not be seen), and
      C(next_step), what a person has to do.
  returned: success
  type: list
  elements: dict
left_out:
  description: What could not be taken over (C(metrics), C(channels), C(panels)), each by name with the reason.
  returned: success
  type: dict
next_steps:
  description: What a person has to do.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.set_up import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    # A metric may hold the password by which it is read: the arguments neither go to the system log nor come back with the result.
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True, no_log=True)
    parameters = dict(module.params)
    module.params["health_metrics"] = f"{len(parameters['health_metrics'])} metrics"
    conclude(module, lambda: operate(parameters, module.check_mode))


if __name__ == "__main__":
    main()
