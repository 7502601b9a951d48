# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can run a service, what a new profile asks about it, and what it writes."""

from __future__ import annotations

from typing import NamedTuple


class Runtime(NamedTuple):
    """One of them.

    Attributes:
        question: Where the service runs.
        default: The answer by default, from the short name and the same with hyphens.
        form: Regular expression of an answer: place (folder, namespace) and name.
        variables: What tells the role `service` where it is, with both.
        log: Where it logs, for service_logs.
        check: A check of it, for health_checks.
    """

    question: str
    default: str
    form: str
    variables: str
    log: str
    check: str


RUNTIMES = {
    "compose": Runtime(
        question="Folder and service of Docker Compose (folder:service)",
        default="/opt/{0}:{0}",
        form=r"(/[^:\s]+):([\w.-]+)",
        variables="service_compose_folder: %s\nservice_compose_service: %s",
        log='compose_service: "{{ service_compose_service }}", project_folder: "{{ service_compose_folder }}"',
        check='type: compose_service, service: "{{ service_compose_service }}", project_folder: "{{ service_compose_folder }}"',
    ),
    "kubernetes": Runtime(
        question="Namespace and Deployment (namespace/name)",
        default="default/{1}",
        form=r"([a-z0-9-]+)/([a-z0-9.-]+)",
        variables="service_kube_namespace: %s\nservice_kube_workload: {kind: deployment, name: %s}",
        log='kubernetes_workload: "deployment/{{ service_kube_workload.name }}", namespace: "{{ service_kube_namespace }}"',
        check='type: kubernetes_workload, workload: "{{ service_kube_workload.name }}", namespace: "{{ service_kube_namespace }}"',
    ),
    "systemd": Runtime(
        question="Unit of systemd",
        default="{0}",
        form=r"()([\w.@:-]+)",
        variables="service_systemd_unit: %.0s%s",
        log='systemd_unit: "{{ service_systemd_unit }}"',
        check='type: systemd_unit, unit: "{{ service_systemd_unit }}"',
    ),
}
