# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service on Kubernetes as a profile describes it, and runs of its playbooks and of the library against an API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.api import Api
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.client import connect
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.operation import operate
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.options import OPTIONS
from integration.kubernetes_server import KubernetesServer
from integration.playbook_runs import ROOT, Finished

TOOLS = Path(sys.executable).parent
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
        (folder / "hosts.ini").write_text(
            '[operator]\nlocalhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"\n'
        )

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a run."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SRE_RUNBOOKS_", "KUBE", "K8S_"))}
        own = {"PATH": f"{TOOLS}:{os.environ['PATH']}", "SRE_RUNBOOKS_STATE": str(self.folder / "state"), "ANSIBLE_NOCOLOR": "1"}
        return {**kept, **own, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "COLUMNS": "400", **more}

    def playbook(self, path: Path, *options: str, **variables: t.Any) -> Finished:
        """Run a playbook to its end; `variables` as extra variables."""
        (self.folder / "profile.json").write_text(json.dumps(self.variables))
        extra = ["-e", f"@{self.folder / 'profile.json'}", "-e", json.dumps(variables)]
        argv = [str(TOOLS / "ansible-playbook"), str(path), "-i", str(self.folder / "hosts.ini"), *extra, *options]
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return Finished(done.returncode, done.stdout)

    def run(self, verb: str, *options: str, **variables: t.Any) -> Finished:
        """Run the playbook of a verb."""
        return self.playbook(ROOT / "playbooks" / f"service_{verb}.yml", *options, **variables)

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
        records = [json.loads(path.read_text()) for path in (self.folder / "state" / "runs").glob("*/record.json")]
        return t.cast("dict[str, t.Any]", max(records, key=lambda record: str(record["started_at"])))

    def operate(self, operation: str, check_mode: bool = False, request_s: float = 30.0, **options: t.Any) -> dict[str, t.Any]:
        """Call the library as the module does."""
        defaults = {name: option.get("default") for name, option in OPTIONS.items()}
        given = {"operation": operation, "kube_config": self.kubeconfig, "workload_name": "app", "health_timeout_s": 8.0, **options}
        return operate({**defaults, **given}, check_mode, Api(connect(self.kubeconfig), json.loads, request_s))

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints."""
        done = subprocess.run(
            [str(TOOLS / "kubectl"), "--kubeconfig", self.kubeconfig, *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout


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
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        one = server.get("deployments", name)
        status, wanted = one.get("status", {}), one["spec"]["replicas"]
        counts = {status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas")}
        if status.get("observedGeneration") == one["metadata"]["generation"] and counts == {wanted} and len(server.pods()) == wanted:
            return
        time.sleep(0.02)
    raise AssertionError(yaml.safe_dump(server.get("deployments", name)))
