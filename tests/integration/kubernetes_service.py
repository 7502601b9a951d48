# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service on Kubernetes as a profile describes it, and runs of its playbooks and of the library against an API server."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.api import Api
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.client import connect
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.operation import operate
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.options import OPTIONS
from integration import playbook_runs
from integration.kubernetes_controllers import settings, workload
from integration.kubernetes_server import KubernetesServer
from integration.playbook_runs import OPERATOR, PROGRAMS, Finished, finish, start
from tools.waiting import wait_until

_PLAY = """- hosts: all
  gather_facts: false
  tasks:
"""
_ENTRY = """    - ansible.builtin.include_role: {{name: sre.runbooks.service, tasks_from: {verb}}}
    - ansible.builtin.copy:
        content: "{{{{ service_{verb}_result }}}}"
        dest: "{result}"
        mode: "0600"
      check_mode: false
"""


class KubernetesService:
    """The Deployment `app` of an API server.

    Attributes:
        kubeconfig: Path of the kubeconfig.
        variables: The profile; change it before a run.
    """

    def __init__(self, folder: Path, kubeconfig: str) -> None:
        self.folder, self.kubeconfig = folder, kubeconfig
        self.variables: dict[str, t.Any] = {
            "service_name": "calendar",
            "service_runtime": "kubernetes",
            "service_kube_config": kubeconfig,
            "service_kube_workload": {"kind": "deployment", "name": "app"},
            "service_kube_config_map": "app-settings",
            "service_replicas": {"normal": 3, "up": 5},
            "service_health_timeout_s": 20,
        }
        folder.mkdir(exist_ok=True)
        (folder / "hosts.ini").write_text(OPERATOR)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a run."""
        return playbook_runs.environment(self.folder / "state", **more)

    def playbook(self, playbook: str | Path, *options: str, **variables: t.Any) -> Finished:
        """Run a playbook to its end, one of this collection by name or any other by path; `variables` as extra variables."""
        (self.folder / "profile.json").write_text(json.dumps(self.variables))
        extra = ["-e", f"@{self.folder / 'profile.json'}", "-e", json.dumps(variables)]
        command = playbook_runs.command(playbook, self.folder / "hosts.ini", *extra, *options)
        return finish(start(command, self.environment()))

    def run(self, verb: str, *options: str, **variables: t.Any) -> Finished:
        """Run the playbook of a verb."""
        return self.playbook(f"service_{verb}", *options, **variables)

    def entry(self, verb: str, *options: str, **variables: t.Any) -> dict[str, t.Any]:
        """Run an entry point of the role alone, and return its result; a failure has `message`."""
        return self.entries(verb, 1, *options, **variables)[0]

    def entries(self, verb: str, times: int, *options: str, **variables: t.Any) -> list[dict[str, t.Any]]:
        """Run an entry point so many times in one play, and return the results; where one fails there is only its `message`."""
        play, results = self.folder / f"{verb}.yml", [self.folder / f"{verb}_{number}.json" for number in range(times)]
        play.write_text(_PLAY + "".join(_ENTRY.format(verb=verb, result=result) for result in results))
        done = self.playbook(play, *options, **variables)
        if done.status != 0:
            return [{"message": done.message, "output": done.output}]
        return [json.loads(result.read_text()) for result in results]

    def record(self) -> dict[str, t.Any]:
        """The newest run record."""
        return playbook_runs.records(self.folder / "state")[-1]

    def operate(self, operation: str, check_mode: bool = False, request_s: float = 30.0, **options: t.Any) -> dict[str, t.Any]:
        """Call the library as the module does."""
        defaults = {name: option.get("default") for name, option in OPTIONS.items()}
        given = {"operation": operation, "kube_config": self.kubeconfig, "workload_name": "app", "health_timeout_s": 8.0, **options}
        return operate({**defaults, **given}, check_mode, Api(connect(self.kubeconfig), json.loads, request_s))

    def failure(self, operation: str, **options: t.Any) -> RunbookError:
        """The error of a call of the library that must fail."""
        with pytest.raises(RunbookError) as caught:
            self.operate(operation, **options)
        return caught.value

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints."""
        done = subprocess.run(
            [str(PROGRAMS / "kubectl"), "--kubeconfig", self.kubeconfig, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout


def newly_made(server: KubernetesServer, folder: Path) -> KubernetesService:
    """The service in this folder, and nothing but its Deployment, with three replicas, and its ConfigMap on the server."""
    server.reset()
    server.create("configmaps", settings(LOG_LEVEL="info"))
    server.create("deployments", workload())
    settle(server)
    return KubernetesService(folder, server.kubeconfig(folder / "config"))


def picture(server: KubernetesServer) -> dict[str, str]:
    """What a verb could change: specifications, annotations and data, to see that nothing was."""
    return t.cast(
        "dict[str, str]",
        server.do(
            lambda objects: {
                "/".join(key): json.dumps(
                    [one.get("spec"), one.get("data"), one["metadata"].get("annotations"), one["metadata"]["uid"]], sort_keys=True
                )
                for key, one in objects.items()
                if key[0] not in ("replicasets", "events")
            }
        ),
    )


def settle(server: KubernetesServer, name: str = "app", timeout_s: float = 20) -> None:
    """Wait until the controllers have nothing more to do with a Deployment."""

    def is_settled() -> bool:
        one = server.get("deployments", name)
        status, wanted = one.get("status", {}), one["spec"]["replicas"]
        counts = {status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas")}
        return status.get("observedGeneration") == one["metadata"]["generation"] and counts == {wanted} == {len(server.pods())}

    wait_until(lambda: yaml.safe_dump(server.get("deployments", name)), is_settled, timeout_s)
