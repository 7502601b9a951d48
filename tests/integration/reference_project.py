# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference service as a real Docker Compose project: replicas behind HAProxy, PostgreSQL and Valkey in containers of their own."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.compose_project import HAPROXY, PROXY, SERVICE, ComposeProject
from integration.containers import Docker
from integration.redis_server import valkey_folder
from tools.environment import install_beside
from tools.waiting import wait_until

REFERENCE = Path(__file__).resolve().parents[1] / "reference_service"
IMAGE_PYTHON = "3.11"
"""Python of Debian 12, which the image of the tests is made of."""
ALSO = "async-timeout"
"""What redis needs before Python 3.11.3; pip asks the Python that it runs in, and not the one that it installs for."""
TOOLS = "/usr/lib/postgresql/15/bin"
DATABASE = (
    "install -d -o postgres /data /run/postgresql && exec su postgres -c '"
    f"{TOOLS}/initdb -D /data --auth=trust >/dev/null && echo host all all all trust >> /data/pg_hba.conf && "
    f'exec {TOOLS}/postgres -D /data -c fsync=off -c listen_addresses="*"\''
)
PREPARE = """
CREATE ROLE reference_app LOGIN;
GRANT USAGE ON SCHEMA public TO reference_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reference_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO reference_app;
"""
READY = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=3)"


def packages(cache: Path) -> Path:
    """Folder with what the service needs, for the Python of the image, whichever runs the tests; from PyPI, or from a run before."""
    requirements = REFERENCE / "requirements.txt"
    folder = cache / "reference-service" / hashlib.sha256(f"{IMAGE_PYTHON}\n{ALSO}\n{requirements.read_text()}".encode()).hexdigest()[:12]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            install_beside(Path(draft) / "packages", IMAGE_PYTHON, ALSO, "--requirement", str(requirements))
            if not folder.exists():
                os.rename(f"{draft}/packages", folder)
    return folder


def compose_file(name: str, replicas: int, libraries: Path) -> dict[str, t.Any]:
    """The content of the project's compose.yaml."""
    code = [f"{REFERENCE}:/srv/reference_service:ro", f"{libraries}:/srv/packages:ro"]
    # A server must keep an idle connection for longer than the proxy, which else may use it just when it is closed: both take 5 s.
    serve = ["python3", "-m", "uvicorn", "reference_service.app:app", "--host=0.0.0.0", "--port=8000", "--log-level=warning"]
    serve.append("--timeout-keep-alive=75")
    services: dict[str, dict[str, t.Any]] = {
        "database": {
            "image": "${IMAGE}",
            "command": ["sh", "-c", DATABASE],
            "volumes": [f"{REFERENCE}:/reference_service:ro"],
            "healthcheck": {"test": ["CMD", "pg_isready", "--quiet"], "interval": "1s", "retries": 60},
        },
        "cache": {
            "image": "${IMAGE}",
            "command": ["/valkey/valkey-server", "--save", "", "--protected-mode", "no"],
            "volumes": [f"{valkey_folder()}:/valkey:ro"],
        },
        SERVICE: {
            "image": "${IMAGE}",
            "command": serve,
            "working_dir": "/srv",
            "env_file": [ComposeProject.environment_file],
            "environment": {
                "PYTHONPATH": "/srv/packages:/srv",
                "DATABASE_HOST": "database",
                "CACHE_HOST": "cache",
                "REFERENCE_SERVICE_LOG_FILE": "/dev/null",
                # On a busy machine answers are late; that is not what is counted.
                "REFERENCE_SERVICE_DATABASE_TIMEOUT_S": "15",
                "REFERENCE_SERVICE_PROBE_TIMEOUT_S": "4",
            },
            "volumes": code,
            "healthcheck": {
                "test": ["CMD", "python3", "-Sc", READY],
                "interval": "1s",
                "timeout": "5s",
                "retries": 5,
                "start_period": "20s",
            },
            "deploy": {"replicas": replicas},
            "depends_on": {"database": {"condition": "service_healthy"}, "cache": {"condition": "service_started"}},
        },
        PROXY: {
            "image": "${PROXY_IMAGE}",
            "command": ["haproxy", "-db", "-f", "/etc/proxy.cfg"],
            "volumes": ["./haproxy.cfg:/etc/proxy.cfg:ro", "./run:/run/proxy"],
        },
    }
    for service in services.values():
        service.update(pull_policy="never", stop_grace_period="10s", init=True)
    return {"name": name, "services": services}


@contextmanager
def reference_project(docker: Docker, name: str, folder: Path, cache: Path, *, replicas: int = 3) -> Iterator[ComposeProject]:
    """The service with so many replicas, which are ready, and which the proxy serves.

    Args:
        docker: The engine.
        name: Name of the project; it bears the number of the process (`docker.name`).
        folder: An empty folder with a short path, since a socket lies in it.
        cache: Where packages are kept between runs.
        replicas: How many replicas run.
    """
    (folder / "run").mkdir(parents=True)
    (folder / "run").chmod(0o777)
    (folder / "haproxy.cfg").write_text(HAPROXY.replace("httpchk GET /health", "httpchk GET /ready"))
    (folder / "compose.yaml").write_text(json.dumps(compose_file(name, replicas, packages(cache)), indent=1))
    project = ComposeProject(docker, name, folder, has_proxy=True)
    project.set_environment(IMAGE=docker.image, PROXY_IMAGE=docker.haproxy_image, REFERENCE_SERVICE_VERSION="1.0.0")
    try:
        project.compose("up", "--detach", "--wait", "--wait-timeout", "60", "database", "cache")
        sql = ("exec", "--no-TTY", "--user=postgres", "database", "psql", "--quiet", "--set=ON_ERROR_STOP=1")
        project.compose(*sql, "--command=CREATE DATABASE reference")
        for file in ("schema.sql", "data.sql"):
            project.compose(*sql, "--dbname=reference", "--set=megabytes=1", f"--file=/reference_service/{file}")
        for command in PREPARE.strip().splitlines():
            project.compose(*sql, "--dbname=reference", f"--command={command}")
        project.compose("up", "--detach", "--wait", "--wait-timeout", "60")
        project.wait_up(replicas)
        wait_until("the service answers", lambda: project.get("/cases/1")[0] == 200)
        yield project
    finally:
        docker("compose", "--project-name", name, "down", "--timeout", "1", "--remove-orphans", folder=folder.parent)
