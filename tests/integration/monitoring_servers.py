# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Prometheus and a real Alertmanager of the tests' own, on loopback ports, with their data in a folder that the test names."""

from __future__ import annotations

import contextlib
import datetime
import json
import subprocess
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tools.debian_packages import NoPackage, program
from tools.ports import free_port
from tools.waiting import wait_until

CACHE = Path(__file__).resolve().parents[2] / ".cache"
START_DEADLINE_S = 30
_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}


def monitoring_program(name: str) -> str:
    """Path of prometheus, promtool, prometheus-alertmanager or amtool; the test is skipped, with the reason, where it cannot be had."""
    try:
        return program(name, _PACKAGES[name], CACHE)
    except NoPackage as error:
        pytest.skip(str(error))


class Server:
    """A program that serves HTTP on a loopback port.

    Attributes:
        folder: Where its configuration, data and log are.
        port: Its port.
        url: Its address, without a slash at the end.
    """

    health_path = "/-/ready"

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Program and arguments."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            AssertionError: It is not, with the last lines of its log.
        """
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                self.get(self.health_path)
                return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"{self.command()[0]} does not start: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """Kill it; nothing happens when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def get(self, path: str, **parameters: str) -> bytes:
        """The answer to a GET request."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        with urllib.request.urlopen(f"{self.url}{path}{query}", timeout=5) as answer:
            return bytes(answer.read())

    def post(self, path: str, document: t.Any = None) -> bytes:
        """The answer to a POST request with a JSON document, or with nothing."""
        data = b"" if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bytes(answer.read())


class Prometheus(Server):
    """A Prometheus server; `configuration` may be changed, and counts after `reload`.

    Attributes:
        configuration: What prometheus.yml holds.
    """

    def __init__(self, folder: Path, configuration: dict[str, t.Any]) -> None:
        super().__init__(folder)
        self.configuration = configuration
        self._program = monitoring_program("prometheus")

    def command(self) -> list[str]:
        return [
            self._program,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle",
            "--web.enable-admin-api",
            # It needs some seconds to find its Alertmanager, and would send again only a minute later what was lost till then.
            "--rules.alert.resend-delay=1s",
            "--log.level=warn",
        ]

    def start(self) -> None:
        self.write()
        super().start()

    def write(self) -> None:
        """Write its configuration file; JSON is YAML."""
        (self.folder / "prometheus.yml").write_text(json.dumps(self.configuration))

    def reload(self) -> None:
        """Let the configuration, and changed rule files, count."""
        self.write()
        self.post("/-/reload")

    def forget(self) -> None:
        """Know nothing any more of what was read until now."""
        every_series = urllib.parse.urlencode({"match[]": '{__name__=~".+"}'})
        self.post(f"/api/v1/admin/tsdb/delete_series?{every_series}")

    def load(self, open_metrics: str) -> None:
        """Take in samples of the past, in the OpenMetrics text format with time stamps in seconds; the server must not run."""
        text = self.folder / "past.txt"
        text.write_text(open_metrics.rstrip("\n").removesuffix("# EOF").rstrip("\n") + "\n# EOF\n")
        command = [monitoring_program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(self.folder / "data")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    def query(self, promql: str) -> list[dict[str, t.Any]]:
        """The series that an expression gives at this moment."""
        found: list[dict[str, t.Any]] = json.loads(self.get("/api/v1/query", query=promql))["data"]["result"]
        return found

    def wait_for(self, promql: str, timeout_s: float = 20) -> list[dict[str, t.Any]]:
        """Wait until an expression gives a series."""
        return wait_until(f"{promql} gives something", lambda: self.query(promql), timeout_s, every_s=0.1)


class Alertmanager(Server):
    """An Alertmanager; `configuration` may be changed, and counts after `reload`.

    Attributes:
        configuration: What alertmanager.yml holds.
    """

    def __init__(self, folder: Path, configuration: dict[str, t.Any] | None = None) -> None:
        super().__init__(folder)
        self.configuration = configuration or {
            "route": {"receiver": "nobody", "group_wait": "0s", "group_interval": "1s"},
            "receivers": [{"name": "nobody"}],
        }
        self._program = monitoring_program("prometheus-alertmanager")

    def command(self) -> list[str]:
        return [
            self._program,
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def start(self) -> None:
        self.write()
        super().start()

    def write(self) -> None:
        """Write its configuration file; JSON is YAML."""
        (self.folder / "alertmanager.yml").write_text(json.dumps(self.configuration))

    def reload(self) -> None:
        """Let the configuration count."""
        self.write()
        self.post("/-/reload")

    def raise_alert(self, name: str, lasts_s: float = 3600, annotations: Mapping[str, str] | None = None, **labels: str) -> None:
        """Raise an alert, and wait until it is listed and its state is known."""
        end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=lasts_s)).isoformat()
        alert = {"labels": {"alertname": name, **labels}, "annotations": dict(annotations or {}), "endsAt": end}
        self.post("/api/v2/alerts", [alert])
        deadline = time.monotonic() + 20
        while not any(one["labels"] == alert["labels"] and one["status"]["state"] != "unprocessed" for one in self.alerts()):
            assert time.monotonic() < deadline, f"the alert {name} is not processed"
            time.sleep(0.05)

    def alerts(self) -> list[dict[str, t.Any]]:
        """All alerts that it knows, silenced and inhibited ones included."""
        found: list[dict[str, t.Any]] = json.loads(self.get("/api/v2/alerts"))
        return found

    def silence(self, lasts_s: float = 3600, comment: str = "of a test", **labels: str) -> str:
        """Silence the alerts with these labels; returns the silence's id."""
        now = datetime.datetime.now(datetime.UTC)
        matchers = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels.items()]
        end = (now + datetime.timedelta(seconds=lasts_s)).isoformat()
        silence = {"matchers": matchers, "startsAt": now.isoformat(), "endsAt": end, "createdBy": "tests", "comment": comment}
        return str(json.loads(self.post("/api/v2/silences", silence))["silenceID"])


@contextlib.contextmanager
def running_alertmanager(folder: Path, configuration: dict[str, t.Any] | None = None) -> Iterator[Alertmanager]:
    """An Alertmanager in `folder`, which exists; without a configuration it sends alerts to nobody."""
    server = Alertmanager(folder, configuration)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def running_prometheus(
    folder: Path,
    *,
    targets: Mapping[str, int] | None = None,
    every: str = "1s",
    rule_files: Sequence[Path] = (),
    alertmanager: Alertmanager | None = None,
    past: str = "",
) -> Iterator[Prometheus]:
    """A Prometheus server in `folder`, which exists.

    Args:
        targets: Loopback ports whose /metrics it reads, by the name of the job.
        every: How often it reads them and evaluates rules.
        rule_files: Its rules.
        alertmanager: Where it sends alerts.
        past: Samples of the past that it starts with, as in `Prometheus.load`.
    """
    jobs = {name: [{"targets": [f"127.0.0.1:{port}"]}] for name, port in (targets or {}).items()}
    configuration: dict[str, t.Any] = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "scrape_configs": [{"job_name": name, "static_configs": static} for name, static in jobs.items()],
        "rule_files": [str(path) for path in rule_files],
    }
    if alertmanager is not None:
        configuration["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}]}
    server = Prometheus(folder, configuration)
    try:
        if past:
            server.load(past)
        server.start()
        yield server
    finally:
        server.stop()
