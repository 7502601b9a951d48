# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of docs/inventory_from_what_runs.md: what runs in a real engine or in a cluster feeds a profile."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.containers import Docker
from integration.kubernetes_server import KubernetesServer
from tools.ports import free_port
from tools.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
TOOLS = "/usr/lib/postgresql/15/bin"
APP = ["sh", "-c", "mkdir -p /site && echo well > /site/health && exec python3 -m http.server --directory /site 8000"]
DATABASE = [
    "sh",
    "-c",
    "install -d -o postgres /data /run/postgresql && exec su postgres -c '"
    f"{TOOLS}/initdb -D /data --auth=trust >/dev/null && exec {TOOLS}/postgres -D /data -c fsync=off'",
]


def ansible(program: str, *arguments: str, **environment: str) -> str:
    """What a program of Ansible prints; it must succeed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SRE_RUNBOOKS_"))}
    own = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [str(Path(sys.executable).parent / program), *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**kept, **own, **environment}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Shop:
    """A Compose project that runs, and the example's inventory for it.

    Attributes:
        project: Name of the project.
        folder: Its folder.
        inventory: Folder of the inventory.
        state: Where run records are kept.
    """

    project: str
    folder: Path
    inventory: Path
    state: Path

    def groups(self) -> dict[str, t.Any]:
        """What `ansible-inventory --list` says; texts of others stand in it under a word that keeps them from being templates."""
        told = ansible("ansible-inventory", "-i", str(self.inventory), "--list")
        return dict(json.loads(told, object_hook=lambda found: found.get("__ansible_unsafe", found)))

    def value(self, expression: str) -> t.Any:
        """A variable of the profile as a procedure sees it."""
        words = ("-i", str(self.inventory), "localhost", "-m", "ansible.builtin.debug", "-a", f"msg={{{{ {expression} }}}}")
        told = ansible("ansible", *words, ANSIBLE_LOAD_CALLBACK_PLUGINS="1", ANSIBLE_STDOUT_CALLBACK="ansible.builtin.oneline")
        return json.loads(told.split("=> ", 1)[1])["msg"]

    def run(self, playbook: str, *options: str) -> str:
        """What a playbook of this collection prints."""
        where = str(ROOT / "playbooks" / f"{playbook}.yml")
        return ansible("ansible-playbook", where, "-i", str(self.inventory), *options, SRE_RUNBOOKS_STATE=str(self.state))


@pytest.fixture(scope="module")
def shop(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Two containers of the application and one of its database, and what `docker compose run` has left."""
    top = tmp_path_factory.mktemp("shop")
    folder, inventory, name = top / "project", top / "inventory", docker.name("shop")
    probe = {"interval": "300ms", "timeout": "2s", "retries": 100, "start_period": "0s"}
    healthy = {"test": ["CMD", "python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health')"], **probe}
    services: dict[str, dict[str, t.Any]] = {
        "app": {"command": APP, "healthcheck": healthy, "deploy": {"replicas": 2}},
        "postgresql": {"command": DATABASE, "healthcheck": {"test": ["CMD", f"{TOOLS}/pg_isready"], **probe}},
    }
    for service in services.values():
        service.update(image=docker.image, init=True, stop_grace_period="1s", pull_policy="never")
    folder.mkdir()
    (folder / "compose.yaml").write_text(json.dumps({"name": name, "services": services}))
    shutil.copytree(EXAMPLES / "inventory_from_docker", inventory)
    containers = inventory / "containers.docker.yml"
    elsewhere = os.environ.get("DOCKER_HOST")  # which the plugin does not look at
    engine = f"docker_host: {elsewhere}\n" if elsewhere else ""
    containers.write_text(containers.read_text().replace("== 'shop'", f"== '{name}'") + engine)
    checks = inventory / "group_vars" / "all" / "checks.yml"
    checks.write_text(checks.read_text().replace("    user: postgres", f"    user: postgres\n    tool_folder: {TOOLS}"))
    try:
        docker("compose", "up", "--detach", "--wait", folder=folder)
        docker("compose", "run", "--detach", "--no-deps", "--entrypoint", "true", "app", folder=folder)
        yield Shop(name, folder, inventory, top / "state")
    finally:
        docker("compose", "down", "--timeout", "1", "--remove-orphans", folder=folder)


@pytest.mark.docker
def test_containers_of_a_project_become_hosts_and_groups_with_what_is_known_of_them(shop: Shop) -> None:
    found = shop.groups()
    app = [f"{shop.project}-app-1", f"{shop.project}-app-2"]
    assert sorted(found["app_containers"]["hosts"]) == app
    assert found["postgresql_containers"]["hosts"] == [f"{shop.project}-postgresql-1"]
    assert sorted(found["running_containers"]["hosts"]) == [*app, f"{shop.project}-postgresql-1"]
    assert found["app"]["hosts"] == ["localhost"]
    known = found["_meta"]["hostvars"][app[0]]
    assert (known["ansible_connection"], known["ansible_host"]) == ("community.docker.docker", app[0])
    assert (known["container_state"], known["container_health"], known["container_project"]) == ("running", "healthy", shop.project)


@pytest.mark.docker
def test_the_profile_follows_what_runs(shop: Shop, docker: Docker) -> None:
    expression = (
        "{'project': service_compose_project, 'folder': service_compose_folder, 'files': service_compose_files, 'many': service_replicas}"
    )
    found = shop.value(expression)
    assert (found["project"], found["folder"]) == (shop.project, str(shop.folder))
    assert found["files"] == [str(shop.folder / "compose.yaml")]
    assert found["many"] == {"normal": 2, "up": 4, "observed": 2}
    docker("stop", "--time", "1", f"{shop.project}-app-2")
    try:
        assert shop.value("service_replicas.observed") == 1
    finally:
        docker("start", f"{shop.project}-app-2")


@pytest.mark.docker
def test_procedures_work_on_what_was_found(shop: Shop) -> None:
    assert re.findall(r"PASS +(\w+)", shop.run("health_check")) == ["containers", "database"]
    assert "2 of 2 replicas run and are healthy" in shop.run("service_status")


@pytest.mark.docker
def test_tasks_reach_the_containers_themselves(shop: Shop) -> None:
    told = ansible("ansible", "-i", str(shop.inventory), "app_containers", "-m", "ansible.builtin.raw", "-a", "cat /site/health")
    assert told.count("well") == 2


LABELS = {"app": "shop", "tier": "web"}
SOURCES = [{"configMapRef": {"name": "shop-config"}}, {"secretRef": {"name": "keys"}}]
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "web", "image": "shop:1.2", "envFrom": SOURCES}]},
        },
    },
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[KubernetesServer, str]]:
    """A cluster in which three pods of a workload run, beside one that has ended and one of another; its kubeconfig."""
    with KubernetesServer(free_port()) as server:
        server.create("deployments", DEPLOYMENT, "shop")
        for name, labels, phase in (("shop-ended", LABELS, "Succeeded"), ("other", {"app": "other"}, "Running")):
            pod = {"metadata": {"name": name, "labels": labels}, "spec": {"containers": []}}
            pod["status"] = {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]}
            server.create("pods", {"apiVersion": "v1", "kind": "Pod", **pod}, "shop")
        wait_until("the pods run", lambda: server.get("deployments", "shop", "shop").get("status", {}).get("readyReplicas") == 3, 20)
        yield server, server.kubeconfig(tmp_path / "kubeconfig")


def test_pods_of_a_workload_become_hosts_for_the_procedure_that_follows(cluster: tuple[KubernetesServer, str], tmp_path: Path) -> None:
    server, kubeconfig = cluster
    asked = ("groups.app_pods | sort", "hostvars[groups.app_pods[0]].container_image", "hostvars[groups.app_pods[0]].ansible_connection",
             "service_replicas", "service_kube_container", "service_kube_config_map", "service_kube_secret")  # fmt: skip
    task = {"ansible.builtin.copy": {"content": "{{ [" + ", ".join(asked) + "] | to_json }}", "dest": f"{tmp_path}/found", "mode": "0600"}}
    plays = [{"hosts": "app", "gather_facts": False, "tasks": [task]}, {"ansible.builtin.import_playbook": "sre.runbooks.service_status"}]
    (tmp_path / "procedure.yml").write_text(json.dumps(plays))
    words = (
        "-e",
        json.dumps({"service_kube_config": kubeconfig, "service_kube_context": "test", "found_procedure": f"{tmp_path}/procedure.yml"}),
    )
    where = EXAMPLES / "inventory_from_kubernetes"
    ansible("ansible-playbook", "-i", str(where), str(EXAMPLES / "with_pods.yml"), *words, SRE_RUNBOOKS_STATE=str(tmp_path / "state"))
    pods = sorted(pod["metadata"]["name"] for pod in server.pods() if pod["metadata"]["name"] not in ("shop-ended", "other"))
    many = {"normal": 2, "up": 4, "observed": 3}
    found = json.loads((tmp_path / "found").read_text())
    assert found == [pods, "shop:1.2", "kubernetes.core.kubectl", many, "web", "shop-config", "keys"]
    (record,) = (tmp_path / "state" / "runs").glob("*/record.json")
    assert "3 of 3 replicas run" in record.read_text()
