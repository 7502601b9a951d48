# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the verbs of a service on Kubernetes take beside kubectl, and beside the same steps as tasks of kubernetes.core.

    python tests/benchmarks/benchmark_service_kubernetes.py [--runs 3]

Whole playbook runs, from the lease to the report, against the API server of the tests, with replicas that are ready after 0.15 s. What is
compared is measured in turns on the same machine; figures are medians in seconds, of the clock and of the processor.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]

from integration.kubernetes_controllers import settings, workload  # noqa: E402
from integration.kubernetes_server import KubernetesServer  # noqa: E402
from integration.kubernetes_service import KubernetesService, settle  # noqa: E402
from tools.ports import free_ports  # noqa: E402

MOST_S = 2.0
"""How much longer a verb may take than kubectl."""
_NAMED = {"namespace": "default", "name": "app"}
_MODULES: dict[str, list[dict[str, t.Any]]] = {
    "status": [
        {"kubernetes.core.k8s_info": {"api_version": "apps/v1", "kind": "Deployment", **_NAMED}},
        {"kubernetes.core.k8s_info": {"kind": "Pod", "namespace": "default", "label_selectors": ["app=app"]}},
    ],
    "scale": [{"kubernetes.core.k8s_scale": {"api_version": "apps/v1", "kind": "Deployment", "replicas": 4, "wait_sleep": 1, **_NAMED}}],
    "restart": [
        {
            "kubernetes.core.k8s": {
                "state": "patched",
                "wait": True,
                "wait_sleep": 1,
                "definition": {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": _NAMED,
                    "spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "{{ now() | string }}"}}}},
                },
            }
        },
        {"kubernetes.core.k8s_info": {"kind": "Pod", "namespace": "default", "label_selectors": ["app=app"]}},
    ],
}


class Bench:
    """The ways of doing the same."""

    def __init__(self, server: KubernetesServer, folder: Path) -> None:
        self.server, self.service = server, KubernetesService(folder / "service", server.kubeconfig(folder / "config"))
        self.service.variables["service_kube_config_map"] = ""

    def ready(self) -> None:
        """Three replicas run."""
        self.server.change("deployments", "app", {"spec": {"replicas": 3}})
        settle(self.server)

    def ours(self, verb: str) -> None:
        """The playbook."""
        done = self.service.run(verb, **({"service_scale_to": 4} if verb == "scale" else {}))
        assert done.status == 0, done.output

    def kubectl(self, verb: str) -> None:
        """What an operator types."""
        if verb == "status":
            self.service.kubectl("get", "deployments,pods", "-l", "app=app", "-o", "wide")
            return
        self.service.kubectl(*({"restart": ("rollout", "restart"), "scale": ("scale", "--replicas=4")}[verb]), "deployment/app")
        self.service.kubectl("rollout", "status", "deployment/app")
        self.service.kubectl("get", "deployments,pods", "-l", "app=app", "-o", "wide")

    def modules(self, verb: str) -> None:
        """A playbook with tasks of kubernetes.core, without lease, record, judgement and way back."""
        tasks = [
            {module: {**options, "kubeconfig": self.service.kubeconfig}} for task in _MODULES[verb] for module, options in task.items()
        ]
        path = self.service.folder / "modules.yml"
        path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        done = self.service.playbook(path)
        assert done.status == 0, done.output


def _measured(work: t.Callable[[str], None], verb: str) -> tuple[float, float]:
    """Seconds of the clock, and of the processor by the programs that were started."""
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work(verb)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def main() -> int:
    """Measure, print, and say by the exit status whether all is within its bound."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    slow = []
    with tempfile.TemporaryDirectory() as folder, KubernetesServer(free_ports(1)[0]) as server:
        server.create("configmaps", settings())
        server.create("deployments", workload())
        bench = Bench(server, Path(folder))
        ways = {"playbook": bench.ours, "kubectl": bench.kubectl, "kubernetes.core": bench.modules}
        print(f"{'verb':10}" + "".join(f"{way + ' clock':>22}{'processor':>12}" for way in ways) + f"{'more than kubectl':>20}")
        for verb in ("status", "scale", "restart"):
            figures: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for _run in range(runs):
                for way, work in ways.items():
                    bench.ready()
                    figures[way].append(_measured(work, verb))
            medians = {way: [statistics.median(column) for column in zip(*rows, strict=True)] for way, rows in figures.items()}
            more = medians["playbook"][0] - medians["kubectl"][0]
            slow += [verb] if more > MOST_S else []
            print(f"{verb:10}" + "".join(f"{clock:>22.2f}{used:>12.2f}" for clock, used in medians.values()) + f"{more:>20.2f}", flush=True)
    print(f"over {MOST_S:.0f} s more than kubectl: {', '.join(slow)}" if slow else f"all within {MOST_S:.0f} s of kubectl")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
