# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference service dressed as one of the five profiles: its inventory, unchanged, pointed at servers of the tests' own.

PostgreSQL, Valkey, Prometheus and Alertmanager are real. Grafana, Qdrant, providers and status pages, of which no server can be had,
are the reference service's neighbours.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, certificate, sends
from integration import playbook_runs
from integration.host_figures import HostFigures
from integration.monitoring_servers import Alertmanager, Prometheus, running_alertmanager, running_prometheus
from integration.playbook_runs import ROOT, Finished, finish, start
from integration.postgresql_server import PostgresqlServer, running_server
from integration.service_stack import DATABASE, TESTS, Cache, ServiceProcess, prepare_database
from tools.ports import free_port
from tools.waiting import wait_until

PROMETHEUS_EVERY_S = 0.5
LOGS = {
    "insighthub": ("insighthub.log", "monitoring/monitoring.log"),
    "paralegal": ("app_current.log",),
    "calendar_api": ("calendar-api.log", "calendar-api-errors.log", "parsing-decisions.log", "performance-metrics.log"),
    "wrapper_system": ("application.log", "access.log", "error.log", "monitoring.log"),
}
"""Names under which the profiles look for the service's one log."""


class Neighbours:
    """The process with what the service leans on."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "reference_service.neighbours:app", "--host=127.0.0.1", f"--port={self.port}"]
        environment = {**os.environ, "PYTHONPATH": str(TESTS), "NEIGHBOURS_PROVIDER_KEY": "provider-key-of-the-test"}
        self._process = subprocess.Popen([*command, "--log-level=warning"], env=environment)
        wait_until("the neighbours answer", lambda: self.ask("GET", "/api/health") == 200)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, method: str, path: str, body: object = None) -> int:
        """Status of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    def answer(self, **answers: object) -> None:
        """Let paths (given as `path={...}` in a dictionary) answer otherwise."""
        assert self.ask("POST", "/faults", answers) == 200


class Stores(t.NamedTuple):
    """PostgreSQL and Valkey."""

    database: PostgresqlServer
    cache: Cache


class Seen(t.NamedTuple):
    """What a run found: its verdict, its severity (empty for none), and the results of checks and metrics by name."""

    run_id: str
    verdict: str
    severity: str
    results: dict[str, dict[str, t.Any]]


class Dressed:
    """The service as a profile sees it.

    Attributes:
        profile: Name of the profile.
        variables: What is changed of the profile: addresses, ports, folders, passwords; and that no container, pod or unit is asked for.
        state: State folder of the runs.
    """

    def __init__(
        self,
        profile: str,
        folder: Path,
        stores: Stores,
        service: ServiceProcess,
        neighbours: Neighbours,
        host: HostFigures,
        stack: contextlib.ExitStack,
    ) -> None:
        self.profile, self.folder, self.stores, self.service = profile, folder, stores, service
        self.neighbours, self.host, self._stack = neighbours, host, stack
        self.state = folder / "state"
        self.variables: dict[str, t.Any] = {}
        self.prometheus: Prometheus | None = None
        self.alertmanager: Alertmanager | None = None
        self._judge: subprocess.Popen[str] | None = None

    def faults(self, **wanted: object) -> None:
        """Break something in the service."""
        assert self.service.ask("POST", "/faults", wanted).status == 200

    def figures(self, path: str, **figures: object) -> None:
        """Let the answer of a path tell other figures."""
        self.faults(figures={path: figures})

    def mend(self) -> None:
        """Everything as it was: faults, figures, open circuits, neighbours, the host's load."""
        self.neighbours.answer()
        self.host.cpu_percent, self.host.memory_percent = 10.0, 30.0
        assert self.service.ask("DELETE", "/faults").status == 200
        for circuit in self.service.get("/admin/circuits").body:
            self.service.ask("POST", f"/admin/reset-circuit/{circuit['tool']}")

    def work(self, requests: int, side_by_side: int = 10) -> None:
        """Send requests for work, none of which can be answered from the cache; those that fail are answers too."""
        began = time.monotonic_ns()
        with ThreadPoolExecutor(side_by_side) as pool:
            list(pool.map(lambda number: self.service.chat(f"question {began + number}"), range(requests)))

    def run(self, playbook: str, *options: str, **settings: object) -> Finished:
        """Run a playbook of the collection with the profile's own inventory."""
        call = playbook_runs.command(playbook, ROOT / "inventories" / self.profile, *options, **{**self.variables, **settings})
        return finish(start([*self.host.prefix, *call], playbook_runs.environment(self.state)))

    @contextlib.contextmanager
    def impatient(self, seconds: float) -> Iterator[None]:
        """No check that `judge` asks waits longer than that, whatever the profile says."""
        self.variables["judge_patience_s"] = seconds
        try:
            yield
        finally:
            del self.variables["judge_patience_s"]

    def judge(self) -> None:
        """Ask the checks, measure and grade as the morning check does, without its playbook; `seen` tells what was found."""
        if self._judge is None:
            self._judge = subprocess.Popen(
                [
                    *self.host.prefix,
                    sys.executable,
                    str(Path(__file__).with_name("profile_judge.py")),
                    str(ROOT / "inventories" / self.profile),
                ],
                cwd=ROOT,
                env=playbook_runs.environment(self.state),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._stack.callback(self._judge.wait)
            self._stack.callback(self._judge.kill)
        assert self._judge.stdin is not None and self._judge.stdout is not None
        self._judge.stdin.write(json.dumps(self.variables) + "\n")
        self._judge.stdin.flush()
        said = json.loads(self._judge.stdout.readline() or '{"error": "the judge has ended"}')
        assert not said, said["error"]

    def seen(self) -> Seen:
        """What the newest run found, as the service's history tells it."""
        with History.open(str(self.state), self.profile, write=False) as history:
            run = history.runs(limit=1)[0]
            found = {row["name"]: row for kind in ("check", "metric") for row in history.latest(kind) if row["run_id"] == run["run_id"]}
            return Seen(str(run["run_id"]), str(run["verdict"]), str(run["severity"] or ""), found)

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """A Prometheus that knows nothing but what happens in the block; when it is left all that happened has been read.

        It is one for all blocks, since it takes five seconds until it first reads anything.
        """
        if self.prometheus is None:
            folder, every = self.folder / "prometheus-of-blocks", f"{PROMETHEUS_EVERY_S * 1000:.0f}ms"
            folder.mkdir()
            targets = {"service": self.service.port}
            self.prometheus = self._stack.enter_context(
                running_prometheus(folder, targets=targets, every=every, alertmanager=self.alertmanager)
            )
            self.variables["monitoring_prometheus_url"] = self.prometheus.url
        self.prometheus.forget()
        self.prometheus.wait_for("count_over_time(up[1m]) >= 2")
        yield

    def read_by_prometheus(self) -> None:
        """Wait until Prometheus has read what has happened until now, twice, so that it has a rate."""
        assert self.prometheus is not None
        now = time.time()
        wait_until("Prometheus reads", lambda: bool(self.prometheus and self.prometheus.query(f"min(timestamp(up)) > {now} + 0.6")))

    @contextlib.contextmanager
    def sessions(self, count: int) -> Iterator[None]:
        """So many sessions of the service's role more, while the block runs."""
        import asyncpg  # type: ignore[import-untyped]

        known, loop = self.service.settings, asyncio.new_event_loop()
        names = {"host": "HOST", "port": "PORT", "database": "NAME", "user": "USER", "password": "PASSWORD"}
        options = {name: known[f"DATABASE_{word}"] for name, word in names.items()}
        opened = [loop.run_until_complete(asyncpg.connect(**options)) for _number in range(count)]
        try:
            yield
        finally:
            for connection in opened:
                connection.terminate()
            loop.close()


@contextlib.contextmanager
def dressed(profile: str, folder: Path) -> Iterator[Dressed]:
    """The reference service with everything that `profile` looks at, healthy."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(running_server({"max_connections": "100"}))
        database.sql("CREATE ROLE reference_app LOGIN PASSWORD 'app-secret'")
        prepare_database(database, DATABASE)
        cache = Cache(folder)
        cache.start()
        stack.callback(cache.stop)
        neighbours = Neighbours()
        neighbours.start()
        stack.callback(neighbours.stop)
        context, ca_file = certificate(folder, "localhost", days=60)
        secured = profile == "wrapper_system"
        # Circuits open when a test says so.
        settings = {"REFERENCE_SERVICE_FAULTS": "1", "REFERENCE_SERVICE_BREAKER_FAILURES": "1000"}
        service = ServiceProcess("blue", database, cache, folder / "service.jsonl", **settings)
        service.ca_file = ca_file if secured else None
        service.start()
        stack.callback(service.stop)
        host = stack.enter_context(HostFigures(folder))
        for name in LOGS.get(profile, ()):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(service.log_file)
        one = Dressed(profile, folder, Stores(database, cache), service, neighbours, host, stack)
        one.variables = _common(one, database.port, database.tools) | getattr(sys.modules[__name__], f"_{profile}")(
            one, stack, context, ca_file
        )
        yield one


def _common(one: Dressed, database_port: int, tools: str) -> dict[str, t.Any]:
    scheme = "https" if one.service.ca_file else "http"
    return {
        "service_url": f"{scheme}://localhost:{one.service.port}",
        # Nothing of it runs in a container, in a pod or as a unit here.
        "service_runtime": "embedded",
        "service_folder": str(one.folder),
        "service_log_folder": str(one.folder),
        "service_database_host": "127.0.0.1",
        "service_database_port": database_port,
        "service_database_container": "",
        "service_database_user": "reference_app",
        "service_database_password": "app-secret",
        "service_database_name": DATABASE,
        "service_database_tool_folder": tools,
        "monitoring_grafana_url": one.neighbours.url,
    }


def _public(stack: contextlib.ExitStack, context: ssl.SSLContext, ca_file: Path) -> dict[str, t.Any]:
    """The public address: a server with a certificate that the profile's own certificates vouch for."""
    server = stack.enter_context(Server(sends(answer(b"")), context))
    return {"service_public_host": "localhost", "service_public_port": server.port, "service_public_ca_file": str(ca_file)}


def _monitored(one: Dressed, stack: contextlib.ExitStack) -> dict[str, t.Any]:
    folder = one.folder / "alertmanager"
    folder.mkdir()
    one.alertmanager = stack.enter_context(running_alertmanager(folder))
    return {"monitoring_alertmanager_url": one.alertmanager.url}


def _insighthub(one: Dressed, _stack: contextlib.ExitStack, _context: ssl.SSLContext, _ca_file: Path) -> dict[str, t.Any]:
    return {}


def _rag7(one: Dressed, stack: contextlib.ExitStack, context: ssl.SSLContext, ca_file: Path) -> dict[str, t.Any]:
    provider = {"service_provider_url": one.neighbours.url, "service_provider_api_key": "provider-key-of-the-test"}
    return provider | _public(stack, context, ca_file) | _monitored(one, stack)


def _paralegal(one: Dressed, stack: contextlib.ExitStack, context: ssl.SSLContext, ca_file: Path) -> dict[str, t.Any]:
    stores = {
        "service_cache_host": "127.0.0.1",
        "service_cache_port": one.stores.cache.port,
        "service_cache_password": one.stores.cache.password,
        "service_vector_url": one.neighbours.url,
        "service_provider_status_url": f"{one.neighbours.url}/api/v2/status.json",
        "service_disk_path": str(one.folder),
        "service_logs_runtime": {
            "embedded": [{"name": "app", "title": "Application", "path": str(one.service.log_file), "format": "auto"}]
        },
    }
    folder = one.folder / "prometheus"
    folder.mkdir()
    server = stack.enter_context(running_prometheus(folder, targets={"service": one.service.port}))
    return stores | _public(stack, context, ca_file) | _monitored(one, stack) | {"monitoring_prometheus_url": server.url}


def _calendar_api(one: Dressed, stack: contextlib.ExitStack, _context: ssl.SSLContext, _ca_file: Path) -> dict[str, t.Any]:
    return _monitored(one, stack)


def _wrapper_system(one: Dressed, _stack: contextlib.ExitStack, _context: ssl.SSLContext, ca_file: Path) -> dict[str, t.Any]:
    return {"service_ca_file": str(ca_file), "service_monitoring_folder": str(one.folder), "service_disk_path": str(one.folder)}
