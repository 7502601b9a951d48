#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_diagnose
short_description: Find out why a service does not run as it should
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Looks at everything that can keep a service of Docker Compose, systemd or Kubernetes from running, and says in one or two plain
    sentences what does, and what to do next. When nothing explains it, it says so and what was looked at.
  - It only reads. All questions together have one deadline; one that fails takes nothing from the others.
  - Values of variables are never shown, and secrets in logs and messages are masked.
  - For Compose and systemd it runs on the host of the service. For Kubernetes it asks the API server from where it runs.
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.compose_service
  - sre.runbooks.unit
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
options:
  runtime:
    description: What runs the service.
    type: str
    choices: [compose, kubernetes, systemd]
    required: true
  service:
    description:
      - For Compose the service; empty stands for all of the project.
      - For Kubernetes the name of the workload.
    type: str
    default: ""
  kube_config:
    description: The kubeconfig file; by default what the environment names.
    type: path
    default: ""
  kube_context:
    description: The context in it; by default the current one.
    type: str
    default: ""
  namespace:
    description: Namespace of the workload.
    type: str
    default: default
  workload_kind:
    description: Kind of the workload, V(deployment), V(statefulset) or V(daemonset).
    type: str
    default: deployment
  container:
    description: Container of the pod whose log is read; by default the worst. One that must end before the others start comes before all.
    type: str
    default: ""
  replicas:
    description: How many replicas shall run; by default as the runtime says.
    type: int
  ports:
    description: TCP ports of the host that the service needs, besides those that it publishes or that its sockets name.
    type: list
    elements: int
    default: []
  failure:
    description: What was said when the service could not be started, as a further clue.
    type: str
    default: ""
  log_lines:
    description: How many of the last lines of each log are looked at.
    type: int
    default: 40
  timeout_s:
    description: Seconds for all questions together.
    type: float
    default: 20
requirements:
  - kubernetes (Python package) >= 24.2, for Kubernetes
seealso:
  - module: sre.runbooks.health_check
"""

EXAMPLES = r"""
- name: Find out why the service api of a Compose project does not run
  sre.runbooks.service_diagnose:
    runtime: compose
    project_folder: /srv/paralegal
    service: api
  register: diagnosis

- name: Say it
  ansible.builtin.debug:
    msg: "{{ diagnosis.conclusion }} Next: {{ diagnosis.next_step }}"

- name: Find out why a Deployment does not become ready
  sre.runbooks.service_diagnose:
    runtime: kubernetes
    namespace: rag7-prod
    service: langgraph-api

- name: Find out why a unit does not run, and who has its port
  sre.runbooks.service_diagnose:
    runtime: systemd
    unit: calendar-api.service
    ports: [8000]
"""

RETURN = r"""
is_well:
  description: Whether all replicas that shall run do, and are healthy.
  returned: success
  type: bool
conclusion:
  description: What keeps the service from running, in one or two sentences.
  returned: success
  type: str
  sample: "The service api does not run as it should (0 of 1 replica runs): port 8000 is held by process 4711 (python3)."
next_step:
  description: What to do now; empty when nothing is.
  returned: success
  type: str
state:
  description: How many replicas run.
  returned: success
  type: str
findings:
  description: What was found, causes first.
  returned: success
  type: list
  elements: dict
  contains:
    rule:
      description: Name of the rule that found it.
      type: str
    severity:
      description: V(cause), V(likely) (probably a cause), V(symptom) or V(note).
      type: str
    what:
      description: What was found.
      type: str
    evidence:
      description: What it rests on, in the words of those who said it.
      type: list
      elements: str
    next_step:
      description: What to do about it.
      type: str
report:
  description: All of it as lines for a person, which end with the conclusion and the next step.
  returned: success
  type: list
  elements: str
log:
  description: The last lines of each replica, by its name.
  returned: success
  type: dict
looked_at:
  description: What was looked at.
  returned: success
  type: list
  elements: str
not_looked_at:
  description: What could not be looked at, and why.
  returned: success
  type: list
  elements: str
duration_s:
  description: How long it took, in seconds.
  returned: success
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
