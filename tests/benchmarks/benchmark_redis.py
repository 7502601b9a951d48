# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup of a Redis-compatible server against the raw tools, all in the same run: BGSAVE and cp, and valkey-cli --rdb.

    python tests/benchmarks/benchmark_redis.py [--megabytes 1000] [--runs 3] [--folder /var/tmp]

The ways take turns and figures are medians. Ours run in a process of their own, once with its start-up and once without. The raw ways are
given an fsync of their file as well: a copy that a power cut would take is no backup.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]

from integration.redis_server import RedisServer, running_redis  # noqa: E402

VALUE_BYTES = 1000
ALLOWED = 1.05


class Bench:
    """The measured ways, each a method that does its work once and returns seconds."""

    def __init__(self, redis: RedisServer, folder: Path) -> None:
        self.redis, self.folder = redis, folder
        self.environment = {**os.environ, "REDISCLI_AUTH": redis.password, "PYTHONPATH": os.pathsep.join(sys.path[:2])}

    def cli(self, *words: str) -> str:
        """Call valkey-cli."""
        argv = [os.path.join(self.redis.tools, "valkey-cli"), "-p", str(self.redis.port), *words]
        return subprocess.run(argv, env=self.environment, check=True, capture_output=True, text=True).stdout.strip()

    def save_and_copy(self) -> float:
        """BGSAVE, wait, cp, sync of that file."""
        began, last = time.perf_counter(), self.cli("LASTSAVE")
        self.cli("BGSAVE")
        while self.cli("LASTSAVE") == last:
            time.sleep(0.05)
        subprocess.run(["cp", str(self.redis.data / "dump.rdb"), str(self.folder / "raw.rdb")], check=True)
        subprocess.run(["sync", str(self.folder / "raw.rdb")], check=True)
        return time.perf_counter() - began

    def raw_stream(self) -> float:
        """valkey-cli --rdb, which syncs its file itself."""
        began = time.perf_counter()
        self.cli("--rdb", str(self.folder / "raw.rdb"))
        return time.perf_counter() - began

    def ours(self, method: str) -> tuple[float, float]:
        """A sealed set: seconds with the start-up of its process, and without."""
        home = self.folder / "sets"
        with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:
            json.dump(self.redis.order("backup", backup_folder=str(home), method=method), stream)
            stream.flush()
            began = time.perf_counter()
            program = REPOSITORY / "tests" / "integration" / "redis_operation.py"
            done = subprocess.run([sys.executable, str(program), stream.name], env=self.environment, capture_output=True, text=True)
            took = time.perf_counter() - began
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.rmtree(home)
        return took, float(json.loads(done.stdout)["duration_s"])


def fill(redis: RedisServer, megabytes: int) -> None:
    """Values that cannot be compressed, so that the file has about that size."""
    with redis.client() as client:
        for part in range(megabytes * 1_000_000 // VALUE_BYTES // 1000):
            client.pipeline([("SET", f"key:{part}:{number}", os.urandom(VALUE_BYTES)) for number in range(1000)])


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", default="/var/tmp")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-bench-", dir=options.folder))
    tempfile.tempdir = str(folder)
    took: dict[str, list[float]] = {}
    try:
        with running_redis(data=folder / "data", loglevel="warning") as redis:
            fill(redis, options.megabytes)
            bench = Bench(redis, folder)
            raw: dict[str, Callable[[], float]] = {"BGSAVE and cp": bench.save_and_copy, "valkey-cli --rdb": bench.raw_stream}
            for _run in range(options.runs):
                for name, way in raw.items():
                    took.setdefault(name, []).append(way())
                    (folder / "raw.rdb").unlink()
                for method in ("rdb", "stream"):
                    whole, own = bench.ours(method)
                    took.setdefault(f"ours, {method}", []).append(own)
                    took.setdefault(f"ours, {method}, with start-up", []).append(whole)
            size = (redis.data / "dump.rdb").stat().st_size
    finally:
        shutil.rmtree(folder)
    print(f"RDB of {size / 1e6:.0f} MB, {options.runs} runs, medians")
    medians = {name: statistics.median(values) for name, values in took.items()}
    for name, value in medians.items():
        print(f"  {name:32} {value:6.2f} s   ({', '.join(f'{one:.2f}' for one in took[name])})")
    missed = 0
    for method, name in (("rdb", "BGSAVE and cp"), ("stream", "valkey-cli --rdb")):
        ratio = medians[f"ours, {method}"] / medians[name]
        missed += ratio > ALLOWED
        print(f"ours, {method}, against {name}: {ratio:.3f} times, {'met' if ratio <= ALLOWED else 'missed'} ({ALLOWED} allowed)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
