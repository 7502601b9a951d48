#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: remove pods of Kubernetes that are over."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_pods_cleanup
short_description: Remove pods of Kubernetes that are over
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Removes the pods of a namespace that have succeeded or failed, evicted ones among them.
  - Those stay that a CronJob removes by its history limits or a Job by its time to live, that a Job which has not ended still counts, and
    those of a StatefulSet, which makes them again under the same names. So do those of controllers other than a ReplicaSet, a DaemonSet
    and a Job, such as workflows, which may read from a pod what came of it.
  - Each is removed by its name and its C(uid), so that a new pod of the same name stays.
  - Where the connection is local it works in the task's own process.
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - kubernetes (Python package) >= 24.2
options:
  kube_config:
    description: The file that says how the API server is reached. By default as kubectl finds it.
    type: path
    default: ""
  kube_context:
    description: The context in it. By default the current one.
    type: str
    default: ""
  namespace:
    description: The namespace.
    type: str
    required: true
  phases:
    description: Which pods are meant.
    type: list
    elements: str
    choices: [Succeeded, Failed]
    default: [Succeeded, Failed]
  older_than_h:
    description: Pods that ended less than so many hours ago stay.
    type: float
    default: 24
seealso:
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Remove pods that ended more than a day ago
  sre.runbooks.kubernetes_pods_cleanup:
    namespace: rag7
    older_than_h: 24
"""

RETURN = r"""
plan:
  description: What was removed, or would be, in sentences with the reason.
  returned: success
  type: list
  elements: str
removed:
  description:
    - Pods that were removed, or would be, each with C(namespace), C(name), C(uid), C(phase), C(age_h) (hours since they ended) and
      C(reason).
  returned: success
  type: list
  elements: dict
kept:
  description: Pods that are over and stay, in the same form.
  returned: success
  type: list
  elements: dict
notes:
  description: What else the reader should know.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.pods_cleanup import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
