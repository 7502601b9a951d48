# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of docs/inventory_from_what_runs.md: what runs in a real engine, and in a cluster, feeds a profile on which procedures run."""

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
    own = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
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
    expression = "{'project': service_compose_project, 'folder': service_compose_folder, 'files': service_compose_files, 'many': service_replicas}"
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
