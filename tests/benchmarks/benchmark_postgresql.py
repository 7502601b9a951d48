# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup and restore against the source runbooks' own pipelines and against the raw tools, all in the same run.

    python tests/benchmarks/benchmark_postgresql.py [--megabytes 1000] [--runs 3]

Every operation of ours runs in a process of its own, its start-up included; what is measured of a restore is the time until the
restored database serves. The ways take turns, figures are medians, and every bar is said to be met or missed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Session  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.fingerprint import tables  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.load import load_settings  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.undo import undo  # noqa: E402
from integration.postgresql_server import PostgresqlServer, running_server  # noqa: E402

DATABASE = "reference"


class Bench:
    """The measured ways, each a method that does its work once and returns seconds."""

    def __init__(self, server: PostgresqlServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.environment = {
            **os.environ,
            "PATH": f"{server.tools}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "PGPASSWORD": server.password,
            "PYTHONPATH": os.pathsep.join(sys.path[:2]),
        }
        self.sizes: dict[str, int] = {}
        self.peak_mb = 0.0
        self.sets: dict[str, str] = {}

    def source_backup(self) -> float:
        """pg_dump | gzip, as the source runbooks do it."""
        target = self.folder / "source.sql.gz"
        began = time.monotonic()
        with target.open("wb") as stream:
            dump = subprocess.Popen(["pg_dump", DATABASE], stdout=subprocess.PIPE, env=self.environment)
            subprocess.run(["gzip"], stdin=dump.stdout, stdout=stream, check=True, env=self.environment)
            assert dump.wait() == 0
        took = time.monotonic() - began
        self.sizes["source"] = target.stat().st_size
        return took

    def source_restore(self) -> float:
        """gunzip | psql into an empty database, as the source runbooks do it."""
        self.server.connection.do("DROP DATABASE IF EXISTS from_source")
        began = time.monotonic()
        self.server.connection.do("CREATE DATABASE from_source")
        unpack = subprocess.Popen(["gunzip", "-c", str(self.folder / "source.sql.gz")], stdout=subprocess.PIPE, env=self.environment)
        subprocess.run(["psql", "-qX", "from_source"], stdin=unpack.stdout, stdout=subprocess.DEVNULL, check=True, env=self.environment)
        assert unpack.wait() == 0
        took = time.monotonic() - began
        self.server.connection.do("DROP DATABASE from_source")
        return took

    def raw_backup(self) -> float:
        """The same pg_dump that we call, alone."""
        target = self.folder / "raw"
        shutil.rmtree(target, ignore_errors=True)
        return self._timed(["pg_dump", "-Fd", f"-j{os.cpu_count()}", "--compress=zstd:1", "-f", str(target), DATABASE])

    def raw_backup_and_hashes(self) -> float:
        """The same pg_dump with the same hashing of rows in one psql beside it: all the tools that we call."""
        with Session(self.server.connection, DATABASE) as session:
            statements = ";\n".join(table.statement(170000) for table in tables(session))
        began = time.monotonic()
        quick = {**self.environment, "PGOPTIONS": "-c jit=off -c max_parallel_workers_per_gather=0"}
        hashing = subprocess.Popen(["psql", "-qXAt", DATABASE], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=quick)
        thread = threading.Thread(target=hashing.communicate, args=(statements.encode(),))
        thread.start()
        self.raw_backup()
        thread.join()
        assert hashing.returncode == 0
        return time.monotonic() - began

    def raw_restore(self) -> float:
        """The same pg_restore that we call, alone."""
        self.server.connection.do("CREATE DATABASE from_raw")
        settings = " ".join(f"-c {name}={value}" for name, value in load_settings(self.server.connection, "auto").items())
        argv = ["pg_restore", f"-j{os.cpu_count()}", "--exit-on-error", "-d", "from_raw", str(self.folder / "raw")]
        took = self._timed(argv, PGOPTIONS=settings)
        self.server.connection.do("DROP DATABASE from_raw")
        return took

    def raw_base_backup(self) -> float:
        """The same pg_basebackup that we call, alone."""
        target = self.folder / "raw_base"
        shutil.rmtree(target, ignore_errors=True)
        compression = f"--compress=server-zstd:level=1,workers={os.cpu_count()}"
        return self._timed(["pg_basebackup", "-D", str(target), "-Ft", "-X", "stream", "-c", "fast", compression])

    def our_backup(self, method: str) -> float:
        """pg_backup's work."""
        if method in self.sets:
            shutil.rmtree(self.sets[method])
        took, result = self._ours(
            {"operation": "backup", "database": DATABASE, "backup_folder": str(self.folder / "sets"), "method": method}
        )
        self.sets[method] = result["backup_set"]["folder"]
        self.sizes[method] = result["backup_set"]["size_bytes"]
        return took

    def our_restore(self) -> float:
        """pg_restore's work on a logical set, until the restored database serves."""
        whole, result = self._ours({"operation": "restore", "database": DATABASE, "set_folder": self.sets["logical"]})
        # What follows serving (the end of the process) is not waiting time; what precedes the clock (its start) is.
        took: float = result["serving_after_s"] + max(0.0, whole - sum(result["durations_s"].values()))
        self.server.connection.do(f'DROP DATABASE "{result["kept_as"]}"')
        return took

    def our_folder_restore(self) -> float:
        """pg_restore's work on a physical set, until the server serves again."""
        service = asdict(self.server.service)
        took, result = self._ours({"operation": "restore", "set_folder": self.sets["physical"], "service": service})
        shutil.rmtree(result["kept_as"])
        return took

    def our_undo(self) -> float:
        """pg_restore_undo's work."""
        self.server.connection.do(f'CREATE DATABASE "{DATABASE}_before_20260101T000000Z"')
        began = time.monotonic()
        result = undo(self.server.connection, DATABASE)
        took = time.monotonic() - began
        self.server.connection.do(f'DROP DATABASE "{DATABASE}"')
        self.server.connection.do(f'ALTER DATABASE "{result["kept_as"]}" RENAME TO "{DATABASE}"')
        return took

    def our_check(self) -> float:
        """The check of every file of the logical set against its manifest."""
        began = time.monotonic()
        assert read_set(self.sets["logical"]).problems() == []
        return time.monotonic() - began

    def _timed(self, argv: list[str], **environment: str) -> float:
        began = time.monotonic()
        subprocess.run(argv, check=True, env={**self.environment, **environment})
        return time.monotonic() - began

    def _ours(self, wanted: dict[str, object]) -> tuple[float, dict[str, t.Any]]:
        order = self.folder / "order.json"
        order.write_text(json.dumps({**wanted, "connection": asdict(self.server.connection)}))
        out = self.folder / "result.json"
        began = time.monotonic()
        with out.open("wb") as stream:
            process = subprocess.Popen([sys.executable, "-m", "integration.operation", str(order)], stdout=stream, env=self.environment)
            _pid, status, usage = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        process.returncode = status
        if status:
            raise SystemExit(f"{wanted['operation']} failed: {out.read_text()}")
        self.peak_mb = max(self.peak_mb, usage.ru_maxrss / 1024)
        return took, json.loads(out.read_text())


def measure(bench: Bench, runs: int) -> dict[str, float]:
    """Medians in seconds, the ways taking turns."""
    ways: dict[str, Callable[[], float]] = {
        "source backup": bench.source_backup,
        "raw pg_dump": bench.raw_backup,
        "raw pg_dump and hashes": bench.raw_backup_and_hashes,
        "our logical backup": lambda: bench.our_backup("logical"),
        "our integrity check": bench.our_check,
        "raw pg_basebackup": bench.raw_base_backup,
        "our physical backup": lambda: bench.our_backup("physical"),
        "source restore": bench.source_restore,
        "raw pg_restore": bench.raw_restore,
        "our logical restore": bench.our_restore,
        "our restore_undo": bench.our_undo,
        "our physical restore": bench.our_folder_restore,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(runs):
        for name, way in ways.items():
            bench.server.connection.do("CHECKPOINT")
            times[name].append(way())
            print(f"run {number + 1} of {runs}: {name:22s} {times[name][-1]:7.2f} s", flush=True)
    return {name: statistics.median(values) for name, values in times.items()}


def report(bench: Bench, took: dict[str, float]) -> list[str]:
    """The table: what, seconds, ratio, bar."""

    def faster(ours: str, source: str, bar: float) -> str:
        ratio = took[source] / took[ours]
        return f"{ours:31s} {took[ours]:8.2f} s {ratio:7.1f}x the source's   bar >= {bar:g}x   {'met' if ratio >= bar else 'MISSED'}"

    def overhead(ours: str, raw: str) -> str:
        extra, bar = took[ours] - took[raw], 0.05 * took[raw] + 0.3
        return f"{'  over ' + raw:31s} {extra:8.2f} s {'':7s}                bar <= {bar:.2f} s  {'met' if extra <= bar else 'MISSED'}"

    def verdict(met: bool) -> str:
        return "met" if met else "MISSED"

    check, undone = took["our integrity check"] / took["our logical backup"], took["our restore_undo"]
    size = bench.sizes["logical"] / bench.sizes["source"]
    return [
        f"{'source backup':31s} {took['source backup']:8.2f} s   {bench.sizes['source'] / 1e6:.0f} MB",
        f"{'source restore':31s} {took['source restore']:8.2f} s",
        faster("our logical backup", "source backup", 6),
        overhead("our logical backup", "raw pg_dump"),
        overhead("our logical backup", "raw pg_dump and hashes"),
        f"{'  its size':31s} {bench.sizes['logical'] / 1e6:8.0f} MB {size:6.2f}x the source's   bar <= 1x     {verdict(size <= 1)}",
        faster("our physical backup", "source backup", 10),
        overhead("our physical backup", "raw pg_basebackup"),
        faster("our logical restore", "source restore", 2),
        overhead("our logical restore", "raw pg_restore"),
        faster("our physical restore", "source restore", 6),
        f"{'our restore_undo':31s} {undone:8.2f} s {'':26s} bar < 1 s      {verdict(undone < 1)}",
        f"{'our integrity check':31s} {took['our integrity check']:8.2f} s {check * 100:6.0f} % of the backup    "
        f"bar <= 25 %   {verdict(check <= 0.25)}",
        f"{'our peak memory':31s} {bench.peak_mb:8.0f} MB {'':25s} bar <= 100 MB  {verdict(bench.peak_mb <= 100)}",
    ]


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the plain dump")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    settings = {"shared_buffers": "256MB", "dynamic_shared_memory_type": "posix"}
    with running_server(settings, parent="/var/tmp") as server, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        print(f"Making a database of {options.megabytes} MB", flush=True)
        server.load_reference(DATABASE, options.megabytes)
        server.connection.do("CHECKPOINT")
        bench = Bench(server, Path(folder))
        took = measure(bench, options.runs)
        with gzip.open(Path(folder) / "source.sql.gz") as stream:
            size = stream.seek(0, os.SEEK_END)
        print(f"\n{size / 1e6:.0f} MB plain dump, {os.cpu_count()} processors, medians of {options.runs} runs")
        print("\n".join(report(bench, took)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
