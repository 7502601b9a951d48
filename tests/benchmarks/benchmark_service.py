# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verbs of a service on Docker Compose against `docker compose` by hand, in the same run: whole playbooks with their start-up.

    python tests/benchmarks/benchmark_service.py [--runs 3] [--replicas 3] [--only restart-all,stop]

The ways take turns and figures are medians. What is allowed is judged against the same work by hand: where the playbook waits until the
replicas are healthy, so does `docker compose up --wait`, and where it takes replicas out of the proxy that go for good, so does the way by
hand. Shown beside it is the bare command, which returns while they still start, and cuts requests.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

from ansible_collections.sre.runbooks.plugins.module_utils.service.haproxy import Server, parse_servers, parse_sessions  # noqa: E402
from integration.compose_project import ComposeProject, running_project  # noqa: E402
from integration.containers import Docker  # noqa: E402
from integration.service_runs import Runs  # noqa: E402
from tools.engine import docker_engine  # noqa: E402
from tools.waiting import wait_until  # noqa: E402

ALLOWED_S = 2.0
"""More than by hand."""


class Bench:
    """One project; each method does its work once and returns seconds."""

    def __init__(self, project: ComposeProject, folder: Path, replicas: int) -> None:
        self.project, self.replicas = project, replicas
        self.runs = Runs(folder / "runs", project.variables())

    def ours(self, playbook: str, **variables: object) -> float:
        """A playbook."""
        began = time.perf_counter()
        done = self.runs.run(playbook, **variables)
        took = time.perf_counter() - began
        assert done.status == 0, done.output
        return took

    def by_hand(self, *commands: Sequence[str]) -> tuple[float, float]:
        """Calls of `docker compose`, one after the other: seconds of the first, and of all."""
        began, first = time.perf_counter(), 0.0
        for command in commands:
            self.project.compose(*command)
            first = first or time.perf_counter() - began
        return first, time.perf_counter() - began

    def rolling_by_hand(self) -> tuple[float, float]:
        """`docker restart` of one replica after the other, each waited for; nothing is drained."""
        began, first = time.perf_counter(), 0.0
        for name in self.project.replicas():
            self.project.docker("restart", "--time", "5", name)
            self.project.wait_healthy(len(self.project.replicas()))
            first = first or time.perf_counter() - began
        return first, time.perf_counter() - began

    def fewer_by_hand(self, count: int) -> tuple[float, float]:
        """Drain the servers of those that go, wait for the end of their requests, scale, and let the servers be used again."""
        began = time.perf_counter()
        addresses = {self.project.address(name) for name in self.project.replicas()[count:]}
        goes = [server.name for server in self._servers() if server.address in addresses]
        for name in goes:
            self.project.haproxy(f"set server app/{name} state drain")
        wait_until("no requests", lambda: not sum(parse_sessions(self.project.haproxy("show stat"), "app")[name] for name in goes))
        scaling = time.perf_counter()
        self.project.compose("up", "--detach", "--no-recreate", "--scale", f"app={count}", "app")
        bare = time.perf_counter() - scaling
        wait_until("HAProxy has noticed", lambda: all(server.is_dead for server in self._servers() if server.name in goes))
        for name in goes:
            self.project.haproxy(f"set server app/{name} state ready")
        return bare, time.perf_counter() - began

    def _servers(self) -> list[Server]:
        return parse_servers(self.project.haproxy("show servers state app"))

    def settle(self, count: int, *, running: bool = True) -> None:
        """Bring the project to so many replicas, which run and are healthy or are stopped; not measured."""
        self.project.compose("up", "--detach", "--wait", "--no-recreate", "--scale", f"app={count}", "app")
        self.project.wait_up(count)
        if not running:
            self.project.compose("stop", "app")


def verbs(bench: Bench) -> dict[str, tuple[Callable[[], None], Callable[[], float], Callable[[], tuple[float, float]]]]:
    """Name -> what comes before it, our way, the way by hand."""
    count, more = bench.replicas, bench.replicas + 2
    wait = ("up", "--detach", "--wait", "--no-recreate", "app")
    scale = ("up", "--detach", "--no-recreate", "--scale")

    def there(replicas: int = count, *, running: bool = True) -> Callable[[], None]:
        return lambda: bench.settle(replicas, running=running)

    return {
        "restart-all": (
            there(),
            lambda: bench.ours("service_restart", service_restart_way="all"),
            lambda: bench.by_hand(("restart", "app"), wait),
        ),
        "restart-rolling": (there(), lambda: bench.ours("service_restart", service_restart_way="rolling"), bench.rolling_by_hand),
        "stop": (there(), lambda: bench.ours("service_stop"), lambda: bench.by_hand(("stop", "app"))),
        "start": (there(running=False), lambda: bench.ours("service_start"), lambda: bench.by_hand(("start", "app"), wait)),
        f"scale {count}-{more}": (
            there(),
            lambda: bench.ours("service_scale", service_scale_to=more),
            lambda: bench.by_hand((*scale, f"app={more}", "app"), (*scale, f"app={more}", "--wait", "app")),
        ),
        f"scale {more}-{count}": (
            there(more),
            lambda: bench.ours("service_scale", service_scale_to=count),
            lambda: bench.fewer_by_hand(count),
        ),
    }


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    missed = 0
    with docker_engine(REPOSITORY / ".cache" / "docker") as environment, tempfile.TemporaryDirectory(prefix="sre-") as name:
        os.environ.update(environment)
        docker, folder = Docker(environment), Path(name)
        with running_project(docker, docker.name("bench"), folder / "p", replicas=options.replicas, health_interval="300ms") as project:
            bench = Bench(project, folder, options.replicas)
            print(f"{options.replicas} replicas behind HAProxy, {options.runs} runs, medians, seconds")
            print(f"{'':18}{'playbook':>9}{'by hand':>9}{'more':>7}{'times':>7}   {'bare command':>12}")
            for verb, (before, ours, by_hand) in verbs(bench).items():
                if options.only and verb not in options.only.split(","):
                    continue
                took: list[float] = []
                hand: list[tuple[float, float]] = []
                for _run in range(options.runs):
                    before()
                    took.append(ours())
                    before()
                    hand.append(by_hand())
                own, bare, same = (statistics.median(each) for each in (took, [one[0] for one in hand], [one[1] for one in hand]))
                missed += own - same > ALLOWED_S
                verdict = "met" if own - same <= ALLOWED_S else "missed"
                figures = f"{own:9.2f}{same:9.2f}{own - same:7.2f}{own / same:7.2f}   {bare:12.2f}"
                print(f"{verb:18}{figures}   {verdict} ({ALLOWED_S:g} s more allowed)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
