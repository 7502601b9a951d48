# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of docs/inventory_from_what_runs.md: what runs in a real engine or in a cluster feeds a profile."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kmock
import pytest

from integration.containers import Docker

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
    containers.write_text(containers.read_text().replace("== 'shop'", f"== '{name}'"))
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
def test_health_check_asks_what_was_found(shop: Shop) -> None:
    told = shop.run("health_check")
    assert re.findall(r"PASS +(\w+)", told) == ["containers", "database"]


@pytest.mark.docker
def test_tasks_reach_the_containers_themselves(shop: Shop) -> None:
    told = ansible("ansible", "-i", str(shop.inventory), "app_containers", "-m", "ansible.builtin.raw", "-a", "cat /site/health")
    assert told.count("well") == 2


POD = {
    "containers": [
        {"name": "web", "image": "shop:1.2", "envFrom": [{"configMapRef": {"name": "shop-config"}}, {"secretRef": {"name": "keys"}}]}
    ]
}
LABELS = {"app": "shop", "tier": "web"}


class Cluster(kmock.KubernetesEmulator):
    """A cluster whose lists say what they are, and keep to the selectors that they are asked with."""

    async def _serve_list(self, request: kmock.Request) -> kmock.Payload:
        found = t.cast(dict[str, t.Any], await super()._serve_list(request))
        items = [
            item for item in found["items"] if selected(item, request.params.get("labelSelector"), request.params.get("fieldSelector"))
        ]
        return {**found, "apiVersion": "v1", "kind": "List", "items": items}


def selected(item: dict[str, t.Any], labels: str | None, fields: str | None) -> bool:
    """Whether an object fits selectors of the form name=value."""
    known = {**item["metadata"].get("labels", {}), "status.phase": item.get("status", {}).get("phase")}
    known["metadata.name"] = item["metadata"]["name"]
    wanted = [part for words in (labels, fields) if words for part in words.split(",")]
    return all(known.get(part.partition("=")[0]) == part.partition("=")[2].lstrip("=") for part in wanted)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a cluster with a workload of three replicas; two of its pods run, one has ended, another is not its own."""
    emulator = Cluster()
    emulator.resources.load_bundled()
    deployment = {"replicas": 3, "selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": POD}}
    metadata = {"name": "shop", "namespace": "shop"}
    emulator.objects["apps/v1/deployments", "shop", "shop"] = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment, "status": {"readyReplicas": 2},
    }  # fmt: skip
    pods = {
        "shop-a": ("Running", LABELS),
        "shop-b": ("Running", LABELS),
        "shop-c": ("Succeeded", LABELS),
        "other": ("Running", {"app": "other"}),
    }
    for name, (phase, labels) in pods.items():
        emulator.objects["v1/pods", "shop", name] = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": labels}, "spec": POD,
            "status": {"phase": phase},
        }  # fmt: skip
    loop, address = asyncio.new_event_loop(), []
    serving, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with emulator, kmock.Server(emulator) as server:
            address.append(str(server.url).rstrip("/"))
            serving.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert serving.wait(20)
        named = {"clusters": [{"name": "c", "cluster": {"server": address[0]}}], "users": [{"name": "u", "user": {"token": "t"}}]}
        contexts = [{"name": "production", "context": {"cluster": "c", "user": "u", "namespace": "default"}}]
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(
            json.dumps({"apiVersion": "v1", "kind": "Config", "contexts": contexts, "current-context": "production", **named})
        )
        yield kubeconfig
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)


def test_pods_of_a_workload_become_hosts_for_the_procedure_that_follows(cluster: Path, tmp_path: Path) -> None:
    asked = ("groups.app_pods | sort", "hostvars['shop-a'].container_image", "hostvars['shop-b'].ansible_connection", "service_replicas",
             "service_kube_container", "service_kube_config_map", "service_kube_secret")  # fmt: skip
    task = {"ansible.builtin.copy": {"content": "{{ [" + ", ".join(asked) + "] | to_json }}", "dest": f"{tmp_path}/found", "mode": "0600"}}
    (tmp_path / "procedure.yml").write_text(json.dumps([{"hosts": "app", "gather_facts": False, "tasks": [task]}]))
    words = ("-e", f"service_kube_config={cluster}", "-e", f"found_procedure={tmp_path}/procedure.yml")
    ansible("ansible-playbook", "-i", str(EXAMPLES / "inventory_from_kubernetes"), str(EXAMPLES / "with_pods.yml"), *words)
    many = {"normal": 2, "up": 4, "observed": 3}
    found = json.loads((tmp_path / "found").read_text())
    assert found == [["shop-a", "shop-b"], "shop:1.2", "kubernetes.core.kubectl", many, "web", "shop-config", "keys"]
