#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_kubernetes
short_description: Start, stop, restart, scale and limit a workload of Kubernetes, wait until it is healthy, and run commands in it
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Does to a Deployment, StatefulSet or DaemonSet what C(kubectl rollout restart), C(kubectl scale) and C(kubectl set resources) do, waits as
    C(kubectl rollout status) does, and goes back as C(kubectl rollout undo) does when the new version does not become healthy.
  - One call does a whole verb, with a watch instead of repeated questions. Conflicts (409), throttling (429, with its C(Retry-After)) and failing servers
    are tried again for 30 seconds; refused credentials (401) and missing rights (403) end it at once and say what to do.
  - A rollout counts as stuck when a new pod waits with ImagePullBackOff, InvalidImageName, CreateContainerConfigError or, after its second crash,
    CrashLoopBackOff, when the Deployment says that its deadline has passed, or when nothing gets on for O(health_timeout_s). The failure names the
    pod, its reason and its last log lines.
  - Credentials come from O(kube_config), environment variables C(K8S_AUTH_*) of M(kubernetes.core.k8s) (docs/service_kubernetes.md says
    which), C(KUBECONFIG), or the pod's service account.
requirements:
  - kubernetes (Python package) >= 24.2
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: What is done is in RV(steps), also in check mode.
  idempotent:
    support: partial
    details: V(operation=restart) restarts and V(operation=exec) runs each time; the others change nothing where all is as wanted.
options:
  operation:
    description:
      - V(status) says what runs, V(wait) waits until the rollout has ended and all replicas are healthy.
      - V(stop) lets no replica run and remembers how many there were in the annotation C(sre.runbooks/replicas); V(start) brings as many back.
      - V(restart) restarts as O(restart_way) says, V(scale) goes to O(scale_to) and changes the limits of the autoscaler,
        or makes it of O(autoscaler_file). With none of them asked it says what there is, and what the autoscaler does.
      - V(limits) gives the container other resources, V(apply) restarts the pods where O(config_map) or O(secret) have changed since they were started.
      - V(back) puts O(back) back, V(exec) runs O(command) in a pod.
    type: str
    required: true
    choices: [status, start, stop, restart, scale, limits, apply, wait, back, exec]
  service:
    description: Name of the service for the result; by default O(workload_name).
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
    description: Its kind, C(deployment), C(statefulset) or C(daemonset), in any case.
    type: str
    default: deployment
  workload_name:
    description: Its name.
    type: str
    required: true
  container:
    description: The container that matters; by default the one of the annotation C(kubectl.kubernetes.io/default-container), or the first.
    type: str
    default: ""
  config_map:
    description: Name of the ConfigMap with the configuration, for V(operation=apply).
    type: str
    default: ""
  secret:
    description: Name of the Secret with the credentials, for V(operation=apply). Its values are not read.
    type: str
    default: ""
  configuration_is_new:
    description:
      - For V(operation=apply), whether the ConfigMap or the Secret were changed since the pods were started. Then these restart whatever their marks,
        and the times of the changes, say. Kubernetes notes no time where a key is only taken away.
    type: bool
    default: false
  former_annotations:
    description:
      - For V(operation=apply) behind a ConfigMap and a Secret that were put back, the annotations of the pods' template from before the change.
        The pods that bear them stay, and only those that have come with the change restart. Where one bears them and is not among
        O(former_replicas), all restart.
    type: dict
  former_replicas:
    description: Replicas of RV(before) of a call before the change, for O(former_annotations). Only C(name) and C(started_at) are read.
    type: list
    elements: dict
    default: []
  autoscaler:
    description: Name of the HorizontalPodAutoscaler; by default the one that names the workload as its target.
    type: str
    default: ""
  autoscaler_file:
    description:
      - Its manifest, YAML or JSON, by its whole path. Where the cluster has no such autoscaler and O(scale_minimum) or O(scale_maximum) are
        asked, it is made of this, as C(kubectl apply) would, with the limits that are asked.
      - A file that holds anything else, or an autoscaler of something else, is refused.
    type: path
    default: ""
  replicas_named:
    description: Numbers of replicas by name, such as C(normal) and C(up).
    type: dict
    default: {}
  health_timeout_s:
    description: Seconds within which something must get on. They begin again whenever another replica has become ready.
    type: float
    default: 100
  restart_way:
    description:
      - V(rolling) as C(kubectl rollout restart), with the strategy of the workload. V(one) deletes the pod O(restart_replica).
      - V(all) deletes all pods at once. V(to_zero_and_back), the same as V(down_and_up), lets none run and then as many as before.
    type: str
    choices: [rolling, all, one, down_and_up, to_zero_and_back]
    default: rolling
  restart_replica:
    description: The pod that is deleted.
    type: str
    default: ""
  scale_to:
    description: How many replicas shall run, a number or a name of O(replicas_named). Empty for as many as there are.
    type: raw
    default: ""
  scale_minimum:
    description: Fewest replicas that the autoscaler may choose; V(0) leaves it as it is.
    type: int
    default: 0
  scale_maximum:
    description: Most replicas that the autoscaler may choose; V(0) leaves it as it is.
    type: int
    default: 0
  limits:
    description: What a container may use, C(memory) and C(cpus), and what is set aside for it, C(memory_request) and C(cpu_request).
    type: dict
    default: {}
  command:
    description: The command for V(operation=exec), as a list of words; no shell reads it. With another exit status than 0 the module fails.
    type: list
    elements: str
    default: []
  command_replica:
    description: The pod in which it runs; by default one that is well.
    type: str
    default: ""
  command_timeout_s:
    description:
      - Seconds after which the command is ended, in the pod where the container has the program C(timeout). Without it only the connection
        is ended, and the failure says that the command may go on.
    type: float
    default: 60
  output_bytes:
    description: How many bytes of each stream of the command are returned, the last ones, with secrets masked.
    type: int
    default: 65536
  keep_back:
    description: Whether RV(back) is returned. It holds only what was changed, not the template of the pods.
    type: bool
    default: false
  back:
    description: RV(back) of a call before, for V(operation=back), where something else than the workload says that the change was a bad one.
    type: list
    elements: dict
    default: []
seealso:
  - module: kubernetes.core.k8s
  - module: sre.runbooks.container_exec
"""

EXAMPLES = r"""
- name: Restart the pods, as many at a time as the Deployment's strategy allows
  sre.runbooks.service_kubernetes:
    operation: restart
    namespace: prod
    workload_name: calendar-api

- name: Run five replicas
  sre.runbooks.service_kubernetes:
    operation: scale
    namespace: prod
    workload_name: calendar-api
    scale_to: 5

- name: Give each replica at most 2 GiB and one processor
  sre.runbooks.service_kubernetes:
    operation: limits
    namespace: prod
    workload_kind: statefulset
    workload_name: worker
    limits: {memory: 2g, cpus: 1.0}

- name: Ask one of the pods for its own view
  sre.runbooks.service_kubernetes:
    operation: exec
    namespace: prod
    workload_name: calendar-api
    command: [python3, -m, calendar_api.check]
"""

RETURN = r"""
verb:
  description: What was asked for.
  returned: success
  type: str
runtime:
  description: Always V(kubernetes).
  returned: success
  type: str
service:
  description: Name of the service.
  returned: success
  type: str
before:
  description:
    - What ran, with C(wanted), C(running), C(healthy), C(is_well), C(conclusion) and C(replicas), each with C(name), C(state), C(health),
      C(image), C(started_at), C(restarts), C(exit_status), C(address), C(limits) (C(memory_bytes), C(cpus)) and C(reason).
      Pods that are ending, or were evicted, are not among them.
  returned: success
  type: dict
after:
  description: What runs now, in the same form; in check mode what is predicted.
  returned: success
  type: dict
steps:
  description: What was done, or in check mode would be, one sentence each.
  returned: success
  type: list
  elements: str
conclusion:
  description: One plain sentence about RV(after).
  returned: success
  type: str
notes:
  description: What the reader should know besides.
  returned: success
  type: list
  elements: str
stdout:
  description: What the command wrote to its standard output, with secrets masked. RV(stderr) likewise. A failure has both in RV(ignore:error).
  returned: V(operation=exec)
  type: str
stderr:
  description: What it wrote to its standard error.
  returned: V(operation=exec)
  type: str
exit_status:
  description: Its exit status; null in check mode.
  returned: V(operation=exec)
  type: int
duration_s:
  description: How long it took, in seconds; null in check mode.
  returned: V(operation=exec)
  type: float
cut:
  description: Whether it printed more than is returned.
  returned: V(operation=exec)
  type: bool
requests:
  description: How many requests were put to the API server.
  returned: success
  type: int
back:
  description: The requests that bring the state before it back.
  returned: with O(keep_back)
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.operation import operate
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.options import OPTIONS


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
