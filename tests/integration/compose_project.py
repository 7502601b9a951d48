# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Docker Compose project: replicas of a small service behind HAProxy, which finds them by the name server of Docker."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.containers import Docker
from tools.waiting import wait_until

HERE = Path(__file__).resolve().parent
SERVICE, PROXY = "app", "proxy"
PROGRAM = "/srv/replica.py"
PROBE = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', 8000), 2); s.sendall(b'GET /health HTTP/1.1\\r\\n\\r\\n'); "
    "sys.exit(b' 200 ' not in s.recv(64))"
)
HAPROXY = """global
    maxconn 4000
    stats socket /run/proxy/admin.sock mode 666 level admin
    stats socket ipv4@*:9999 level admin
defaults
    mode http
    option redispatch 1
    retries 5
    timeout connect 2s
    timeout check 5s
    timeout client 30s
    timeout server 30s
resolvers docker
    nameserver engine 127.0.0.11:53
    timeout resolve 300ms
    timeout retry 300ms
    hold valid 300ms
    hold obsolete 1s
frontend web
    bind :8080
    default_backend app
backend app
    balance roundrobin
    option httpchk GET /health
    default-server check inter 300ms fall 2 rise 1 init-addr none resolvers docker
    server-template app- 8 app:8000
backend fixed
    server one 127.0.0.1:8000 check inter 300ms
"""


class ComposeProject:
    """A project that runs.

    Attributes:
        name: Name of the project.
        folder: Folder with its `compose.yaml` and its environment file `.env.prod`.
        environment: Variables of that file; `set_environment` changes them.
        has_proxy: Whether HAProxy stands before the replicas.
    """

    service = SERVICE
    environment_file = ".env.prod"

    def __init__(self, docker: Docker, name: str, folder: Path, *, has_proxy: bool) -> None:
        self.docker, self.name, self.folder, self.has_proxy = docker, name, folder, has_proxy
        self.environment: dict[str, str] = {}

    def compose(self, *arguments: str) -> str:
        """What `docker compose` prints, called in the folder with the environment file."""
        return self.docker("compose", "--env-file", self.environment_file, *arguments, folder=self.folder)

    def set_environment(self, **variables: str) -> None:
        """Write variables into the environment file; running containers do not see it before they are made anew."""
        self.environment.update(variables)
        lines = "".join(f"{name}={value}\n" for name, value in self.environment.items())
        (self.folder / self.environment_file).write_text(lines)

    def variables(self) -> dict[str, t.Any]:
        """The variables of the role `service` that name this project."""
        proxy = {"kind": "haproxy", "backend": "app", "socket": str(self.socket)} if self.has_proxy else {}
        return {
            "service_name": self.name,
            "service_runtime": "compose",
            "service_compose_folder": str(self.folder),
            "service_compose_environment_file": self.environment_file,
            "service_compose_service": SERVICE,
            "service_proxy": proxy,
            "service_health_timeout_s": 60,
            "service_stop_timeout_s": 5,
        }

    def replicas(self, *, running: bool = False) -> list[str]:
        """Names of the service's containers, in order."""
        labels = ("project=" + self.name, "service=" + SERVICE)
        filters = [part for label in labels for part in ("--filter", f"label=com.docker.compose.{label}")]
        chosen = ["ps", *([] if running else ["--all"]), *filters, "--format", "{{.Names}}"]
        return sorted(self.docker(*chosen).split())

    def inspected(self) -> list[dict[str, t.Any]]:
        """The service's containers as the engine tells them, in the order of their names."""
        names = self.replicas()
        return list(json.loads(self.docker("inspect", *names))) if names else []

    def healthy(self) -> list[str]:
        """Names of the containers that run and are healthy."""
        return [one["Name"].strip("/") for one in self.inspected() if one["State"].get("Health", {}).get("Status") == "healthy"]

    def wait_healthy(self, count: int, timeout_s: float = 30) -> None:
        """Wait until exactly so many are healthy."""
        wait_until(f"{count} healthy replicas", lambda: len(self.healthy()) == count, timeout_s)

    def picture(self) -> dict[str, tuple[t.Any, ...]]:
        """What a procedure could change of the replicas: name -> identity, start, whether it runs, limits, environment."""
        return {
            one["Name"].strip("/"): (
                one["Id"],
                one["State"]["StartedAt"],
                one["State"]["Running"],
                one["HostConfig"]["Memory"],
                one["HostConfig"]["MemorySwap"],
                one["HostConfig"]["NanoCpus"],
                tuple(one["Config"]["Env"] or ()),
            )
            for one in self.inspected()
        }

    @property
    def socket(self) -> Path:
        """HAProxy's runtime socket, on the host."""
        return self.folder / "run" / "admin.sock"

    def haproxy(self, command: str) -> str:
        """What HAProxy answers to a command."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def servers(self) -> dict[str, str]:
        """HAProxy's servers that have an address: name -> status (`UP`, `DOWN`, `DRAIN`, ...)."""
        head, *lines = self.haproxy("show stat").strip("# \n").splitlines()
        rows = [dict(zip(head.split(","), line.split(","), strict=False)) for line in lines]
        kept = [row for row in rows if row["pxname"] == "app" and row["svname"] not in ("BACKEND", "FRONTEND") and row["addr"]]
        return {row["svname"]: row["status"] for row in kept if not row["status"].startswith("MAINT (resolution)")}

    def wait_up(self, count: int, timeout_s: float = 30) -> None:
        """Wait until HAProxy sends requests to so many servers."""
        wait_until(f"{count} servers of HAProxy up", lambda: sum(one == "UP" for one in self.servers().values()) == count, timeout_s)

    def address(self, container: str) -> str:
        """Address of a container in the project's network, which this host reaches."""
        return self.docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)

    @property
    def url(self) -> str:
        """Where the service is reached: the proxy, or the first replica where there is none."""
        return (
            f"http://{self.address(f'{self.name}-{PROXY}-1')}:8080" if self.has_proxy else f"http://{self.address(self.replicas()[0])}:8000"
        )

    def get(self, path: str = "/") -> tuple[int, t.Any]:
        """Status and content of an answer of the service."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()


def compose_file(name: str, *, replicas: int, health_interval: str, has_proxy: bool) -> dict[str, t.Any]:
    """The content of the project's compose.yaml."""
    probe = {"test": ["CMD", "python3", "-ISc", PROBE], "interval": health_interval, "timeout": "3s", "retries": 3}
    app = {
        "image": "${IMAGE}",
        "command": ["python3", "-IS", PROGRAM],
        "env_file": [ComposeProject.environment_file],
        "volumes": ["./replica.py:/srv/replica.py:ro"],
        "healthcheck": probe,
        "deploy": {"replicas": replicas},
    }
    proxy = {
        "image": "${PROXY_IMAGE}",
        "command": ["haproxy", "-db", "-f", "/etc/proxy.cfg"],
        "volumes": ["./haproxy.cfg:/etc/proxy.cfg:ro", "./run:/run/proxy"],
    }
    services: dict[str, dict[str, t.Any]] = {SERVICE: app, **({PROXY: proxy} if has_proxy else {})}
    for service in services.values():
        service.update(pull_policy="never", stop_grace_period="5s", init=True)
    return {"name": name, "services": services}


@contextmanager
def running_project(
    docker: Docker,
    name: str,
    folder: Path,
    *,
    replicas: int = 3,
    has_proxy: bool = True,
    health_interval: str = "500ms",
    **environment: str,
) -> Iterator[ComposeProject]:
    """A project whose replicas are healthy, and which the proxy serves.

    Args:
        docker: The engine.
        name: Name of the project; it bears the number of the process (`docker.name`).
        folder: An empty folder with a short path, since a socket lies in it.
        replicas: How many replicas run.
        has_proxy: Whether HAProxy stands before them.
        health_interval: Between two health checks of a replica.
        environment: Variables of the service, as in compose_replica.py, for the environment file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run").mkdir()
    (folder / "run").chmod(0o777)
    shutil.copy(HERE / "compose_replica.py", folder / "replica.py")
    (folder / "haproxy.cfg").write_text(HAPROXY)
    content = compose_file(name, replicas=replicas, health_interval=health_interval, has_proxy=has_proxy)
    (folder / "compose.yaml").write_text(json.dumps(content, indent=1))
    project = ComposeProject(docker, name, folder, has_proxy=has_proxy)
    images = {"IMAGE": docker.image, **({"PROXY_IMAGE": docker.haproxy_image} if has_proxy else {})}
    project.set_environment(**images, COLOUR="blue", **environment)
    try:
        project.compose("up", "--detach", "--wait", "--wait-timeout", "60")
        if has_proxy:
            project.wait_up(replicas)
        yield project
    finally:
        # The settings may be broken by now; a project's name is enough to end it.
        docker("compose", "--project-name", name, "down", "--timeout", "1", "--remove-orphans", folder=folder.parent)
