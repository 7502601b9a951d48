# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole runs of service_restart, service_stop and service_start beside systemctl, on the same three instances under a real systemd.

    python tests/benchmarks/benchmark_service_systemd.py [--runs 3]

The ways take turns and figures are medians. What is allowed is judged against the same work by hand: where the playbook waits until an
instance answers, so does a loop of the shell. Shown beside it is systemctl alone, which waits for nothing. All is measured without the time
for which an instance must have been active (service_systemd_settle_s, 1 s by default), which is asked for.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import typing as t
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]

from integration.containers import Docker  # noqa: E402
from integration.systemd_hosts import systemd_hosts  # noqa: E402
from tools.engine import docker_engine  # noqa: E402

ALLOWED_S = 2.0
UNITS = "app@01 app@02 app@03"


def seconds(work: Callable[[], t.Any]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    """Entry point; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    took: dict[str, list[float]] = {}
    bare = {
        "restart": f"for unit in {UNITS}; do systemctl reset-failed $unit; systemctl restart $unit; done",
        "stop": f"systemctl stop {UNITS}",
        "start": f"systemctl start {UNITS}",
    }
    answers = "until (exec 3<>/dev/tcp/127.0.0.1/80${unit#app@}) 2>/dev/null; do sleep 0.05; done"
    by_hand = {
        "restart": f"for unit in {UNITS}; do systemctl reset-failed $unit; systemctl restart $unit; {answers}; done",
        "stop": bare["stop"],
        "start": f"{bare['start']}; for unit in {UNITS}; do {answers}; done",
    }
    with (
        docker_engine(REPOSITORY / ".cache" / "docker") as environment,
        tempfile.TemporaryDirectory() as folder,
        systemd_hosts(Docker(environment), Path(folder), 1) as hosts,
    ):
        host = hosts.hosts[0]
        hosts.variables["service_systemd_settle_s"] = 0
        for _run in range(options.runs):
            for way, scripts in (("bare", bare), ("by hand", by_hand)):
                for verb, script in scripts.items():
                    took.setdefault(f"{verb}, {way}", []).append(seconds(lambda script=script: host.bash(script)))  # type: ignore[misc]
            for verb in bare:
                took.setdefault(f"{verb}, playbook", []).append(
                    seconds(lambda verb=verb: hosts.result(hosts.run(f"service_{verb}")))  # type: ignore[misc]
                )
        took["ansible-playbook --version"] = [seconds(lambda: hosts.run("service_status", "--version")) for _run in range(options.runs)]
    missed = 0
    for name, values in took.items():
        print(f"  {name:28} {statistics.median(values):6.2f} s   ({', '.join(f'{one:.2f}' for one in values)})")
    for verb in bare:
        more = statistics.median(took[f"{verb}, playbook"]) - statistics.median(took[f"{verb}, by hand"])
        missed += more > ALLOWED_S
        print(f"service_{verb}: {more:.2f} s more than by hand, {'met' if more <= ALLOWED_S else 'missed'} ({ALLOWED_S:g} s allowed)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
